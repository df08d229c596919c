"""`vqvae bulk encode`: a data set of images in, shards of codes out."""

import math
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vqvae.cli.bulk.pace import reporting
from vqvae.cli.options import DEFAULT_MODEL, Device, Model, load_tokenizer
from vqvae.cli.terminal import bytes_text, say

if TYPE_CHECKING:
    from vqvae.bulk import Engine, Job, Outcome


def encode(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder of images, of .tar shards or of Parquet files; a .tar, a .parquet, or a .txt list "
            "of paths.",
        ),
    ],
    folder: Annotated[Path, typer.Argument(metavar="DEST", help="Folder for the codes; made if missing.")],
    model: Model = DEFAULT_MODEL,
    size: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="PIXELS",
            help="The shortest side to so many pixels, then the middle square; without it, images keep their "
            "sizes.",
        ),
    ] = None,
    format_: Annotated[
        Literal["parquet", "webdataset"],
        typer.Option("--format", help="parquet: a row an image; webdataset: tar files with .codes.npy."),
    ] = "parquet",
    shard_size: Annotated[int, typer.Option(min=1, metavar="IMAGES", help="Images in a shard.")] = 4096,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            show_default="one a core; one on a GPU; on Ray, all that have room",
            help="Processes with a model each; codes do not depend on it. 1 is this process itself.",
        ),
    ] = None,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(help="local: this machine; ray: a Ray cluster, whose nodes all see SOURCE and DEST."),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT|auto",
            show_default="the one of this machine, or one made for it",
            help="The cluster, with --engine ray.",
        ),
    ] = None,
    max_error_rate: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="Stop when more than this share of all images is bad."
        ),
    ] = 0.01,
    max_megapixels: Annotated[
        int, typer.Option(min=1, metavar="N", help="An image of more megapixels counts as bad.")
    ] = 200,
    device: Device = "cpu",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be done, write nothing.")
    ] = False,
) -> None:
    """Turn a data set of images into shards of codes.

    Every image becomes a row, in the order of the source and under its key there; a bad one has its reason in
    place of codes. The result is the same for any number of workers. After a kill, a full disk or a power cut
    the same command does what is left. Ctrl-C ends at once, SIGTERM when the shards under way are finished.

        vqvae bulk encode photos/ codes --size 256
        vqvae bulk encode shards/ codes --format webdataset --workers 8
        vqvae bulk encode imagenet/ codes --size 256 --device cuda --dry-run
        vqvae bulk encode /nfs/photos /nfs/codes --engine ray --address head:6379
    """
    from vqvae.bulk import Options, plan_job, run_job  # noqa: PLC0415
    from vqvae.device import usable_device  # noqa: PLC0415

    if engine == "local" and address is not None:
        raise typer.BadParameter("--address is of a Ray cluster; give --engine ray too")
    if engine == "ray" and device not in ("cpu", "cuda"):
        raise typer.BadParameter(f"with --engine ray, --device must be cpu or cuda, got {device}")
    options = Options(format_, size or 0, shard_size, max_megapixels)
    device = str(usable_device(device)) if engine == "local" else device
    job = plan_job(source, folder, model=model, options=options, device=device)
    num_left = len(job.shards) - len(job.finished())
    size_of_crew = _num_workers(engine, device, workers, max(1, num_left))
    if dry_run:
        for label, text in _plan(job, num_left, size_of_crew):
            say(f"{label:<9}{text}")
        return
    made: Engine
    if engine == "ray":
        from vqvae.bulk.cluster import OnRay  # noqa: PLC0415

        made = OnRay(model, workers=size_of_crew, address=address, device=device)
    else:
        made = _local(model, device, size_of_crew or 1, is_alone=workers == 1)
    with _asked_to_stop() as asked, reporting() as report, redirect_stdout(sys.stderr):
        # what Ray says of workers that died is no result
        outcome = run_job(
            job,
            made,
            max_error_rate=max_error_rate,
            on_progress=report,
            is_stopped=lambda: bool(asked),
        )
    for line in _told(folder, outcome):
        say(line)
    if not outcome.is_complete:
        say(
            f"stopped: {outcome.num_finished} of {outcome.num_shards} shards are finished; the same command "
            "does the rest",
            err=True,
        )
        raise typer.Exit(128 + asked[0])


def _num_workers(engine: str, device: str, asked: int | None, most: int) -> int | None:
    """How many workers to start; None leaves it to Ray."""
    if engine == "ray" and asked is None:
        return None
    from vqvae.bulk.processes import usable_cores  # noqa: PLC0415

    return min(asked or (usable_cores() if device == "cpu" else 1), most)


def _local(model: str, device: str, workers: int, *, is_alone: bool) -> "Engine":
    """The engine of this machine, or of this process alone."""
    from vqvae.bulk import InProcess, Processes  # noqa: PLC0415
    from vqvae.bulk.processes import usable_cores  # noqa: PLC0415

    readers = 1 if device == "cpu" else max(1, usable_cores() // workers)
    if is_alone:
        return InProcess(load_tokenizer(model, device, parts="encoder"), readers=readers)
    return Processes(model, workers=workers, device=device, readers=readers)


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """A list that SIGTERM puts itself into."""
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before)


def _plan(job: "Job", num_left: int, workers: int | None) -> list[tuple[str, str]]:
    """What would be done, by label."""
    manifest, space = job.manifest, job.manifest.space
    options, num_images = manifest.options, manifest.source.num_images
    f = space.downsample_factor
    crew = (
        "all workers that Ray has room for" if workers is None else f"{workers} worker{'s' * (workers > 1)}"
    )
    sizes = [job.source.size(key) for key in job.source.keys]
    known = [size for size in sizes if size is not None]
    weight = f", {bytes_text(sum(known))}" if len(known) == len(sizes) else ""
    images, about = "in their own sizes", ""
    if options.size:
        h, w = space.grid_of(options.size, options.size)
        images = f"the middle as {options.size}x{options.size} pixels: {w}x{h} codes"
        about = f", about {bytes_text(int(num_images * h * w * math.log2(space.codebook_size) / 8))}"
    return [
        ("source", f"{manifest.source.path}, {num_images} images{weight}"),
        (
            "model",
            f"{space.short}, one of {space.codebook_size} codes for {f}x{f} pixels",
        ),
        ("images", images),
        ("shards", f"{len(job.shards)} of at most {options.shard_size} images, {options.format}{about}"),
        ("left", f"{num_left} of {len(job.shards)} shards, for {crew}"),
    ]


def _told(folder: Path, outcome: "Outcome") -> list[str]:
    """What is there now."""
    lines = [
        f"{folder}: {outcome.num_images} images in {outcome.num_finished} shards, {outcome.num_codes} codes, "
        f"{bytes_text(outcome.num_bytes)}"
    ]
    if outcome.num_errors:
        share = outcome.num_errors / outcome.num_images
        lines.append(f"{outcome.num_errors} of the images ({share:.2%}) are bad; the first:")
        lines += [f"  {error}" for error in outcome.first_errors]
    return lines
