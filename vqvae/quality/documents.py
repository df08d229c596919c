"""Puts the report where people read it: marked blocks of Markdown files, and the cards that a service reads.

A block begins with `<!-- quality: SET -->`, or with `<!-- quality: SET, MODEL -->` for one model alone, and
ends with `<!-- end -->`; `<!-- quality: notes -->` takes the notes. What stands between is written anew.
"""

import copy
import re
from dataclasses import asdict, replace

from vqvae.checkpoint import ModelCard
from vqvae.errors import DataError
from vqvae.quality.figures import Report
from vqvae.quality.tables import notes_of, table_as_markdown, table_of

OF_CODES = ("bits_per_pixel", "entropy_bits_per_pixel", "usage", "perplexity", "num_codes")
BLOCK = re.compile(
    r"(?P<begin><!-- quality: (?P<set>[^,\n]+?)(?:, (?P<model>[^\n]+?))? -->\n).*?(?P<end><!-- end -->)",
    re.DOTALL,
)


def fill(text: str, report: Report) -> str:
    """A Markdown text with the report in its blocks; DataError for a set or a model that was not measured."""

    def written(block: re.Match[str]) -> str:
        if block["set"] == "notes":
            return block["begin"] + "\n\n".join(notes_of(report)) + "\n" + block["end"]
        for of_set in report.sets:
            models = [model for model in of_set.models if block["model"] in (None, model.model)]
            if of_set.name == block["set"] and models:
                return block["begin"] + table_as_markdown(table_of(of_set, models)) + "\n" + block["end"]
        raise DataError(f"{block['begin'].strip()} asks for what was not measured")

    return BLOCK.sub(written, text)


def measured(card: ModelCard, report: Report) -> ModelCard:
    """A model's card with the report's figures: set -> figures, those of the faithful decoder at the top."""
    figures = copy.deepcopy(card.figures)
    for of_set in report.sets:
        for model in of_set.models:
            if model.fingerprint != card.fingerprint:
                continue
            of_codes = {name: getattr(model, name) for name in OF_CODES}
            for name, of_pictures in model.decoders.items():
                own = figures
                if name != "faithful":
                    own = figures.setdefault("decoders", {}).setdefault(name, {})
                own[of_set.name] = asdict(of_pictures) | of_codes
    for use in report.code_use:
        if use.fingerprint == card.fingerprint:
            figures["held_out_codes"] = {
                name: getattr(use, name) for name in ("num_codes", "usage", "perplexity")
            }
    return replace(card, figures=figures)
