"""A set of images as a table: every decoder of the models, with codecs at its rate and its floor below."""

from collections.abc import Sequence

from vqvae.quality.figures import Figures, ModelFigures, SetFigures
from vqvae.quality.tables import Row, Table, as_figure

HEADS = (
    "",
    "bits per pixel",
    "of entropy",
    "PSNR, dB",
    "SSIM",
    "MS-SSIM",
    "ST-LPIPS",
    "Lite0",
    "usage",
    "perplexity",
    "codes",
)


def set_table(of_set: SetFigures, models: Sequence[ModelFigures]) -> Table:
    """One set, of some of its models; the models in bold."""
    rows = tuple(row for model in models for row in _rows(model))
    images = "image" if of_set.num_images == 1 else "images"
    return Table(HEADS, rows, title=f"{of_set.name}, {of_set.num_images} {images}")


def _rows(model: ModelFigures) -> list[Row]:
    of_codes = (
        f"{model.usage:.1%}",
        f"{model.perplexity:.0f} of {model.codebook_size}",
        str(model.num_codes),
    )
    rows = [
        Row(
            (
                f"{model.model}, {decoder}",
                f"{figures.bits_per_pixel:.4f}",
                f"{model.entropy_bits_per_pixel:.4f}",
                *_fidelity(figures),
                as_figure(figures.st_lpips, 3),
                as_figure(figures.efficientnet_lite0, 3),
                *of_codes,
            ),
            is_bold=True,
        )
        for decoder, figures in model.decoders.items()
    ]
    for codec, figures in model.codecs.items():
        over = f" ({figures.num_over} over)" if figures.num_over else ""
        rows.append(_plain(codec, f"{figures.bits_per_pixel:.4f}{over}", figures))
    f = model.downsample_factor
    rows.append(_plain(f"k-means on {f}x{f} patches", f"{model.floor.bits_per_pixel:.4f}", model.floor))
    return rows


def _plain(label: str, bits_per_pixel: str, figures: Figures) -> Row:
    return Row((label, bits_per_pixel, "", *_fidelity(figures), *[""] * 5))


def _fidelity(figures: Figures) -> tuple[str, str, str]:
    return as_figure(figures.psnr, 2), as_figure(figures.ssim, 4), as_figure(figures.ms_ssim, 4)
