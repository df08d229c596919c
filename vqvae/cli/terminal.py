"""What commands print: safe lines, errors in red where a terminal shows colours, sizes for people."""

import os
import sys
from typing import TextIO

import typer

from vqvae.errors import VqvaeError


def say(text: str, *, err: bool = False) -> None:
    """Print a line to stdout or stderr, at once."""
    show(printable(text), err=err)


def complain(text: str) -> None:
    """Print an error to stderr."""
    label = typer.style("error:", fg="red", bold=True) if has_colours(sys.stderr) else "error:"
    show(f"{label} {printable(text)}", err=True)


def show(line: str, *, err: bool = False) -> None:
    """Print a line as it is, escapes and all."""
    stream = sys.stderr if err else sys.stdout
    if stream is not None:  # it may be closed
        # typer.echo would look behind what rich puts in the stream's place, and write into its bar
        stream.write(f"{line}\n")
        stream.flush()


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person sees what is written there; a stream may be missing."""
    return stream is not None and stream.isatty()


def has_colours(stream: TextIO | None) -> bool:
    """Whether escape codes may be written there: never where NO_COLOR is set (https://no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def printable(text: str) -> str:
    """The text with escapes in place of what a terminal would obey or an encoding would refuse."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def reason(error: VqvaeError | OSError) -> str:
    """What went wrong, in one line; of the operating system's errors, the file and the cause."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def bytes_text(num_bytes: int) -> str:
    """A size for people, by powers of 1000: 812 B, 9.3 kB, 1.2 MB."""
    if num_bytes < 1000:
        return f"{num_bytes} B"
    size, unit = num_bytes / 1000, "kB"
    for larger in ("MB", "GB"):
        if size < 999.95:
            break
        size, unit = size / 1000, larger
    return f"{size:.1f} {unit}"
