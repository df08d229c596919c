"""The network: encoder and decoder of finite support, and the autoencoder that joins them to a quantizer."""

from vqvae.model.autoencoder import Autoencoder, AutoencoderConfig, Reconstruction
from vqvae.model.blocks import Span
from vqvae.model.decoder import Decoder, DecoderConfig
from vqvae.model.encoder import Encoder, EncoderConfig
from vqvae.model.planes import closed_plane

__all__ = [
    "Autoencoder",
    "AutoencoderConfig",
    "Decoder",
    "DecoderConfig",
    "Encoder",
    "EncoderConfig",
    "Reconstruction",
    "Span",
    "closed_plane",
]
