"""Workers: the same bytes for any number, and what happens when one dies."""

import multiprocessing
import os
import threading
import time

import pytest

from vqvae.bulk import Processes, Tally, plan_job, run_job
from vqvae.errors import BulkError, FingerprintError, ModelError


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
    assert told[-1].here == Tally(8, 1, 5 * 960 + 63 + 33 * 64)


@pytest.mark.parametrize(("model", "error"), [("other", FingerprintError), ("missing", ModelError)])
def test_an_error_of_a_worker_is_the_job_s(encode, photographs, weights, tmp_path, model, error):
    with pytest.raises(error):
        encode(photographs, tmp_path / "codes", engine=Processes(weights / model, workers=1))
    assert multiprocessing.active_children() == []


def test_a_worker_that_is_killed_ends_the_job_and_the_shards_before_it_stay(encode, files, weights, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.png").write_bytes(files["a/0.png"])
    os.mkfifo(images / "b.png")  # whoever reads it waits for ever

    def kill():
        while not list((tmp_path / "codes").glob("data/.codes-00001*")):
            time.sleep(0.01)
        for process in multiprocessing.active_children():
            process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    engine = Processes(weights / "tiny", workers=1)
    with pytest.raises(BulkError, match=r"was killed by SIGKILL in the middle of codes-00001\.parquet"):
        encode(images, tmp_path / "codes", engine=engine, shard_size=1)
    killer.join()
    assert [path.name for path in (tmp_path / "codes/done").iterdir()] == ["codes-00000.parquet.json"]
    (images / "b.png").unlink()
    (images / "b.png").write_bytes(b"")
    assert encode(images, tmp_path / "codes", shard_size=1).is_complete
