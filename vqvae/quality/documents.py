"""The report as people read it: whole, in marked blocks of Markdown files, and in the cards a service reads.

A block ends with `<!-- end -->`, and what stands between is written anew. It begins with one of
`<!-- quality: SET -->` (a set's table), `<!-- quality: model -->` (what the models are and cost),
`<!-- quality: appearance -->` (flat grounds and text) and `<!-- quality: notes -->`; of one model alone with
its name as in `<!-- quality: SET, MODEL -->`.
"""

import copy
import re
from collections.abc import Collection
from dataclasses import asdict, replace
from typing import Any

from vqvae.checkpoint import ModelCard
from vqvae.errors import DataError
from vqvae.quality.figures import Report
from vqvae.quality.model_tables import appearance_table, facts_table
from vqvae.quality.set_tables import set_table
from vqvae.quality.tables import Table, as_markdown

OF_MODELS = ("model", "appearance", "notes")  # what blocks may ask for besides sets
OF_CODES = ("bits_per_pixel", "entropy_bits_per_pixel", "usage", "perplexity", "num_codes")
BLOCK = re.compile(
    r"(?P<begin><!-- quality: (?P<what>[^,\n]+?)(?:, (?P<model>[^\n]+?))? -->\n).*?(?P<end><!-- end -->)",
    re.DOTALL,
)


def tables_of(report: Report) -> list[Table]:
    """Each set with all models; of each model what it is, and how flat grounds and text come back."""
    of_sets = [set_table(of_set, of_set.models) for of_set in report.sets]
    of_models = [facts_table(model) for model in report.models]
    return [*of_sets, *of_models, *(appearance_table(model, report.page_read) for model in report.models)]


def notes_of(report: Report, model: str | None = None) -> list[str]:
    """How the sets' tables are to be read, and what all was made with; of one model where it is named."""
    return [
        "Bits per pixel are all bits over all pixels of the set; PSNR, SSIM and MS-SSIM are means over the "
        "images. Usage, perplexity and the bits of entropy are of the set's own codes. ST-LPIPS and Lite0 "
        "are perceptual distances, lower is closer: the first on a network that no decoder was trained on, "
        "the second on EfficientNet-Lite0, whose features a vivid decoder learns from.",
        *(
            f"Over {use.num_codes} codes of crops of photographs that the training held out, {use.model} "
            f"uses {use.usage:.2%} of its codebook, with a perplexity of {use.perplexity:.0f}."
            for use in report.code_use
            if model in (None, use.model)
        ),
        "Under each model stand image files of at most its raw bits, image by image and headers counted (n "
        "over: of n images even the smallest file is larger), and the floor: k-means on "
        f"{report.num_patches} patches of the training photographs.",
        "Made by `make quality` with "
        + ", ".join(f"{name} {value}" for name, value in report.machine.items())
        + ".",
    ]


def page(report: Report) -> str:
    """All tables and notes in Markdown."""
    return "\n\n".join([*map(as_markdown, tables_of(report)), *notes_of(report)]) + "\n"


def check_blocks(text: str, sets: Collection[str], models: Collection[str]) -> None:
    """DataError where a block of a Markdown text asks for another set or model than these."""
    for block in BLOCK.finditer(text):
        if block["what"] not in (*sets, *OF_MODELS) or block["model"] not in (None, *models):
            raise DataError(
                f"{block['begin'].strip()} asks for what is not measured; there are {', '.join(sets)} and "
                f"{', '.join(OF_MODELS)}, of {', '.join(models)}"
            )


def fill(text: str, report: Report) -> str:
    """A Markdown text with the report in its blocks; DataError for a set or a model that was not measured."""
    check_blocks(text, [each.name for each in report.sets], [each.model for each in report.models])

    def written(block: re.Match[str]) -> str:
        parts = _parts(report, block["what"], block["model"])
        return block["begin"] + "\n\n".join(parts) + "\n" + block["end"]

    return BLOCK.sub(written, text)


def measured(card: ModelCard, report: Report) -> ModelCard:
    """A model's card with the report's figures: set -> figures, those of the faithful decoder at the top."""
    figures = copy.deepcopy(card.figures)

    def of_decoder(name: str) -> dict[str, Any]:
        return figures if name == "faithful" else figures.setdefault("decoders", {}).setdefault(name, {})

    for of_set in report.sets:
        for model in of_set.models:
            if model.fingerprint == card.fingerprint:
                of_codes = {name: getattr(model, name) for name in OF_CODES}
                for name, of_pictures in model.decoders.items():
                    of_decoder(name)[of_set.name] = asdict(of_pictures) | of_codes
    for facts in report.models:
        if facts.fingerprint == card.fingerprint:
            for name, decoder in facts.decoders.items():
                of_decoder(name)["appearance"] = asdict(decoder.appearance)
    for use in report.code_use:
        if use.fingerprint == card.fingerprint:
            figures["held_out_codes"] = {
                name: getattr(use, name) for name in ("num_codes", "usage", "perplexity")
            }
    return replace(card, figures=figures)


def _parts(report: Report, what: str, model: str | None) -> list[str]:
    """What a block takes."""
    models = [each for each in report.models if model in (None, each.model)]
    match what:
        case "notes":
            return notes_of(report, model)
        case "model":
            return [as_markdown(facts_table(each)) for each in models]
        case "appearance":
            return [as_markdown(appearance_table(each, report.page_read)) for each in models]
        case _:
            of_set = next(each for each in report.sets if each.name == what)
            of_models = [each for each in of_set.models if model in (None, each.model)]
            return [as_markdown(set_table(of_set, of_models))]
