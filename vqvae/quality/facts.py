"""What a model is, what it costs, how flat grounds and text come back: figures that need no photograph."""

from collections.abc import Callable
from pathlib import Path

from vqvae.checkpoint import load_card
from vqvae.model.cost import cost_of_decoder, cost_of_encoder
from vqvae.quality.appearance import appearance
from vqvae.quality.figures import DecoderFacts, ModelFacts
from vqvae.tokenizer import Tokenizer


def model_facts(folder: Path, on_decoder: Callable[[], None] = lambda: None) -> ModelFacts:
    """The model in a folder, with all its decoders."""
    card = load_card(folder)
    decoders = {}
    for name, decoder in card.decoders.items():
        cost = cost_of_decoder(decoder.config, card.quantizer.codebook_dim)
        decoders[name] = DecoderFacts(cost, appearance(Tokenizer.load(folder, decoder=name)))
        on_decoder()
    return ModelFacts(
        model=card.name,
        fingerprint=card.fingerprint,
        codebook_size=card.quantizer.codebook_size,
        codebook_dim=card.quantizer.codebook_dim,
        downsample_factor=card.encoder.downsample_factor,
        pixels_version=card.pixels_version,
        stored_bytes=sum(file.stat().st_size for file in folder.glob("*.safetensors")),
        encoder=cost_of_encoder(card.encoder, card.quantizer.codebook_dim),
        decoders=decoders,
    )
