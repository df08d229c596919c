"""`vqvae doctor`: what a bug report should say of an installation, and whether its models work."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from vqvae.cli.terminal import bytes_text, say
from vqvae.errors import MissingExtraError, VqvaeError

if TYPE_CHECKING:
    from vqvae.doctor.machine import Machine
    from vqvae.doctor.self_test import CodesTest, ModelTest
    from vqvae.doctor.software import Software, Torch
    from vqvae.doctor.weights import Place

COLUMNS = 90  # beside the labels, wherever it is pasted
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


class Part(NamedTuple):
    """A part of the examination: for people labels with what there is to say, for programs facts."""

    lines: Sequence[tuple[str, str]]
    facts: dict[str, Any]
    notes: Sequence[str] = ()  # what to know, and no fault
    wrong: Sequence[str] = ()


def doctor(
    json_: Annotated[bool, typer.Option("--json", help="All of it as one JSON object.")] = False,
) -> None:
    """Examine this installation, for bug reports.

    Prints versions, what processor and container offer, and where models are found; then tries every model on
    a drawn picture: its digests, its speed, what comes back, and whether tiles and threads leave its codes as
    they are. The last line is OK, or says what is wrong; then the exit code is 1. No path is in it, and no
    name of a user or a host.

        vqvae doctor --json
        vqvae doctor > report.txt
    """
    facts: dict[str, Any] = {}
    notes: list[str] = []
    wrong: list[str] = []
    for part in _parts():
        facts |= part.facts
        notes += part.notes
        wrong += part.wrong
        if not json_:
            for label, text in part.lines:
                for i, line in enumerate(wrap(text, COLUMNS, break_on_hyphens=False)):
                    say(f"{'' if i else label:<17} {line}")  # at once, for the next part may end the process
    if json_:
        say(json.dumps({**facts, "notes": notes, "wrong": wrong}))
    else:
        for text in notes:
            say(f"note: {text}")
        for text in wrong:
            say(f"wrong: {text}")
        if not wrong:
            say("OK")
    if wrong:
        raise typer.Exit(1)


def _parts() -> Iterator[Part]:
    from vqvae.doctor.machine import machine  # noqa: PLC0415
    from vqvae.doctor.software import software, torch_here  # noqa: PLC0415
    from vqvae.doctor.weights import places_here, without_paths  # noqa: PLC0415

    yield _of_software(software())
    here = machine()
    yield _of_machine(here)
    try:
        torch = torch_here()
    except (ImportError, OSError) as error:
        torch = None
        yield Part([], {}, wrong=[f"torch is installed and cannot be imported: {without_paths(str(error))}"])
    else:
        yield _of_torch(torch, here)
    yield _of_places(places_here())
    if torch is not None:
        yield from _models()


def _models() -> Iterator[Part]:
    """Each model that has a name, tried."""
    from vqvae.doctor.weights import without_paths  # noqa: PLC0415
    from vqvae.places import named_models  # noqa: PLC0415

    try:
        from vqvae.doctor.self_test import try_model  # noqa: PLC0415
    except ModuleNotFoundError:
        yield Part([], {}, wrong=[str(MissingExtraError("trying models", "model"))])
        return
    facts: dict[str, Any] = {}
    for name, folder in sorted(named_models().items()):
        try:
            test = try_model(folder)
        except (VqvaeError, OSError, RuntimeError) as error:  # the last is torch's
            facts[name] = {"error": without_paths(" ".join(str(error).split()))}
            yield Part([(name, "failed")], {}, wrong=[f"{name}: {facts[name]['error']}"])
        else:
            facts[name] = asdict(test)
            yield _of_model(name, test)
    yield Part([], {"models": facts}, wrong=[] if facts else ["there is no model in any of these places"])


def _of_software(here: "Software") -> Part:
    packages = [
        (
            f"extra {part}" if part != "base" else "base install",
            ", ".join(f"{name} {version}" for name, version in versions.items() if version) or "none",
        )
        for part, versions in here.packages.items()
    ]
    images = ", ".join(f"{name} by {library}" for name, library in here.images.items() if library)
    lines = [
        ("vqvae", here.vqvae),
        ("python", here.python),
        *packages,
        ("images", images),
        ("variables", ", ".join(here.variables) or "none that matter here"),
    ]
    wrong = [f"{name} is missing" for name, version in here.packages["base"].items() if not version]
    wrong += [f"this Pillow was built without {name}" for name, library in here.images.items() if not library]
    return Part(lines, asdict(here), wrong=wrong)


def _of_machine(here: "Machine") -> Part:
    quota = "no quota" if here.cpu_quota is None else f"a quota of {here.cpu_quota:g}"
    memory = "not told" if here.memory_bytes is None else bytes_text(here.memory_bytes)
    limit = "no limit" if here.memory_limit_bytes is None else f"limit {bytes_text(here.memory_limit_bytes)}"
    lines = [
        ("system", here.system),
        ("processor", f"{here.processor}, {here.architecture}"),
        ("features", "not told" if here.features is None else " ".join(here.features)),
        ("cores", f"{here.usable_cores} of {here.cores}, {quota}"),
        ("memory", f"{memory}, {limit}"),
    ]
    return Part(lines, {"machine": asdict(here)})


def _of_torch(torch: "Torch | None", here: "Machine") -> Part:
    if torch is None:
        missing = MissingExtraError("running models on this machine", "model")
        note = f"{missing}; to talk to a service none is needed"
        return Part([("torch", "not installed")], {"torch": None}, notes=[note])
    onednn = "with oneDNN" if torch.has_onednn else "without oneDNN"
    threads = "1 thread" if torch.threads == 1 else f"{torch.threads} threads"
    lines = [
        ("torch", f"{threads}, kernels for {torch.kernels} {onednn}"),
        ("GPUs", "; ".join(torch.gpus) or "none"),
    ]
    notes = []
    cores = here.usable_cores if here.cpu_quota is None else min(here.usable_cores, math.ceil(here.cpu_quota))
    if torch.threads > cores:
        notes.append(f"torch has more threads than cores to run them; OMP_NUM_THREADS={cores} may be faster")
    if NVIDIA_DRIVER.exists() and not torch.gpus:
        built = f"for CUDA {torch.cuda}" if torch.cuda else "without CUDA"
        notes.append(f"there is an NVIDIA driver, and torch, which was built {built}, sees no GPU")
    return Part(lines, {"torch": asdict(torch)}, notes)


def _of_places(places: "Sequence[Place]") -> Part:
    lines = [
        ("" if i else "weights", f"{place.name}: {', '.join(place.models) or 'none'}")
        for i, place in enumerate(places)
    ]
    missing = [place.name for place in places if place.name.startswith("$") and not place.exists]
    wrong = [f"{name} is set, and there is no such folder" for name in missing]
    return Part(lines, {"places": [asdict(place) for place in places]}, wrong=wrong)


def _of_model(name: str, test: "ModelTest") -> Part:
    lines = [
        (name, f"{test.fingerprint[:12]}, {bytes_text(test.stored_bytes)}, digests verified"),
        ("  encode", f"{test.encode_ms:.0f} ms for 256x256 pixels"),
    ]
    for decoder, tried in test.decoders.items():
        psnr = "equal" if tried.psnr is None else f"{tried.psnr:.2f} dB"
        lines.append((f"  {decoder}", f"{tried.decode_ms:.0f} ms to decode, {psnr}"))
    lines += [
        ("  tiles", f"{_codes(test.tiles)} in {test.tiles.ways} tiles as in one"),
        ("  threads", f"{_codes(test.threads)} with {test.threads.ways} threads as with one"),
    ]
    return Part(lines, {}, wrong=[f"{name}: {fault}" for fault in test.faults()])


def _codes(test: "CodesTest") -> str:
    return f"{test.codes - test.differ} of {test.codes} codes are the same"
