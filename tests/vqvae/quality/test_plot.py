import dataclasses
import io
import warnings

import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from vqvae.quality import rate_distortion_plot
from vqvae.quality.plot import MODEL_COLOURS


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def num_of_colour(png, colour):
    """Pixels of exactly a colour: lines and markers have some, antialiased text hardly any."""
    return int((pixels(png) == [int(colour[i : i + 2], 16) for i in (1, 3, 5)]).all(-1).sum())


def test_plot_is_a_png_and_the_same_for_the_same_figures(report):
    plots = [rate_distortion_plot(report.sets[0]) for _ in range(2)]
    assert plots[0] == plots[1]
    assert pixels(plots[0]).shape == (704, 1600, 3)
    assert len(plots[0]) < 400_000


def test_every_model_has_its_colour(report):
    of_set = report.sets[0]
    both = rate_distortion_plot(of_set)
    one = rate_distortion_plot(dataclasses.replace(of_set, models=of_set.models[:1]))
    assert [num_of_colour(both, colour) > 100 for colour in MODEL_COLOURS] == [True, True, False]
    assert [num_of_colour(one, colour) > 100 for colour in MODEL_COLOURS] == [True, False, False]


def test_what_is_not_defined_is_left_out_without_a_warning(report):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot = rate_distortion_plot(report.sets[1])  # no MS-SSIM, no curves
    assert num_of_colour(plot, MODEL_COLOURS[0]) > 100


def test_names_of_curves_that_end_together_are_parted(monkeypatch, report):
    of_set = report.sets[0]
    curve = of_set.curves["WebP"]
    lower = tuple(dataclasses.replace(point, psnr=point.psnr - 0.01) for point in curve)
    drawn = []
    annotate = Axes.annotate
    monkeypatch.setattr(
        Axes, "annotate", lambda *args, **kw: drawn.append(annotate(*args, **kw)) or drawn[-1]
    )
    rate_distortion_plot(dataclasses.replace(of_set, models=(), curves={"upper": curve, "lower": lower}))
    upper, lower = (name.get_window_extent() for name in drawn[:2])
    assert upper.y0 >= lower.y1 - 0.1
    assert upper.y0 < lower.y1 + 1
