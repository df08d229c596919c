"""What is installed: packages by the extra that brings them, Pillow's libraries, and how torch computes."""

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import features

import vqvae

PARTS = {  # the base install, and the extras that run models and the service: what matters of each
    "base": ("numpy", "pillow", "orjson", "httpx", "typer", "rich"),
    "model": ("torch", "safetensors"),
    "service": ("fastapi", "starlette", "uvicorn", "h11", "pydantic", "python-multipart"),
}
IMAGES = {  # by Pillow's names, the better library first
    "JPEG": ("libjpeg_turbo", "jpg"),
    "PNG": ("zlib_ng", "zlib"),
    "WebP": ("webp",),
    "TIFF": ("libtiff",),
    "colour profiles": ("littlecms2",),
}
VARIABLES = (  # of the environment, those that change how fast or how exactly models compute
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "KMP_AFFINITY", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA"),
    *("DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE", "MALLOC_ARENA_MAX"),
    *("CUDA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
)


@dataclass(frozen=True, slots=True)
class Software:
    """Versions by name, None for what is not there."""

    vqvae: str
    python: str
    packages: dict[str, dict[str, str | None]]  # by extra
    images: dict[str, str | None]  # by what they are for, the library in Pillow
    variables: tuple[str, ...]  # names of those that are set


@dataclass(frozen=True, slots=True)
class Torch:
    """How torch computes here."""

    kernels: str  # by the processor's features: DEFAULT, AVX2, AVX512, ...
    threads: int
    has_onednn: bool
    cuda: str | None  # the version that torch was built for
    gpus: tuple[str, ...]


def software() -> Software:
    """What this Python finds; torch is not imported."""
    return Software(
        vqvae=vqvae.__version__,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages={part: {name: _version(name) for name in names} for part, names in PARTS.items()},
        images={name: _library(libraries) for name, libraries in IMAGES.items()},
        variables=tuple(
            name for name in sorted(os.environ) if name in VARIABLES or name.startswith("VQVAE_")
        ),
    )


def torch_here() -> Torch | None:
    """How torch computes here, None where it is not installed; ImportError where it is and cannot be used."""
    try:
        import torch  # noqa: PLC0415 - the base install has none
    except ModuleNotFoundError as error:
        if error.name == "torch":
            return None
        raise
    from vqvae.model.blocks import ONEDNN  # noqa: PLC0415

    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    named = [f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB, {gpu.major}.{gpu.minor}" for gpu in gpus]
    if torch.backends.mps.is_available():
        named.append("Apple's, by Metal")
    return Torch(
        kernels=torch.backends.cpu.get_cpu_capability(),
        threads=torch.get_num_threads(),
        has_onednn=ONEDNN,
        cuda=torch.version.cuda,
        gpus=tuple(named),
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _library(libraries: Sequence[str]) -> str | None:
    """The first of some libraries that Pillow was built with, and its version."""
    for library in libraries:
        if version := features.version(library):
            return f"{library} {version}"
    return None
