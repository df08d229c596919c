"""`vqvae bulk encode`, as its user meets it: signals, kills and exit codes among the rest."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
COMMAND = ("bulk", "encode", "images", "codes", "-m", "tiny", "--shard-size", "3", "--max-error-rate", "1")
NO_IMAGE = "image must be a JPEG, PNG, WebP, GIF, BMP or TIFF; its first bytes are of none"


def started(folder, weights, *arguments):
    """The command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "vqvae", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "VQVAE_WEIGHTS": str(weights)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, seconds=300):
    """Wait until it is so; asserts that it comes to be."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def children_of(pid):
    """The processes that a process has started, on Linux."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def num_done(folder):
    return len(list((folder / "codes/done").glob("[!.]*")))


def killed(folder, weights, *, among_shards, delay_s):
    """The exit code of a run of which the main process alone is killed; its workers go by themselves."""
    before = num_done(folder)
    process = started(folder, weights, *COMMAND, "--workers", "2", "--shard-size", "1")
    if among_shards:
        wait_for(lambda: num_done(folder) > before or process.poll() is not None)
    time.sleep(delay_s)
    workers = children_of(process.pid) if process.poll() is None else []
    process.kill()
    process.communicate()
    wait_for(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in workers))
    return process.returncode


def test_it_says_what_it_made(vqvae, images):
    ended = vqvae(*COMMAND, "--workers", "1")
    assert ended.code == 0
    first, *others = ended.out.splitlines()
    assert first.startswith("codes: 12 images in 4 shards, 81 codes, ")
    assert others == ["1 of the images (8.33%) are bad; the first:", f"  05.png: {NO_IMAGE}"]
    assert ended.err == ""


def test_dry_run_tells_and_writes_nothing(vqvae, images, tmp_path):
    size = sum(path.stat().st_size for path in images.iterdir())
    ended = vqvae(*COMMAND, "--size", "16", "--workers", "9", "--dry-run")
    assert ended.code == 0
    assert ended.out.splitlines() == [
        f"source   images, 12 images, {size / 1000:.1f} kB",
        f"model    tiny@{model_of(vqvae)}, one of 64 codes for 8x8 pixels",
        "images   the middle as 16x16 pixels: 2x2 codes",
        "shards   4 of at most 3 images, parquet, about 36 B",
        "left     4 of 4 shards, for 4 workers",
    ]
    assert not (tmp_path / "codes").exists()
    vqvae(*COMMAND, "--workers", "1")
    assert "left     0 of 4 shards, for 1 worker\n" in vqvae(*COMMAND, "--dry-run").out


def model_of(vqvae):
    return json.loads(vqvae("info", "tiny", "--json").out)["fingerprint"][:12]


def test_too_many_bad_images_end_it_with_2_and_the_first_of_them(vqvae, images, tmp_path):
    ended = vqvae(*COMMAND[:-2], "--workers", "1")
    assert ended.code == 2
    assert ended.err == (
        f"error: 1 of 6 images so far are bad, more than 0.01 of all 12: 05.png: {NO_IMAGE}. Their rows are "
        "written; with a higher --max-error-rate the same command goes on\n"
    )
    assert num_done(tmp_path) == 2
    assert vqvae(*COMMAND, "--workers", "1").code == 0


def test_another_model_or_size_is_refused_with_what_differs(vqvae, images, tmp_path, contents):
    vqvae(*COMMAND, "--workers", "1")
    before = contents(tmp_path / "codes")
    ended = vqvae(*COMMAND, "-m", "other")
    assert ended.code == 2
    assert "codes was begun otherwise: space.model was tiny, now other; space.fingerprint was" in ended.err
    ended = vqvae(*COMMAND, "--size", "8")
    assert (ended.code, "options.size was 0, now 8. Go on as it was begun" in ended.err) == (2, True)
    assert contents(tmp_path / "codes") == before


@pytest.mark.parametrize(("module", "extra"), [("pyarrow", "bulk"), ("ray", "cluster")])
def test_without_an_extra_it_says_how_to_get_it(images, weights, tmp_path, module, extra):
    code = f"import sys; sys.modules[{module!r}] = None; from vqvae.cli import main; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, *COMMAND, "--engine", "ray"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "VQVAE_WEIGHTS": str(weights)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"error: this command needs the extra `{extra}`; install it with: pip install 'vqvae[{extra}]'\n"
    )
    assert not (tmp_path / "codes").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--address", "auto"), "--address is of a Ray cluster; give --engine ray too"),
        (
            ("--engine", "ray", "--device", "auto"),
            "with --engine ray, --device must be cpu or cuda, got auto",
        ),
    ],
)
def test_what_does_not_go_with_an_engine_is_refused(vqvae, images, arguments, said):
    ended = vqvae(*COMMAND, *arguments)
    assert (ended.code, said in ended.err) == (2, True)


def test_on_ray_the_number_of_workers_is_the_cluster_s_unless_it_is_given(vqvae, images):
    on_ray = (*COMMAND, "--engine", "ray", "--dry-run")
    assert vqvae(*on_ray).out.endswith("left     4 of 4 shards, for all workers that Ray has room for\n")
    assert vqvae(*on_ray, "--workers", "9").out.endswith("left     4 of 4 shards, for 4 workers\n")


@pytest.mark.parametrize("kills", [2, pytest.param(30, marks=pytest.mark.slow)])
def test_killed_at_random_it_ends_with_the_bytes_of_an_undisturbed_run(
    vqvae, images, weights, tmp_path, contents, kills
):
    if not Path("/proc/self/task").exists():
        pytest.skip("needs Linux's /proc")
    for number in range(40):
        os.link(images / f"{number % 4:02}.png", images / f"more-{number:02}.png")
    codes = tmp_path / "codes"
    assert vqvae(*COMMAND, "--workers", "1", "--shard-size", "1").code == 0
    expected = contents(codes)
    codes.rename(tmp_path / "undisturbed")
    dice = random.Random(kills)
    seen = {0}
    for _ in range(kills):
        among_shards = dice.random() < 0.7
        delay_s = dice.uniform(0, 0.2 if among_shards else 4)
        code = killed(tmp_path, weights, among_shards=among_shards, delay_s=delay_s)
        seen.add(num_done(tmp_path))
        if code == 0:
            assert contents(codes) == expected
            shutil.rmtree(codes)
    assert len(seen) > 1
    assert vqvae(*COMMAND, "--workers", "1", "--shard-size", "1").code == 0
    assert contents(codes) == expected


def test_sigterm_ends_it_at_a_shard_s_edge_with_143(vqvae, images, weights, tmp_path, contents):
    for number in range(400):  # so that it is not over before it is asked to end
        os.link(images / "00.png", images / f"more-{number:03}.png")
    process = started(tmp_path, weights, *COMMAND, "--workers", "1", "--shard-size", "2")
    wait_for(lambda: num_done(tmp_path) >= 3)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 143
    done = num_done(tmp_path)
    assert 3 <= done < 206
    assert out.startswith(f"codes: {2 * done} images in {done} shards, ")
    assert err == f"stopped: {done} of 206 shards are finished; the same command does the rest\n"
    assert len(list((tmp_path / "codes/data").iterdir())) == done
    assert vqvae(*COMMAND, "--workers", "1", "--shard-size", "2").code == 0
    assert vqvae("bulk", "verify", "codes").code == 0


def test_ctrl_c_ends_it_at_once_with_130_and_no_half_files(images, weights, tmp_path):
    os.remove(images / "05.png")
    os.mkfifo(images / "05.png")  # a worker that reads it waits for ever
    process = started(tmp_path, weights, *COMMAND, "--workers", "2")
    wait_for(lambda: num_done(tmp_path) == 3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out, err) == (130, "", "")
    assert num_done(tmp_path) == 3


@pytest.mark.parametrize("command", ["encode", "verify", "stats"])
def test_help_shows_examples(vqvae, command):
    lines = vqvae("bulk", command, "--help").out.splitlines()
    assert lines[2].endswith(".")
    assert [line for line in lines if line.startswith(f"      vqvae bulk {command} ")]
    purposes = vqvae("bulk").out
    assert purposes == vqvae("bulk", "--help").out
    assert "..." not in purposes.split("Commands:")[1]
