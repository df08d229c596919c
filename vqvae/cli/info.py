"""`vqvae info`: what a model or a file of codes is."""

import json
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from vqvae.cli.terminal import bytes_text, each

CODE_SUFFIXES = (".vqc", ".json", ".npy")


def info(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="TARGET", help="Models, by name or folder, and files of codes."),
    ],
    json_: Annotated[bool, typer.Option("--json", help="One JSON object a line, one line a target.")] = False,
) -> None:
    """Describe models and files of codes.

    Of a model: its fingerprint, codebook, cost, receptive fields, training data and figures. Of codes: the
    model that made them, the image's size, and how many different codes occur. All is checked as it is read.

        vqvae info photo-f8
        vqvae info photo.vqc
        vqvae info codes/*.vqc --json
    """

    def work(target: str) -> list[str]:
        facts = describe_codes(Path(target)) if _is_code_file(target) else describe_model(target)
        if json_:
            return [json.dumps(facts)]
        lines = _lines(facts)
        return lines if target == targets[-1] else [*lines, ""]

    each((target, partial(work, target)) for target in targets)


def describe_codes(path: Path) -> dict[str, Any]:
    """What a file of codes says of itself; FormatError or CodesError where it is damaged."""
    import numpy as np  # noqa: PLC0415

    from vqvae.formats import load_codes  # noqa: PLC0415

    grid = load_codes(path)
    h, w = grid.grid
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "model": grid.space.model,
        "fingerprint": grid.space.fingerprint,
        "codebook_size": grid.space.codebook_size,
        "downsample_factor": grid.space.downsample_factor,
        "original_size": {"width": grid.width, "height": grid.height},
        "grid": {"height": h, "width": w},
        "depth": grid.depth,
        "codes": grid.codes.size,
        "distinct_codes": len(np.unique(grid.codes)),
        "bits_per_pixel": grid.bits_per_pixel,
    }


def describe_model(name_or_path: str) -> dict[str, Any]:
    """What a model is; all its tensors are read and verified, ModelError where one is damaged."""
    from vqvae.checkpoint import find_model, load_card, load_model  # noqa: PLC0415
    from vqvae.model.cost import cost_of_decoder, cost_of_encoder  # noqa: PLC0415

    folder = find_model(name_or_path)
    card = load_card(folder)
    f, codebook_dim = card.encoder.downsample_factor, card.quantizer.codebook_dim
    load_model(folder, parts="encoder")
    encoder = cost_of_encoder(card.encoder, codebook_dim)
    decoders = {}
    for name, decoder in card.decoders.items():
        load_model(folder, parts="decoder", decoder=name)
        cost = cost_of_decoder(decoder.config, codebook_dim)
        decoders[name] = {
            "parameters": cost.parameters,
            "gflop": cost.gflop,
            "receptive_field_codes": cost.receptive_field,
            "digest": decoder.digest,
        }
    return {
        "folder": str(folder),
        "model": card.name,
        "fingerprint": card.fingerprint,
        "codebook_size": card.quantizer.codebook_size,
        "codebook_dim": codebook_dim,
        "downsample_factor": f,
        "bits_per_pixel": math.log2(card.quantizer.codebook_size) / f**2,
        "encoder": {
            "parameters": encoder.parameters,
            "gflop": encoder.gflop,
            "receptive_field_pixels": encoder.receptive_field,
        },
        "decoders": decoders,
        "pixels_version": card.pixels_version,
        "training_data": card.training_data,
        "figures": card.figures,
    }


def _is_code_file(target: str) -> bool:
    path = Path(target)
    return path.is_file() or (path.suffix.lower() in CODE_SUFFIXES and not path.is_dir())


def _lines(facts: Mapping[str, Any]) -> list[str]:
    """The facts for people: labels in a column, a label's further lines below its first."""
    labelled = _of_codes(facts) if "file" in facts else _of_model(facts)
    lines = []
    for label, *texts in labelled:
        lines += [
            f"{first:<18}{text}" for first, text in zip([label, *[""] * len(texts)], texts, strict=False)
        ]
    return lines


def _of_codes(facts: Mapping[str, Any]) -> list[tuple[str, ...]]:
    size, grid, f = facts["original_size"], facts["grid"], facts["downsample_factor"]
    layers = f" in {facts['depth']} layers" if facts["depth"] > 1 else ""
    return [
        ("codes", f"{facts['file']}, {bytes_text(facts['bytes'])}"),
        ("model", facts["model"]),
        ("fingerprint", facts["fingerprint"]),
        ("image", f"{size['width']}x{size['height']} pixels"),
        ("grid", f"{grid['width']}x{grid['height']} codes{layers}, one for {f}x{f} pixels"),
        ("bits/pixel", f"{facts['bits_per_pixel']:.3f}"),
        ("distinct codes", f"{facts['distinct_codes']} of {facts['codebook_size']}"),
    ]


def _of_model(facts: Mapping[str, Any]) -> list[tuple[str, ...]]:
    f, encoder = facts["downsample_factor"], facts["encoder"]
    sees = encoder["receptive_field_pixels"]
    decoders = [
        (f"decoder {name}", f"{_cost(decoder)}; a pixel sees {codes}x{codes} codes")
        for name, decoder in facts["decoders"].items()
        for codes in [decoder["receptive_field_codes"]]
    ]
    return [
        ("model", facts["model"]),
        ("folder", facts["folder"]),
        ("fingerprint", facts["fingerprint"]),
        ("codebook", f"{facts['codebook_size']} code vectors of {facts['codebook_dim']} numbers"),
        ("grid", f"one code for {f}x{f} pixels, {facts['bits_per_pixel']:.3f} bits/pixel"),
        ("encoder", f"{_cost(encoder)}; a code sees {sees}x{sees} pixels"),
        *decoders,
        ("pixels", f"version {facts['pixels_version']}"),
        (
            "training data",
            *(map(_source, facts["training_data"]) if facts["training_data"] else ["not stated"]),
        ),
        ("figures", *([f"{k}: {_short(v)}" for k, v in facts["figures"].items()] or ["none"])),
    ]


def _cost(network: Mapping[str, Any]) -> str:
    return f"{network['parameters']:,} parameters, {network['gflop']:.3g} GFLOP for 256x256"


def _source(entry: Mapping[str, Any]) -> str:
    """One entry of a card's training data: how many photographs of what, by which licence."""
    many = f"{entry['photographs']} of " if "photographs" in entry else ""
    return f"{many}{entry.get('name', 'a nameless source')}, {entry.get('licence', 'licence not stated')}"


def _short(value: object) -> str:
    """What a card holds, of any form, in one line."""
    match value:
        case dict():
            return ", ".join(f"{name} {_short(part)}" for name, part in value.items())
        case list():
            return ", ".join(map(_short, value))
        case float():
            return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
        case _:
            return str(value)
