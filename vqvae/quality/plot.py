"""The rate-distortion plot: codecs as curves, models and their floors as points, on one set of images."""

import io
from collections.abc import Callable
from functools import partial
from itertools import cycle, pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from vqvae.quality.figures import Figures, SetFigures

Measure = Callable[[Figures], float | None]

INK, PALE = "#24292f", "#8c959f"
CODEC_COLOURS = ("#9aa3ad", "#5a9a78", "#4f7cac", "#8a66ab")  # in the report's order, over and over
MODEL_COLOURS = ("#d1495b", "#e08e2b", "#00798c")
HALO = [withStroke(linewidth=4, foreground="white")]  # names stay legible where they cross a curve
DECODER_MARKERS = ("o", "D", "s")
RATES = 0.03, 1.25  # bits per pixel shown; the curves end before, and their names have the rest
RATE_TICKS = (0.03, 0.05, 0.1, 0.2, 0.4, 0.8)
MS_SSIM_TICKS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


def rate_distortion_plot(figures: SetFigures) -> bytes:
    """A PNG: PSNR on the left and MS-SSIM on the right over bits per pixel; equal figures, equal bytes."""
    canvas = Figure(figsize=(10, 4.4), dpi=160, layout="constrained")
    left, right = canvas.subplots(1, 2)
    names: list[list[Annotation]] = []
    for axes, name, measure in (
        (left, "PSNR, dB", lambda each: each.psnr),
        (right, "MS-SSIM", lambda each: each.ms_ssim),
    ):
        _style(axes, f"{name} on {figures.name}, {figures.num_images} images")
        names.append(_draw_codecs(axes, figures, measure))
        _draw_models(axes, figures, measure)
    # what is lost, 1 - MS-SSIM, over its powers of ten: near 1, where all curves would lie on one another
    right.set_yscale(
        "function", functions=(lambda y: -np.log10(np.maximum(1 - y, 1e-6)), lambda y: 1 - 10**-y)
    )
    right.yaxis.set_major_locator(FixedLocator(MS_SSIM_TICKS))
    right.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    _legend(right)
    for of_panel in names:
        _part(canvas, of_panel)
    file = io.BytesIO()
    canvas.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _style(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xscale("log")
    axes.set_xlim(RATES)
    axes.xaxis.set_major_locator(FixedLocator(RATE_TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.set_xlabel("bits per pixel", color=INK)
    axes.grid(color="#e6e9ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=0)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)


def _draw_codecs(axes: Axes, figures: SetFigures, measure: Measure) -> list[Annotation]:
    """One curve a codec; returns their names, each at the end of its curve."""
    names = []
    for (codec, curve), colour in zip(figures.curves.items(), cycle(CODEC_COLOURS), strict=False):
        points = [(point.bits_per_pixel, y) for point in curve if (y := measure(point)) is not None]
        if not points:
            continue
        axes.plot(*zip(*points, strict=True), color=colour, linewidth=1.8)
        name = axes.annotate(
            codec,
            points[-1],
            xytext=(6, -2),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=9,
        )
        names.append(name)
    return names


def _part(canvas: Figure, names: list[Annotation]) -> None:
    """Move names that lie on one another apart, up and down."""
    canvas.draw_without_rendering()
    points_per_pixel = 72 / canvas.dpi
    names = sorted(names, key=lambda name: name.get_window_extent().y0)
    for lower, upper in pairwise(names):
        overlap = lower.get_window_extent().y1 - upper.get_window_extent().y0
        for name, direction in (lower, -1), (upper, 1):
            x, y = name.xyann
            name.xyann = x, y + direction * max(0.0, overlap) / 2 * points_per_pixel


def _draw_models(axes: Axes, figures: SetFigures, measure: Measure) -> None:
    for model, colour in zip(figures.models, cycle(MODEL_COLOURS), strict=False):
        for (decoder, of_decoder), marker in zip(
            model.decoders.items(), cycle(DECODER_MARKERS), strict=False
        ):
            y = measure(of_decoder)
            if y is None:
                continue
            rates = model.entropy_bits_per_pixel, model.bits_per_pixel
            axes.plot(rates, (y, y), color=colour, linewidth=1.2)
            axes.plot(rates[:1], [y], marker, color=colour, markerfacecolor="white", markersize=7)
            axes.plot(rates[1:], [y], marker, color=colour, markersize=7)
            axes.annotate(
                f"{model.model}, {decoder}" if len(model.decoders) > 1 else model.model,
                (rates[1], y),
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
                color=colour,
                fontsize=9,
                fontweight="bold",
                path_effects=HALO,
            )
        y = measure(model.floor)
        if y is not None:
            axes.plot([model.floor.bits_per_pixel], [y], "x", color=colour, markersize=7, markeredgewidth=1.8)


def _legend(axes: Axes) -> None:
    """What the markers mean; names stand beside what they name."""
    plot = partial(axes.plot, [], [], linestyle="none", color=PALE, markersize=7)
    plot(marker="o", label="raw bits")
    plot(marker="o", markerfacecolor="white", label="entropy-coded bits")
    plot(marker="x", markeredgewidth=1.8, label="k-means on patches: the floor")
    axes.legend(loc="lower right", frameon=False, fontsize=9, labelcolor=INK)
