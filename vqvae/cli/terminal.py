"""What commands print: safe lines, sizes for people, and many pieces of work of which some may fail."""

from collections.abc import Callable, Iterable, Sequence

import typer

from vqvae.errors import VqvaeError


def say(text: str, *, err: bool = False) -> None:
    """Print a line to stdout or stderr, at once."""
    typer.echo(printable(text), err=err)


def printable(text: str) -> str:
    """The text with escapes in place of what a terminal would obey or an encoding would refuse."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def reason(error: VqvaeError | OSError) -> str:
    """What went wrong, in one line; of the operating system's errors, the file and the cause."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def each(work: Iterable[tuple[str, Callable[[], Sequence[str]]]]) -> None:
    """Do every (name, piece of work) in turn and print the lines it gives; a failure is a line on stderr.

    One failure leaves the others alone, and makes the command exit with 2 in the end.
    """
    total = failed = 0
    for name, do in work:
        total += 1
        try:
            lines = do()
        except (VqvaeError, OSError) as error:
            failed += 1
            say(f"error: {name}: {reason(error).removeprefix(f'{name}: ')}", err=True)
        else:
            for line in lines:
                say(line)
    if failed and total > 1:
        say(f"{failed} of {total} failed", err=True)
    if failed:
        raise typer.Exit(2)


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
