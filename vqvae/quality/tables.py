"""The report as tables, one a set: for the terminal and, in Markdown, for README and the models' cards."""

from collections.abc import Sequence
from dataclasses import dataclass

from vqvae.quality.figures import Figures, ModelFigures, Report, SetFigures

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


@dataclass(frozen=True, slots=True)
class Row:
    """One way of storing the set."""

    cells: tuple[str, ...]  # by HEADS
    is_model: bool


@dataclass(frozen=True, slots=True)
class Table:
    """One set."""

    title: str
    rows: tuple[Row, ...]


def tables_of(report: Report) -> list[Table]:
    """Each set: every decoder of every model, with the codecs at the model's rate and its floor below."""
    return [table_of(each, each.models) for each in report.sets]


def table_of(of_set: SetFigures, models: Sequence[ModelFigures]) -> Table:
    """One set, of some of its models."""
    rows = tuple(row for model in models for row in _rows(model))
    images = "image" if of_set.num_images == 1 else "images"
    return Table(f"{of_set.name}, {of_set.num_images} {images}", rows)


def notes_of(report: Report) -> list[str]:
    """How the tables are to be read, and what they were made with."""
    return [
        "Bits per pixel are all bits over all pixels of the set; PSNR, SSIM and MS-SSIM are means over the "
        "images. Usage, perplexity and the bits of entropy are of the set's own codes. ST-LPIPS and Lite0 "
        "are perceptual distances, lower is closer: the first on a network that no decoder was trained on, "
        "the second on EfficientNet-Lite0, whose features a vivid decoder learns from.",
        *(
            f"Over {use.num_codes} codes of crops of photographs that the training held out, {use.model} "
            f"uses {use.usage:.2%} of its codebook, with a perplexity of {use.perplexity:.0f}."
            for use in report.code_use
        ),
        "Under each model stand image files of at most its raw bits, image by image and headers counted (n "
        "over: of n images even the smallest file is larger), and the floor: k-means on "
        f"{report.num_patches} patches of the training photographs.",
        "Made by `make quality` with "
        + ", ".join(f"{name} {value}" for name, value in report.machine.items())
        + ".",
    ]


def as_markdown(report: Report) -> str:
    """All tables and notes; the models in bold."""
    return "\n\n".join([*map(table_as_markdown, tables_of(report)), *notes_of(report)]) + "\n"


def table_as_markdown(table: Table) -> str:
    """One table under its title; the models in bold."""
    lines = [f"**{table.title}**", "", _line(HEADS), "|---" * len(HEADS) + "|"]
    for row in table.rows:
        label, *figures = row.cells
        lines.append(_line((f"**{label}**" if row.is_model else label, *figures)))
    return "\n".join(lines)


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
                _figure(figures.st_lpips, 3),
                _figure(figures.efficientnet_lite0, 3),
                *of_codes,
            ),
            is_model=True,
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
    return Row((label, bits_per_pixel, "", *_fidelity(figures), *[""] * 5), is_model=False)


def _fidelity(figures: Figures) -> tuple[str, str, str]:
    return _figure(figures.psnr, 2), _figure(figures.ssim, 4), _figure(figures.ms_ssim, 4)


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"
