"""Images to small grids of integers and back.

    from vqvae import Tokenizer

    tokenizer = Tokenizer.load("photo-f8")
    grid = tokenizer.encode("photo.jpg")
    tokenizer.decode(grid).save("again.png")

The same from a service, which needs neither weights nor torch here: `Client`, and `AsyncClient` for asyncio.

Names are imported when they are first used, so that reading codes or talking to a service brings no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vqvae.client import AsyncClient, Client
    from vqvae.code_grid import CodeGrid, CodeSpace
    from vqvae.errors import VqvaeError
    from vqvae.formats import load_codes, save_codes
    from vqvae.tokenizer import Tokenizer

__version__ = "0.1.0"
__all__ = [
    "AsyncClient",
    "Client",
    "CodeGrid",
    "CodeSpace",
    "Tokenizer",
    "VqvaeError",
    "load_codes",
    "save_codes",
]

_HOMES = {
    "AsyncClient": "client",
    "Client": "client",
    "CodeGrid": "code_grid",
    "CodeSpace": "code_grid",
    "Tokenizer": "tokenizer",
    "VqvaeError": "errors",
    "load_codes": "formats",
    "save_codes": "formats",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'vqvae' has no attribute {name!r}")
    value = getattr(import_module(f"vqvae.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
