"""`python litserve_server.py PORT OPTIONS`: one of our models behind LitServe; the options are JSON.

It takes what our service takes, the bytes of an image file, and gives what our service gives, a code file.
Written as LitServe's documentation does it: unpacking in decode_request, the model in predict.
"""

import json
import sys
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import litserve
import numpy as np
import torch
from fastapi import Body, Response

from vqvae.code_grid import CodeGrid
from vqvae.formats import to_code_file
from vqvae.pixels import RGB8, decode_image
from vqvae.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Options:
    """How LitServe is set up; its defaults but for the model."""

    model: str
    workers: int = 1
    threads: int | None = None  # of each worker's arithmetic; None leaves it to torch
    fast_queue: bool = False
    batch_size: int = 1

    def as_json(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))


class EncodeAPI(litserve.LitAPI):
    """Image file to code file."""

    def __init__(self, options: Options) -> None:
        super().__init__(max_batch_size=options.batch_size, batch_timeout=0.005)
        self.options = options

    def setup(self, device: str) -> None:
        """Load the model, in the worker's process."""
        if self.options.threads is not None:
            torch.set_num_threads(self.options.threads)
        self.tokenizer = Tokenizer.load(self.options.model, device=device)

    def decode_request(self, request: Annotated[bytes, Body(media_type="image/jpeg")]) -> RGB8:
        """An image file's pixels."""
        return decode_image(request)

    def batch(self, inputs: list[RGB8]) -> RGB8:
        """Images of one size together: (B, H, W, 3)."""
        return np.stack(inputs)

    def predict(self, rgb: RGB8) -> Any:
        """Pixels to a CodeGrid; a batch of them to a list."""
        if rgb.ndim == 3:
            return self.tokenizer.encode_rgb8(rgb)
        images = torch.from_numpy(rgb).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
        space, (height, width) = self.tokenizer.space, rgb.shape[1:3]
        return [
            CodeGrid(codes.astype(space.dtype), width, height, space)
            for codes in self.tokenizer.encode(images).numpy()
        ]

    def unbatch(self, output: list[CodeGrid]) -> list[CodeGrid]:
        """One after another."""
        return output

    def encode_response(self, output: CodeGrid) -> Response:
        """A code file."""
        return Response(to_code_file(output), media_type="application/vnd.vqvae.codes")


def main() -> None:
    """Serve on the port and with the options of the command line."""
    options = Options(**json.loads(sys.argv[2]))
    server = litserve.LitServer(
        EncodeAPI(options),
        accelerator="cpu",
        workers_per_device=options.workers,
        fast_queue=options.fast_queue,
    )
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
