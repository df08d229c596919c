"""How a long job is getting on: a line that stays on a terminal, or one every half minute in a log."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from vqvae.cli.terminal import is_terminal, say

if TYPE_CHECKING:
    from vqvae.bulk import Progress

LOG_EVERY_S = 30


@contextmanager
def reporting() -> Iterator[Callable[["Progress"], None]]:
    """Yields what tells of progress on stderr."""
    if is_terminal(sys.stderr):
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, TextColumn  # noqa: PLC0415
        from rich.progress import Progress as Bar  # noqa: PLC0415

        text = TextColumn("{task.description}", markup=False)
        with Bar(BarColumn(20), text, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("")

            def draw(progress: "Progress") -> None:
                bar.update(
                    task,
                    total=progress.num_images,
                    completed=progress.done.num_images,
                    description=pace_of(progress),
                )

            yield draw
        return
    due = LOG_EVERY_S

    def log(progress: "Progress") -> None:
        nonlocal due
        if progress.seconds >= due:
            due = int(progress.seconds) + LOG_EVERY_S
            say(pace_of(progress), err=True)

    yield log


def pace_of(progress: "Progress") -> str:
    """How far, how fast, how many bad images, how long still: in one line."""
    done, here, total = progress.done, progress.here, progress.num_images
    words = [f"{done.num_images} of {total} images ({done.num_images / total:.1%})"]
    if here.num_images and progress.seconds:
        words += [
            f"{here.num_images / progress.seconds:.1f} images/s",
            f"{here.num_pixels / 1e6 / progress.seconds:.2f} megapixels/s",
        ]
    words.append(f"{done.num_errors} bad")
    if progress.seconds_left is not None:
        words.append(f"{timedelta(seconds=round(progress.seconds_left))} left")
    return ", ".join(words)
