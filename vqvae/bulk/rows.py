"""One image of a set of codes: a row, of a bad image too.

Shapes: h w grid height and width.
"""

from dataclasses import dataclass
from typing import Literal

from vqvae.code_grid import CodeArray, CodeGrid, CodeSpace


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """What became of one image: its codes, or the reason why it has none."""

    key: str
    source_sha256: str | None  # of the image file's bytes; None where they could not be read
    codes: CodeArray | None  # (h, w)
    width: int | None  # pixels that the codes stand for
    height: int | None
    error: str | None  # None where there are codes

    @property
    def status(self) -> Literal["ok", "error"]:
        """Whether there are codes."""
        return "ok" if self.error is None else "error"

    @property
    def grid(self) -> tuple[int, int] | tuple[None, None]:
        """(h, w)."""
        return (None, None) if self.codes is None else (self.codes.shape[0], self.codes.shape[1])

    def code_grid(self, space: CodeSpace) -> CodeGrid:
        """The codes with their size; CodesError where they break the contract or do not fit the size."""
        assert self.codes is not None
        assert self.width is not None
        assert self.height is not None
        return CodeGrid(self.codes, self.width, self.height, space)
