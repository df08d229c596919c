"""The core of `python tests/benchmarks`: rounds, ratios, verdicts, blocks, contenders; nothing is timed."""

import importlib
import os
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

FOLDER = Path(__file__).parent / "benchmarks"
PAGE = (FOLDER / "README.md").read_text("utf-8")
CORE = ("asking", "contenders", "figures", "pages", "paired", "results")


@pytest.fixture(scope="module")
def bench():
    """The modules of the core, by name; `load` imports another one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        modules = {name: importlib.import_module(name) for name in CORE}
        yield SimpleNamespace(**modules, load=importlib.import_module)


@pytest.fixture
def table(bench):
    figures = bench.figures
    ours, theirs = (
        figures.Spread.of([1.0, 2.0, 3.0, 4.0, 5.0]),
        figures.Spread.of([30.0, 60.0, 90.0, 120.0, 150.0]),
    )
    rows = (
        figures.Row(("encode", "256²"), (ours, theirs.over(ours)), figures.Goal("at least", 28)),
        figures.Row(("decode", "256²"), (ours, theirs.over(ours)), figures.Goal("at most", 28)),
        figures.Row(("look", "256²"), (figures.Spread.of([1.0]), ours)),
    )
    return figures.Table("models", ("what", "pixels"), ("ours, ms", "ratio"), rows, ("One.", "Two."))


def test_a_spread_is_the_median_and_the_quartiles(bench):
    spread = bench.figures.Spread.of([5.0, 1.0, 2.0, 4.0, 3.0])
    assert (spread.median, spread.lower, spread.upper) == (3, 2, 4)
    assert spread.rounds == (5, 1, 2, 4, 3)


def test_a_ratio_is_taken_within_a_round_so_that_a_slow_one_moves_nothing(bench):
    slowness = [1.0, 1.0, 7.0, 1.0, 3.0]
    ours = bench.figures.Spread.of([2 * slow for slow in slowness])
    theirs = bench.figures.Spread.of([6 * slow for slow in slowness])
    ratio = theirs.over(ours)
    assert (ratio.median, ratio.lower, ratio.upper) == (3, 3, 3)


@pytest.mark.parametrize(
    ("side", "bound", "value", "verdict"),
    [
        ("at least", 28, 28.0, "met"),
        ("at least", 28, 27.9, "not met"),
        ("at most", 2, 2.0, "met"),
        ("at most", 2, 2.1, "not met"),
        ("at least", 28, float("nan"), "not met"),
        ("at most", 2, float("nan"), "not met"),
    ],
)
def test_a_goal_is_held_against_the_median_of_the_last_figure(bench, side, bound, value, verdict):
    figures = bench.figures
    row = figures.Row(
        ("x",), (figures.Spread.of([0.0]), figures.Spread.of([value])), figures.Goal(side, bound)
    )
    assert row.verdict == verdict


def test_without_a_goal_there_is_no_verdict(table):
    assert [row.verdict for row in table.rows] == ["met", "not met", ""]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.01234, "0.012"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (-12.34, "-12.3")],
)
def test_figures_have_three_significant_digits(bench, value, text):
    assert bench.figures.as_text(value) == text


def test_everyone_has_a_turn_in_every_round_in_alternating_order(bench, monkeypatch):
    monkeypatch.setattr(bench.paired.time, "sleep", lambda _: None)
    turns = []

    def measure(name):
        turns.append(name)
        return float(len(turns))

    values = bench.paired.paired({name: partial(measure, name) for name in "abc"}, 5)
    assert "".join(turns) == "abccbaabccbaabc"
    assert values["a"] == [1, 6, 7, 12, 13]


def test_fewer_than_five_rounds_are_refused(bench):
    with pytest.raises(ValueError, match="at least 5 rounds, got 4"):
        bench.paired.paired({"a": float}, 4)


def test_a_table_comes_back_from_json_as_it_was(bench, table, tmp_path):
    file = tmp_path / "folder" / "results.json"
    bench.results.keep(table, file)
    assert bench.results.read_results(file) == {"models": table}


def test_a_table_takes_the_place_of_the_one_of_its_name_alone(bench, table, tmp_path):
    file = tmp_path / "results.json"
    other = bench.figures.Table("http", table.labels, table.figures, table.rows, ("Other.",))
    newer = bench.figures.Table("models", table.labels, table.figures, table.rows[:1], ())
    for each in (table, other, newer):
        bench.results.keep(each, file)
    assert bench.results.read_results(file) == {"models": newer, "http": other}


def test_a_table_in_markdown_has_goals_verdicts_and_notes(bench, table):
    lines = bench.pages.as_markdown(table).splitlines()
    assert lines[0] == "| what | pixels | ours, ms | ratio | goal | verdict |"
    assert lines[2] == "| encode | 256² | 3.00 (2.00 to 4.00) | 30.0 (30.0 to 30.0) | at least 28 | met |"
    assert lines[4] == "| look | 256² | 1.00 | 3.00 (2.00 to 4.00) |  |  |"
    assert lines[5:] == ["", "One.", "", "Two."]


def test_blocks_are_written_anew_and_the_rest_stays(bench, table):
    kept = "b\n<!-- bench:http -->\nkept\n<!-- /bench:http -->\n"
    text = f"a\n<!-- bench:models -->\nold\n<!-- /bench:models -->\n{kept}"
    filled = bench.pages.fill_blocks(text, {"models": table})
    assert bench.pages.as_markdown(table) in filled
    assert "old" not in filled
    assert filled.endswith(kept)
    assert bench.pages.fill_blocks(filled, {"models": table}) == filled


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("<!-- bench:model -->\n<!-- /bench:model -->", "there is no table model; there are models, http"),
        ("<!-- bench:models -->\n", "has no"),
        ("<!-- bench:models -->\n<!-- /bench:http -->", "has no"),
        ("<!-- /bench:http -->", "has no"),
    ],
)
def test_marks_that_nothing_would_fill_are_refused(bench, text, complaint):
    with pytest.raises(ValueError, match=complaint):
        bench.pages.check_blocks(text, ["models", "http"])


def test_the_page_has_a_block_for_every_table(bench):
    tables = {
        path.stem
        for path in (FOLDER / "tables").glob("*.py")
        if f"def {path.stem}(num_rounds" in path.read_text()
    }
    bench.pages.check_blocks(PAGE, tables)
    assert set(re.findall(r"^<!-- bench:(\S+) -->$", PAGE, re.M)) == tables


def test_the_page_shows_the_results_that_are_kept(bench):
    assert bench.pages.fill_blocks(PAGE, bench.results.read_results(FOLDER / "results.json")) == PAGE


def test_a_row_that_does_not_fit_under_the_heads_is_refused(bench, table):
    with pytest.raises(ValueError, match="a row of models does not fit under its heads: encode"):
        replace(table, labels=("what",))


def test_the_knee_is_the_fewest_clients_with_nearly_the_best_rate(bench):
    assert bench.asking.knee_of({1: 30.0, 2: 49.0, 4: 50.0, 8: 48.0}) == 2


def test_a_contender_has_its_own_threads_and_says_what_went_wrong(bench):
    works = {
        "OMP_NUM_THREADS": partial(os.getenv, "OMP_NUM_THREADS"),
        "fails": partial(int, "x"),
        "takes": partial(os.urandom, 30_000_000),
    }
    before = dict(os.environ)
    with bench.contenders.Contender(dict, works, threads=1) as contender:
        assert os.environ == before
        assert contender.result("OMP_NUM_THREADS") == "1"
        with pytest.raises(RuntimeError, match="invalid literal"):
            contender.result("fails")
        assert contender.timer("OMP_NUM_THREADS", 0)() > 0  # it goes on after a failure
        assert contender.peak_bytes("takes") > 29_000_000 > contender.peak_bytes("OMP_NUM_THREADS")
    with pytest.raises(RuntimeError, match="invalid literal"):
        bench.contenders.Contender(int, "x", threads=1)


def test_peers_have_as_many_parameters_as_were_published(bench):
    pytest.importorskip("diffusers")
    peers = bench.load("tables.peers")
    assert round(peers.VQ_16.num_parameters / 1e6) == 72  # LlamaGen's VQ-16
    vq_8 = replace(peers.VQ_F8, latent_channels=256, codebook_dim=8)
    assert round(vq_8.num_parameters / 1e6) == 70  # LlamaGen's VQ-8, which is LDM's VQ-f8 with wider latents


def test_the_limit_is_of_the_convolutions_that_the_networks_have(bench):
    pytest.importorskip("onnxruntime")
    import torch  # noqa: PLC0415 - it takes its time

    from vqvae.model import Encoder, EncoderConfig  # noqa: PLC0415
    from vqvae.model.cost import cost_of_encoder  # noqa: PLC0415

    limit = bench.load("tables.limit")
    with torch.device("meta"):
        shapes = limit.shapes_of(Encoder(EncoderConfig(), 8), torch.empty(1, 3, 256, 256))
    assert sum(shape.gflop for shape in shapes) == pytest.approx(cost_of_encoder(EncoderConfig(), 8).gflop)


def test_both_quantizers_find_the_same_codes(bench):
    pytest.importorskip("vector_quantize_pytorch")
    quantizer = bench.load("tables.quantizer")
    ours, theirs = (make((256,), 8)["256"]() for make in (quantizer.ours, quantizer.theirs))
    assert (ours.codes == theirs[1]).all()


def test_bulk_and_what_stands_beside_it_make_the_same_codes(bench, tmp_path):
    pytest.importorskip("pyarrow")
    from vqvae.bulk import CodeDataset, InProcess, Options, plan_job, run_job  # noqa: PLC0415
    from vqvae.bulk.shard import threads  # noqa: PLC0415
    from vqvae.tokenizer import Tokenizer  # noqa: PLC0415

    bulk = bench.load("tables.bulk")
    case = bulk.Case(600, 530, size=512, num_more=3)
    bulk.write_pictures(tmp_path / "pictures", case, case.per_call)
    job = plan_job(tmp_path / "pictures", tmp_path / "codes", options=Options(size=case.size))
    run_job(job, InProcess(Tokenizer.load(bulk.MODEL)))
    codes = CodeDataset(tmp_path / "codes")
    with threads(1):  # as bulk has
        made = {name: work() for name, work in bulk.library(tmp_path / "pictures", case).items()}
    assert list(made) == ["alone one by one", "alone in batches", "JPEG one by one", "JPEG in batches"]
    for of_way in made.values():
        assert all(np.array_equal(*pair) for pair in zip(of_way, map(np.asarray, codes), strict=True))
