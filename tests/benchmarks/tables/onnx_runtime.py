"""Works of ONNX Runtime."""

from pathlib import Path
from typing import Any

import onnxruntime
from contenders import Work
from numpy.typing import NDArray


def in_onnx_runtime(model: Path | bytes, given: NDArray[Any], threads: int) -> Work:
    """A graph of one input, run on it with every optimisation that ONNX Runtime has."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: given}
    return lambda: session.run(None, inputs)
