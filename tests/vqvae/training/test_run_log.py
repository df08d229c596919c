import json
import sys

import numpy as np
import pytest
from PIL import Image

from vqvae.errors import MissingExtraError
from vqvae.training.run_log import RunLog


def lines_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_every_line_is_an_object_with_its_step(tmp_path):
    log = RunLog(tmp_path, 0)
    log.event(1, 'it "began"')
    log.figures(2, "train", {"loss": 0.5, "learning_rate": 1e-3})
    assert lines_of(tmp_path) == [  # already there, before the log is closed
        {"step": 1, "event": 'it "began"'},
        {"step": 2, "train/loss": 0.5, "train/learning_rate": 1e-3},
    ]
    log.close()


def test_resuming_drops_what_came_after_the_checkpoint(tmp_path):
    log = RunLog(tmp_path, 0)
    for step in (10, 20, 30):
        log.figures(step, "train", {"loss": 1 / step})
    log.close()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 15, "train/lo')  # a kill left it half written
    log = RunLog(tmp_path, 20)
    log.figures(30, "train", {"loss": 7.0})
    log.close()
    assert [(line["step"], line["train/loss"]) for line in lines_of(tmp_path)] == [
        (10, 0.1),
        (20, 0.05),
        (30, 7.0),
    ]


def test_a_run_begun_again_has_an_empty_log(tmp_path):
    for _ in range(2):
        log = RunLog(tmp_path, 0)
        log.event(1, "began")
        log.close()
    assert len(lines_of(tmp_path)) == 1


def test_tensorboard_has_the_figures_and_the_picture(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415

    for first_step, losses in ((0, {10: 0.5, 20: 0.25, 30: 0.2}), (20, {30: 0.125})):
        log = RunLog(tmp_path, first_step)
        for step, loss in losses.items():
            log.figures(step, "train", {"loss": loss})
        log.picture(first_step + 10, [np.zeros((8, 8, 3), np.uint8)], [np.ones((8, 8, 3), np.uint8)])
        log.close()
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in board.Scalars("train/loss")] == [
        (10, 0.5),
        (20, 0.25),
        (30, 0.125),
    ]
    assert [event.step for event in board.Images("reconstructions")] == [10, 30]


def test_originals_stand_above_their_reconstructions(tmp_path):
    red, blue, dark = (
        np.full((4, 6, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255), (9, 9, 9))
    )
    log = RunLog(tmp_path, 0)
    log.picture(12, [red, blue], [dark, red])
    log.close()
    pixels = np.asarray(Image.open(tmp_path / "pictures" / "step-0000012.png"))
    assert np.array_equal(pixels, np.block([[[red], [blue]], [[dark], [red]]]))


def test_without_tensorboard_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(
        MissingExtraError, match=r"training needs the extra `train`; install it with: pip install"
    ):
        RunLog(tmp_path, 0)
