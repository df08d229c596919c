"""`vqvae info`: what a model or a file of codes is."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from vqvae.cli.codes import facts_of, suffix_of_codes
from vqvae.cli.completion import model_names
from vqvae.cli.inputs import CODE_SUFFIXES, DASH, Input, called, check_dashes, code_files, matches
from vqvae.cli.picture import picture_of
from vqvae.cli.terminal import bytes_text
from vqvae.cli.work import Report, each
from vqvae.places import CARD


def info(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET",
            help="Models, by name or folder, and files of codes; folders of these, a quoted pattern such as "
            "'codes/**/*.vqc'; - is standard input.",
            autocompletion=model_names,
        ),
    ],
    json_: Annotated[bool, typer.Option("--json", help="One JSON object a line, one line a target.")] = False,
) -> None:
    """Describe models and files of codes.

    Of a model: its fingerprint, codebook, cost, receptive fields, training data and figures. Of codes: the
    model that made them, the image's size, and how many different codes occur. All is checked as it is read.
    On a terminal with colours the codes are shown as well, each in a colour of its own.

        vqvae info photo-f8
        vqvae info photo.vqc
        vqvae info codes/*.vqc --json
    """
    check_dashes(targets)
    each([piece for target in targets for piece in _work(target)], as_json=json_, apart=True)


def report_codes(item: Input) -> Report:
    """What a file of codes says of itself; FormatError or CodesError where it is damaged."""
    from vqvae.formats import from_bytes  # noqa: PLC0415

    data = item.read()
    grid = from_bytes(data, suffix_of_codes(item, data))
    facts = {"file": item.word, "bytes": len(data), **facts_of(grid)}
    picture = picture_of(grid.codes)
    return Report(_lines(_of_codes(facts)), facts, ["", *picture] if picture else [])


def report_model(name_or_path: str) -> Report:
    """What a model is; ModelError where it is missing or damaged."""
    facts = describe_model(name_or_path)
    return Report(_lines(_of_model(facts)), facts)


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


def _work(target: str) -> list[tuple[str, Callable[[], Report]]]:
    """(word, what reports it) of every model and file of codes that a target stands for."""
    if target == DASH:
        return _work_on_codes(target)
    work: list[tuple[str, Callable[[], Report]]] = []
    for path, _ in matches(target):
        word = target if path == Path(target) else str(path)  # ./NAME is a path, NAME may be a name
        if _holds_codes(path):
            work += _work_on_codes(word)
        else:
            work.append((word, partial(report_model, word)))
    return work


def _work_on_codes(word: str) -> list[tuple[str, Callable[[], Report]]]:
    return [(item.word, partial(report_codes, item)) for item in code_files([word])]


def _holds_codes(path: Path) -> bool:
    """Whether it is a file of codes, is called like one, or is a folder of them and no model."""
    if path.is_dir():
        return not (path / CARD).is_file() and any(path.rglob("*.vqc"))
    return path.is_file() or path.suffix.lower() in CODE_SUFFIXES


def _lines(labelled: Sequence[tuple[str, ...]]) -> list[str]:
    """Facts for people: labels in a column, a label's further lines below its first."""
    return [f"{'' if i else label:<18}{text}" for label, *texts in labelled for i, text in enumerate(texts)]


def _of_codes(facts: Mapping[str, Any]) -> list[tuple[str, ...]]:
    size, grid, f = facts["original_size"], facts["grid"], facts["downsample_factor"]
    layers = f" in {facts['depth']} layers" if facts["depth"] > 1 else ""
    return [
        ("codes", f"{called(facts['file'])}, {bytes_text(facts['bytes'])}"),
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
