"""Gathers the figures of the quality report: models, codecs at the models' rates, the floor, the machine.

Shapes: K codebook size, f downsample factor.
"""

import platform
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import PIL
import torch
from PIL import features

import vqvae
from vqvae import metrics
from vqvae.checkpoint import ModelCard, load_card
from vqvae.code_grid import CodeGrid
from vqvae.errors import DataError
from vqvae.evaluation import Evaluation, ImageFigures, evaluate
from vqvae.perceptual import Network, perceptual_distance
from vqvae.pixels import RGB8, decode_image
from vqvae.quality.code_use import NUM_CODES, code_use, num_batches
from vqvae.quality.codecs import CODECS, Codec, CodedImage, check_codecs, pixels_of
from vqvae.quality.facts import model_facts
from vqvae.quality.figures import (
    CodecFigures,
    CodeUse,
    CurvePoint,
    DecoderFigures,
    Figures,
    ModelFacts,
    ModelFigures,
    Report,
    SetFigures,
)
from vqvae.quality.patches import NUM_PATCHES, PatchCodebook, fit_patch_codebook, sample_patches
from vqvae.quality.text import pages_read, tesseract_version
from vqvae.sources import Source
from vqvae.tokenizer import Tokenizer

OnStep = Callable[[str, int, int], None]  # what is being done, how many of it are done, of how many

SEED = 0  # of the floor: its patches and its k-means


@dataclass(frozen=True, slots=True)
class _Image:
    """One image, stored and shown again."""

    num_bits: float
    num_pixels: int
    psnr: float | None
    ssim: float | None
    ms_ssim: float | None


@dataclass(frozen=True, slots=True)
class _Decoded:
    """What one decoder makes of a set."""

    evaluation: Evaluation
    st_lpips: float | None
    efficientnet_lite0: float | None


@dataclass(frozen=True, slots=True)
class _Files:
    """One image as files of one codec."""

    within: list[_Image]  # of each model's bytes at most
    over: list[bool]  # for each model, whether even the smallest file is larger
    curve: list[_Image]  # of each setting of the codec's curve


def make_report(
    models: Sequence[Path],
    sets: Mapping[str, Source],
    photographs: Source,
    *,
    num_patches: int = NUM_PATCHES,
    num_codes: int = NUM_CODES,
    on_step: OnStep = lambda *_: None,
) -> Report:
    """Measure models on sets of images; DataError where an image cannot be read.

    Args:
        models: folders of models; all decoders of each are measured.
        sets: sources by name; the codecs' curves are of the first.
        photographs: what the models were trained on. The floor's patches are cut from them, `num_patches` for
            each kind of model, and those that a training holds out give `num_codes` codes of every model.
    """
    check_codecs()
    cards = [load_card(folder) for folder in models]
    facts = tuple(_facts(folder, card, on_step) for folder, card in zip(models, cards, strict=True))
    codebooks: dict[tuple[int, int], PatchCodebook] = {}
    for f, codebook_size in map(_f_and_k, cards):
        if (f, codebook_size) not in codebooks:
            codebooks[f, codebook_size] = _patch_codebook(photographs, f, codebook_size, num_patches, on_step)
    measured: list[SetFigures] = []
    for name, source in sets.items():
        decoded = [
            _decoded(folder, card, name, source, on_step) for folder, card in zip(models, cards, strict=True)
        ]
        codes = [_of_codes(of_model) for of_model in decoded]
        with_curves = not measured
        files = _files(codes, name, source, on_step, with_curves=with_curves)
        of_codecs = {codec: [of_image[codec.name] for of_image in files] for codec in CODECS}
        of_models = []
        for i, card in enumerate(cards):
            floor = _floor(codebooks[_f_and_k(card)], codes[i], name, source, on_step)
            at_its_rate = {codec.name: _codec_figures(of_codec, i) for codec, of_codec in of_codecs.items()}
            of_models.append(_model_figures(card, decoded[i], floor, at_its_rate))
        curves = {codec.name: _curve(of_codec, codec) for codec, of_codec in of_codecs.items() if with_curves}
        measured.append(SetFigures(name, len(files), tuple(of_models), curves))
    uses = tuple(
        _code_use(folder, card, photographs, num_codes, on_step)
        for folder, card in zip(models, cards, strict=True)
    )
    return Report(machine(), num_patches, tuple(measured), uses, facts, pages_read(lambda rgb: rgb))


def machine() -> dict[str, str]:
    """What a figure may depend on: versions, the codecs' libraries, the processor, the number of threads."""
    libraries = {codec.name: features.version(codec.library) or "unknown" for codec in CODECS}
    if turbo := features.version("libjpeg_turbo"):
        libraries["JPEG"] = f"libjpeg-turbo {turbo}"
    return {
        "vqvae": vqvae.__version__,
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "NumPy": np.__version__,
        "Pillow": PIL.__version__,
        **libraries,
        "tesseract": tesseract_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "threads": str(torch.get_num_threads()),
    }


def _processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


class _Stage:
    """One stage of the work, told step by step."""

    def __init__(self, on_step: OnStep, doing: str, total: int) -> None:
        self._on_step, self._doing, self._total = on_step, doing, total
        self._done = 0
        on_step(doing, 0, total)

    def advance(self, *_: object) -> None:
        self._done += 1
        self._on_step(self._doing, self._done, self._total)


def _f_and_k(card: ModelCard) -> tuple[int, int]:
    return card.space.downsample_factor, card.space.codebook_size


def _patch_codebook(
    photographs: Source, f: int, codebook_size: int, num_patches: int, on_step: OnStep
) -> PatchCodebook:
    stage = _Stage(on_step, f"patches of {f}x{f} from the photographs", len(photographs.keys))
    patches = sample_patches(photographs, f, num_patches, seed=SEED, on_photograph=stage.advance)
    stage = _Stage(on_step, f"k-means, {codebook_size} of {f}x{f}", 1)
    codebook = fit_patch_codebook(patches, codebook_size, seed=SEED)
    stage.advance()
    return codebook


def _facts(folder: Path, card: ModelCard, on_step: OnStep) -> ModelFacts:
    stage = _Stage(on_step, f"{card.name}: flat grounds and text", len(card.decoders))
    return model_facts(folder, stage.advance)


def _decoded(
    folder: Path, card: ModelCard, name: str, source: Source, on_step: OnStep
) -> dict[str, _Decoded]:
    """What every decoder makes of a set; an image is encoded once."""
    grids: dict[str, CodeGrid] = {}
    return {
        decoder: _decoded_by(Tokenizer.load(folder, decoder=decoder), name, source, grids, on_step)
        for decoder in card.decoders
    }


def _decoded_by(
    tokenizer: Tokenizer, name: str, source: Source, grids: dict[str, CodeGrid], on_step: OnStep
) -> _Decoded:
    distances: dict[Network, list[float | None]] = {"st-lpips": [], "efficientnet-lite0": []}

    def measure(rgb: RGB8, x_hat: RGB8) -> None:
        for network, of_images in distances.items():
            of_images.append(perceptual_distance(rgb, x_hat, network))

    stage = _Stage(on_step, f"{tokenizer.space.model}, {tokenizer.decoder_name}: {name}", len(source.keys))
    evaluation = evaluate(tokenizer, source, stage.advance, measure, grids)
    if evaluation.skipped:
        bad = evaluation.skipped[0]
        raise DataError(f"{bad.key} of {name} cannot be read, and a report is of whole sets: {bad.reason}")
    st_lpips, efficientnet_lite0 = map(metrics.mean, distances.values())
    return _Decoded(evaluation, st_lpips, efficientnet_lite0)


def _code_use(folder: Path, card: ModelCard, photographs: Source, num_codes: int, on_step: OnStep) -> CodeUse:
    tokenizer = Tokenizer.load(folder, parts="encoder")
    total = num_batches(tokenizer, num_codes)
    stage = _Stage(on_step, f"{card.name}: {num_codes} codes of held-out photographs", total)
    return code_use(tokenizer, photographs, num_codes, seed=SEED, on_batch=stage.advance)


def _of_codes(decoded: Mapping[str, _Decoded]) -> Evaluation:
    """What all decoders share: the codes."""
    return next(iter(decoded.values())).evaluation


def _floor(
    codebook: PatchCodebook, evaluation: Evaluation, name: str, source: Source, on_step: OnStep
) -> Figures:
    stage = _Stage(on_step, f"k-means at the rate of {evaluation.model}: {name}", len(source.keys))
    images = []
    for image in evaluation.images:
        rgb = decode_image(source.read(image.key))
        images.append(_image(rgb, codebook.reconstruct(rgb), _bits(image)))
        stage.advance()
    return _figures(images)


def _bits(image: ImageFigures) -> float:
    return image.bits_per_pixel * image.width * image.height


def _files(
    evaluations: Sequence[Evaluation], name: str, source: Source, on_step: OnStep, *, with_curves: bool
) -> list[dict[str, _Files]]:
    """Of every image, codec -> its files."""

    def of_image(rows: tuple[ImageFigures, ...]) -> dict[str, _Files]:
        """Rows: the image's, one a model."""
        rgb = decode_image(source.read(rows[0].key))
        max_bits = [_bits(row) for row in rows]
        return {codec.name: _as_files(rgb, codec, max_bits, with_curve=with_curves) for codec in CODECS}

    stage = _Stage(on_step, f"{', '.join(codec.name for codec in CODECS)}: {name}", len(source.keys))
    files = []
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for of_one in pool.map(of_image, zip(*(each.images for each in evaluations), strict=True)):
            files.append(of_one)
            stage.advance()
    return files


def _as_files(rgb: RGB8, codec: Codec, max_bits: Sequence[float], *, with_curve: bool) -> _Files:
    coded = CodedImage(codec, rgb)
    within = [coded.file_within(bits / 8) for bits in max_bits]
    curve = [coded.file(setting) for setting in codec.curve] if with_curve else []
    return _Files(
        within=[_image(rgb, pixels_of(file), 8 * len(file)) for file in within],
        over=[8 * len(file) > bits for file, bits in zip(within, max_bits, strict=True)],
        curve=[_image(rgb, pixels_of(file), 8 * len(file)) for file in curve],
    )


def _image(rgb: RGB8, x_hat: RGB8, num_bits: float) -> _Image:
    fidelity = metrics.psnr(rgb, x_hat), metrics.ssim(rgb, x_hat), metrics.ms_ssim(rgb, x_hat)
    return _Image(num_bits, rgb.shape[0] * rgb.shape[1], *fidelity)


def _figures(images: Sequence[_Image]) -> Figures:
    return Figures(
        bits_per_pixel=sum(image.num_bits for image in images) / sum(image.num_pixels for image in images),
        psnr=metrics.mean(image.psnr for image in images),
        ssim=metrics.mean(image.ssim for image in images),
        ms_ssim=metrics.mean(image.ms_ssim for image in images),
    )


def _codec_figures(files: Sequence[_Files], model: int) -> CodecFigures:
    figures = _figures([of_image.within[model] for of_image in files])
    return CodecFigures(**asdict(figures), num_over=sum(of_image.over[model] for of_image in files))


def _curve(files: Sequence[_Files], codec: Codec) -> tuple[CurvePoint, ...]:
    return tuple(
        CurvePoint(**asdict(_figures([of_image.curve[j] for of_image in files])), setting=setting)
        for j, setting in enumerate(codec.curve)
    )


def _model_figures(
    card: ModelCard, decoded: Mapping[str, _Decoded], floor: Figures, codecs: Mapping[str, CodecFigures]
) -> ModelFigures:
    codes = _of_codes(decoded)
    f, codebook_size = _f_and_k(card)
    return ModelFigures(
        model=card.name,
        fingerprint=card.fingerprint,
        codebook_size=codebook_size,
        downsample_factor=f,
        bits_per_pixel=codes.bits_per_pixel,
        entropy_bits_per_pixel=codes.entropy_bits_per_pixel,
        num_codes=codes.num_codes,
        usage=codes.usage,
        perplexity=codes.perplexity,
        decoders={
            decoder: DecoderFigures(
                each.evaluation.bits_per_pixel,
                each.evaluation.psnr,
                each.evaluation.ssim,
                each.evaluation.ms_ssim,
                each.st_lpips,
                each.efficientnet_lite0,
            )
            for decoder, each in decoded.items()
        },
        floor=floor,
        codecs=codecs,
    )
