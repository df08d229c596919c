"""The model that a run begins from: which of its decoders goes on, which stay, and what its card hands down.

In a card the faithful decoder's recipe and figures stand at the top, since encoder and codebook were trained
with it, and those of every other decoder under "decoders", by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vqvae.checkpoint import FAITHFUL, LoadedModel, check_decoder_name, load_card, load_model
from vqvae.config import require
from vqvae.model import Decoder


@dataclass(frozen=True, slots=True)
class Start:
    """A finished model to go on from."""

    model: LoadedModel
    decoder: str  # the name of the one in `model`
    others: Mapping[str, Decoder]  # those that the run does not train

    @property
    def digest(self) -> str:
        """Of the decoder in `model`."""
        return self.model.card.decoders[self.decoder].digest

    def origin_of(self, decoder: str) -> dict[str, Any]:
        """Where a run that trains a decoder begins, and the recipe so far where the decoder is not new."""
        card = self.model.card
        origin = {"fingerprint": card.fingerprint, "decoder": self.decoder, "digest": self.digest}
        return origin | of_decoder(card.recipe, decoder)


def load_start(name_or_path: str | Path, decoder: str = FAITHFUL) -> Start:
    """A model for a run that trains a decoder: that of the name, or a new one that begins as the faithful."""
    names = list(load_card(name_or_path).decoders)
    begun_from = decoder if decoder in names else FAITHFUL
    others = {}
    for name in names:
        if name != decoder:
            other = load_model(name_or_path, parts="decoder", decoder=name).decoder
            assert other is not None
            others[name] = other
    return Start(load_model(name_or_path, decoder=begun_from), begun_from, others)


def check_decoder(decoder: str, trained: str) -> None:
    """ConfigError for a name that no decoder can have, or for another than the faithful beside new codes."""
    check_decoder_name(decoder)
    require(
        decoder == FAITHFUL or trained == "decoder",
        f"a decoder other than {FAITHFUL} needs training.trained=decoder",
        f"decoder {decoder} with training.trained={trained}",
    )


def of_decoder(described: Mapping[str, Any], decoder: str) -> dict[str, Any]:
    """What a card's recipe or figures say of one decoder; nothing where they do not know it."""
    if decoder == FAITHFUL:
        return {key: value for key, value in described.items() if key != "decoders"}
    return dict(described.get("decoders", {}).get(decoder, {}))


def with_decoder(
    described: Mapping[str, Any], decoder: str, own: Mapping[str, Any], kept: Mapping[str, Decoder]
) -> dict[str, Any]:
    """A card's recipe or figures after a run: `own` for the decoder it trained, as before for the kept."""
    said = {name: of_decoder(described, name) for name in kept} | {decoder: dict(own)}
    others = {name: said[name] for name in said if name != FAITHFUL and said[name]}
    return said.get(FAITHFUL, {}) | ({"decoders": others} if others else {})


def all_data(before: list[dict[str, Any]], own: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a model has seen: the data of the model begun from, then what the run has under other names."""
    names = [entry.get("name") for entry in before]
    return before + [entry for entry in own if entry.get("name") not in names]
