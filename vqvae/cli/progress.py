"""How far a command is, on stderr where that is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vqvae.cli.terminal import is_terminal


@contextmanager
def progress(total: int) -> Iterator[Callable[[], None]]:
    """Yields what counts one file more; lines that are printed meanwhile stand above the bar.

    For one file there is no bar.
    """
    if total < 2 or not is_terminal(sys.stderr):
        yield lambda: None
        return

    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, soft_wrap=True)  # lines above the bar may be longer than it is wide
    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn()
    # rich prints those lines on stderr, which is no place for what goes into a pipe
    redirect = is_terminal(sys.stdout)
    with Progress(*columns, console=console, transient=True, redirect_stdout=redirect) as bar:
        task = bar.add_task("", total=total, rate="")

        def advance() -> None:
            bar.advance(task)
            if speed := bar.tasks[0].speed:
                bar.update(task, rate=f"{speed:.1f} a second" if speed >= 1 else f"{1 / speed:.1f} s each")

        yield advance
