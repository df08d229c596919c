"""What the quality report holds.

Of every way of storing a set of images: bits per pixel are all bits over all pixels, fidelity is a mean over
the images, each figure over those where it is defined, just as in `vqvae.evaluation`.

Shapes: K codebook size, D code dim, f downsample factor.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vqvae.model.cost import Cost


@dataclass(frozen=True, slots=True)
class Figures:
    """What one way of storing a set of images comes to."""

    bits_per_pixel: float
    psnr: float | None  # dB
    ssim: float | None
    ms_ssim: float | None


@dataclass(frozen=True, slots=True)
class DecoderFigures(Figures):
    """What one decoder of a model comes to, also to networks that recognise images: 0 is no difference."""

    st_lpips: float | None  # a network that no decoder was trained on
    efficientnet_lite0: float | None  # the one that a perceptual loss is of


@dataclass(frozen=True, slots=True)
class CodecFigures(Figures):
    """What files of at most a model's bytes, image by image, come to."""

    num_over: int  # images of which even the smallest file is larger


@dataclass(frozen=True, slots=True)
class CurvePoint(Figures):
    """What files of one setting come to."""

    setting: int


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """One model on one set, and what else there is at its rate."""

    model: str
    fingerprint: str
    codebook_size: int  # K
    downsample_factor: int  # f
    bits_per_pixel: float  # raw
    entropy_bits_per_pixel: float  # by the empirical entropy of the set's codes, order 0
    num_codes: int
    usage: float
    perplexity: float
    decoders: Mapping[str, DecoderFigures]
    floor: Figures  # k-means: K patches of f x f pixels
    codecs: Mapping[str, CodecFigures]


@dataclass(frozen=True, slots=True)
class SetFigures:
    """All models on one set of images."""

    name: str
    num_images: int
    models: tuple[ModelFigures, ...]
    curves: Mapping[str, tuple[CurvePoint, ...]]  # codec -> over a range of rates; of the first set alone


@dataclass(frozen=True, slots=True)
class CodeUse:
    """How a model's codebook is used over many codes of held-out photographs."""

    model: str
    fingerprint: str
    num_codes: int
    usage: float
    perplexity: float


@dataclass(frozen=True, slots=True)
class FlatFigures:
    """What images of one colour come back as, in 255ths of the range."""

    num_images: int
    mean_error: float  # over all images, pixels and channels
    worst_error: float  # of one image's mean in one channel
    worst_std: float  # within one image, in one channel
    worst_patterns: Mapping[str, float]  # period in pixels -> amplitude within one image, in one channel


@dataclass(frozen=True, slots=True)
class Appearance:
    """What a person sees at once in what one decoder makes."""

    greys: FlatFigures
    colours: FlatFigures
    text_read: Mapping[str, float | None]  # height of capitals in pixels -> share; None: not measured


@dataclass(frozen=True, slots=True)
class DecoderFacts:
    """One decoder of a model, whatever the set of images."""

    cost: Cost
    appearance: Appearance


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model, whatever the set of images."""

    model: str
    fingerprint: str
    codebook_size: int  # K
    codebook_dim: int  # D
    downsample_factor: int  # f
    pixels_version: int
    stored_bytes: int  # of all its files of tensors
    encoder: Cost
    decoders: Mapping[str, DecoderFacts]


@dataclass(frozen=True, slots=True)
class Report:
    """All that the tables and the plot show."""

    machine: Mapping[str, str]  # what the figures were made with
    num_patches: int  # that the floor's k-means has seen
    sets: tuple[SetFigures, ...]
    code_use: tuple[CodeUse, ...]  # one a model
    models: tuple[ModelFacts, ...]
    page_read: Mapping[str, float | None]  # as `text_read`, of the pages themselves

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; undefined figures are None."""
        return asdict(self)
