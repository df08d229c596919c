"""A model on disk: tensors in `model.safetensors`, the card in `model.json`, written whole, read strictly.

Encoder, quantizer and the faithful decoder are in `model.safetensors`. Any other decoder has a file of its
own, `decoder-NAME.safetensors`: it can come later, and who does not want it need not download it.
`model.json` says what the tensors are: the configuration of every part, a digest of every part's tensors, the
fingerprint of the code space, and where the model comes from. The tensors are float16: the rounded values are
the model, and it computes in float32. There is no pickle. Reading verifies the parts that it is asked for and
leaves the others on disk.

The fingerprint is SHA-256 over the configurations and digests of encoder and quantizer: two models with one
fingerprint make the same codes. A decoder is no part of it, so that a better one does not orphan old codes.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vqvae.code_grid import CodeSpace
from vqvae.config import from_dict, require, to_dict
from vqvae.errors import ConfigError, ModelError
from vqvae.model import AutoencoderConfig, Decoder, DecoderConfig, Encoder, EncoderConfig
from vqvae.pixels import PIXELS_VERSION
from vqvae.places import CARD, places
from vqvae.quantizers import (
    CodebookConfig,
    Quantizer,
    build_quantizer,
    quantizer_config_from_dict,
    quantizer_config_to_dict,
)

FORMAT_VERSION = 1
TENSORS = "model.safetensors"
FAITHFUL = "faithful"  # the decoder that encoder and codebook were trained with
DECODER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")  # no full stop: it parts the names of tensors
Parts = Literal["all", "encoder", "decoder"]


@dataclass(frozen=True, slots=True)
class DecoderCard:
    """One decoder of a model: its configuration and the digest of its tensors."""

    config: DecoderConfig
    digest: str


@dataclass(frozen=True, slots=True)
class ModelCard:
    """`model.json` as data."""

    name: str
    fingerprint: str
    encoder: EncoderConfig
    encoder_digest: str
    quantizer: CodebookConfig
    quantizer_digest: str
    decoders: Mapping[str, DecoderCard]
    pixels_version: int = PIXELS_VERSION
    training_data: list[dict[str, Any]] = field(default_factory=list)  # by name and licence
    recipe: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def space(self) -> CodeSpace:
        """What this model's codes mean."""
        return CodeSpace(
            model=self.name,
            fingerprint=self.fingerprint,
            codebook_size=self.quantizer.codebook_size,
            downsample_factor=self.encoder.downsample_factor,
        )

    def config(self, decoder: str = FAITHFUL) -> AutoencoderConfig:
        """The configuration of encoder, quantizer and one decoder together."""
        return AutoencoderConfig(self.encoder, self.quantizer, self.decoders[decoder].config)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "fingerprint": self.fingerprint,
            "encoder": {"config": to_dict(self.encoder), "digest": self.encoder_digest},
            "quantizer": {
                "config": quantizer_config_to_dict(self.quantizer),
                "digest": self.quantizer_digest,
            },
            "decoders": {
                name: {"config": to_dict(decoder.config), "digest": decoder.digest}
                for name, decoder in self.decoders.items()
            },
            "pixels_version": self.pixels_version,
            "training_data": self.training_data,
            "recipe": self.recipe,
            "figures": self.figures,
        }

    @classmethod
    def from_dict(cls, card: Mapping[str, Any]) -> "ModelCard":
        """The inverse of `to_dict`; KeyError, TypeError or ConfigError where the card is not one."""
        return cls(
            name=card["name"],
            fingerprint=card["fingerprint"],
            encoder=from_dict(EncoderConfig, card["encoder"]["config"]),
            encoder_digest=card["encoder"]["digest"],
            quantizer=quantizer_config_from_dict(card["quantizer"]["config"]),
            quantizer_digest=card["quantizer"]["digest"],
            decoders={
                check_decoder_name(name): DecoderCard(
                    from_dict(DecoderConfig, decoder["config"]), decoder["digest"]
                )
                for name, decoder in card["decoders"].items()
            },
            pixels_version=card["pixels_version"],
            training_data=card["training_data"],
            recipe=card["recipe"],
            figures=card["figures"],
        )


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """The parts that were asked for, in evaluation mode, float32, without gradients for their tensors."""

    card: ModelCard
    quantizer: Quantizer
    encoder: Encoder | None
    decoder: Decoder | None


def save_model(
    folder: Path,
    *,
    name: str,
    encoder: Encoder,
    quantizer: Quantizer,
    decoders: Mapping[str, Decoder],
    training_data: list[dict[str, Any]] | None = None,
    recipe: dict[str, Any] | None = None,
    figures: dict[str, Any] | None = None,
) -> ModelCard:
    """Write a model's files, each whole or not at all, and return its card.

    Tensors are rounded to float16; those of the given modules stay as they are. What the folder had of other
    decoders is removed.
    """
    parts = {
        "encoder.": encoder.state_dict(),
        "quantizer.": quantizer.inference_state(),
        **{f"decoders.{check_decoder_name(key)}.": decoder.state_dict() for key, decoder in decoders.items()},
    }
    stored = {
        prefix: {key: _stored(tensor) for key, tensor in part.items()} for prefix, part in parts.items()
    }
    card = ModelCard(
        name=name,
        fingerprint="",
        encoder=encoder.config,
        encoder_digest=_digest(stored["encoder."]),
        quantizer=quantizer.config,
        quantizer_digest=_digest(stored["quantizer."]),
        decoders={
            key: DecoderCard(decoder.config, _digest(stored[f"decoders.{key}."]))
            for key, decoder in decoders.items()
        },
        training_data=training_data or [],
        recipe=recipe or {},
        figures=figures or {},
    )
    card = replace(card, fingerprint=_fingerprint(card))
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, dict[str, Tensor]] = {}
    for prefix, part in stored.items():
        files.setdefault(_file_of(prefix), {}).update({prefix + key: part[key] for key in part})
    for name_of_file, tensors in files.items():
        with _whole(folder / name_of_file) as path:
            path.write_bytes(save(tensors))  # save_file makes a file that only its owner may read
    save_card(folder, card)
    for path in folder.glob(_file_of("decoders.*.")):
        if path.name not in files:
            path.unlink()
    return card


def save_card(folder: Path, card: ModelCard) -> None:
    """Write `model.json` alone, whole or not at all: figures are known after the tensors."""
    with _whole(folder / CARD) as path:
        path.write_text(json.dumps(card.to_dict(), indent=1) + "\n", "utf-8")


def load_card(name_or_path: str | Path) -> ModelCard:
    """The card of a model; ModelError where it is missing, damaged, or of another format version."""
    path = find_model(name_or_path) / CARD
    try:
        data = json.loads(path.read_text("utf-8"))
        if data["format_version"] != FORMAT_VERSION:
            raise ModelError(
                f"{path} is of format version {data['format_version']}, this package reads {FORMAT_VERSION}"
            )
        card = ModelCard.from_dict(data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
        raise ModelError(f"{path} is not a model card: {type(error).__name__}: {error}") from error
    if card.fingerprint != _fingerprint(card):
        raise ModelError(f"{path} is damaged: its fingerprint does not follow from its parts")
    return card


def load_model(name_or_path: str | Path, *, parts: Parts = "all", decoder: str = FAITHFUL) -> LoadedModel:
    """Read and verify a model's parts: its codebook always, its encoder and one decoder as `parts` says."""
    folder = find_model(name_or_path)
    card = load_card(folder)
    if parts != "encoder" and decoder not in card.decoders:
        raise ModelError(f"{card.name} has the decoders {', '.join(card.decoders)}, not {decoder!r}")
    quantizer = build_quantizer(card.quantizer)
    _read(folder, "quantizer.", card.quantizer_digest, quantizer.load_inference_state_)
    encoder = decoder_module = None
    if parts != "decoder":
        encoder = Encoder(card.encoder, card.quantizer.codebook_dim)
        _read(folder, "encoder.", card.encoder_digest, encoder.load_state_dict)
    if parts != "encoder":
        chosen = card.decoders[decoder]
        decoder_module = Decoder(chosen.config, card.quantizer.codebook_dim)
        _read(folder, f"decoders.{decoder}.", chosen.digest, decoder_module.load_state_dict)
    for module in (quantizer, encoder, decoder_module):
        if module is not None:
            module.eval().requires_grad_(False)
    return LoadedModel(card, quantizer, encoder, decoder_module)


def find_model(name_or_path: str | Path) -> Path:
    """The folder of a model: a path is taken as it is, a name is looked for in `places()`."""
    if (Path(name_or_path) / CARD).is_file():
        return Path(name_or_path)
    if Path(name_or_path).name == str(name_or_path):
        for place in places():
            if (place / name_or_path / CARD).is_file():
                return place / name_or_path
    raise ModelError(f"no model at {name_or_path}, nor of that name in {', '.join(map(str, places()))}")


def check_decoder_name(name: str) -> str:
    """The name itself; ConfigError where no decoder can have it."""
    require(DECODER_NAME.fullmatch(name) is not None, f"decoder must match {DECODER_NAME.pattern}", name)
    return name


def _file_of(prefix: str) -> str:
    """The file of the tensors whose names begin with `encoder.`, `quantizer.` or `decoders.NAME.`."""
    match prefix.split("."):
        case ["decoders", name, ""] if name != FAITHFUL:
            return f"decoder-{name}.safetensors"
        case _:
            return TENSORS


def _read(folder: Path, prefix: str, digest: str, load_: Callable[[dict[str, Tensor]], object]) -> None:
    """One part's tensors, verified, into its module."""
    path = folder / _file_of(prefix)
    try:
        with safe_open(path, framework="pt") as file:
            keys = [key for key in file.keys() if key.startswith(prefix)]  # noqa: SIM118 - it is no dict
            state = {key.removeprefix(prefix): file.get_tensor(key) for key in keys}
        if _digest(state) != digest:
            raise ModelError(
                f"the tensors {prefix}* are not those that {CARD} describes: their digest differs"
            )
        load_(state)
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise ModelError(f"{path} is damaged or missing: {error}") from error


def _stored(tensor: Tensor) -> Tensor:
    # + 0 turns -0 into 0, of which arithmetic makes one or the other: equal weights, equal digests
    return tensor.detach().to("cpu", torch.float16, memory_format=torch.contiguous_format) + 0


def _digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and little-endian bytes, in the order of the names."""
    digest = hashlib.sha256()
    for key in sorted(state):
        array = state[key].contiguous().numpy()
        digest.update(f"{key} {array.dtype.str} {list(array.shape)}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _fingerprint(card: ModelCard) -> str:
    described = card.to_dict()
    space = {part: described[part] for part in ("encoder", "quantizer")}
    return hashlib.sha256(json.dumps(space, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place, on disk, once it is written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
