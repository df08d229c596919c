"""Workers: the same bytes for any number, and what happens when one dies."""

import multiprocessing
import os
import threading
import time

import pytest

from vqvae import Tokenizer
from vqvae.bulk import Options, Processes, Sample, Tally, plan_job, run_job, verify
from vqvae.errors import BulkError, FingerprintError, ModelError
from vqvae.pixels import encode_image
from vqvae.sources import open_source

ALL = Tally(8, 1, 5 * 960 + 63 + 33 * 64)  # of the photographs


@pytest.mark.parametrize("workers", [1, 3])
def test_bytes_are_the_same_for_any_number_of_workers(
    encode, photographs, weights, finished, contents, tmp_path, workers
):
    encode(photographs, tmp_path / "codes", engine=Processes(weights / "tiny", workers=workers), shard_size=3)
    assert contents(tmp_path / "codes") == contents(finished)
    assert multiprocessing.active_children() == []


def test_progress_comes_from_every_worker(photographs, weights, tmp_path):
    told = []
    job = plan_job(photographs, tmp_path / "codes", model=weights / "tiny")
    run_job(job, Processes(weights / "tiny", workers=1), max_error_rate=1, on_progress=told.append)
    assert told[-1].here == ALL


@pytest.mark.parametrize(("model", "error"), [("other", FingerprintError), ("missing", ModelError)])
def test_an_error_of_a_worker_is_the_job_s(encode, photographs, weights, tmp_path, model, error):
    with pytest.raises(error):
        encode(photographs, tmp_path / "codes", engine=Processes(weights / model, workers=1))
    assert multiprocessing.active_children() == []


def test_a_worker_that_is_killed_costs_its_shard_s_retry(
    photographs, weights, finished, contents, deadly, monkeypatch, tmp_path
):
    monkeypatch.setenv("PYTHONPATH", str(deadly), prepend=os.pathsep)
    (deadly / "once").touch()
    told = []
    job = plan_job(photographs, tmp_path / "codes", model=weights / "tiny", options=Options(shard_size=3))
    engine = Processes(weights / "tiny", workers=2)
    run_job(job, engine, max_error_rate=1, on_progress=told.append)
    assert not (deadly / "once").exists()
    assert told[-1].here == ALL
    assert contents(tmp_path / "codes") == contents(finished)


def test_three_workers_killed_over_one_shard_end_the_job_and_what_is_finished_stays(
    encode, files, weights, tmp_path
):
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.png").write_bytes(files["a/0.png"])
    os.mkfifo(images / "b.png")  # whoever reads it waits for ever

    def kill():
        for number in range(3):
            while len(list((tmp_path / "codes").glob("data/.codes-00001*"))) <= number:
                time.sleep(0.01)
            for process in multiprocessing.active_children():
                process.kill()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    engine = Processes(weights / "tiny", workers=1)
    with pytest.raises(BulkError, match=r"was killed by SIGKILL in the middle of codes-00001\.parquet, as 2"):
        encode(images, tmp_path / "codes", engine=engine, shard_size=1)
    killer.join()
    assert [path.name for path in (tmp_path / "codes/done").iterdir()] == ["codes-00000.parquet.json"]
    (images / "b.png").unlink()
    (images / "b.png").write_bytes(b"")
    assert encode(images, tmp_path / "codes", shard_size=1).is_complete


def test_an_image_that_crashes_its_worker_costs_its_own_row(
    encode, files, picture, weights, deadly, monkeypatch, tmp_path
):
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.png").write_bytes(files["a/0.png"])
    (images / "b.png").write_bytes(encode_image(picture(13, 13, seed=0)))
    (images / "c.png").write_bytes(files["a/1.png"])
    monkeypatch.setenv("PYTHONPATH", str(deadly), prepend=os.pathsep)
    monkeypatch.syspath_prepend(deadly)
    outcome = encode(images, tmp_path / "codes", engine=Processes(weights / "tiny", workers=1))
    assert outcome.first_errors == ("b.png: image cannot be decoded: its decoder crashed",)
    assert outcome.num_codes == 2 * 15
    # to verify it does not end this process, for such an image is unpacked apart
    sample = Sample(open_source(images), Tokenizer.load(weights / "tiny"), 3)
    assert verify(tmp_path / "codes", sample).problems == ()
