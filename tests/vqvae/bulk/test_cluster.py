"""Workers on a Ray cluster of two nodes: the bytes of a run here, whatever happens to the workers."""

import logging
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from vqvae.bulk import Options, Outcome, Tally, plan_job, run_job
from vqvae.errors import BulkError, ConfigError, FingerprintError
from vqvae.pixels import encode_image
from vqvae.sources import Source

ray = pytest.importorskip("ray")
from ray.cluster_utils import Cluster  # noqa: E402

from vqvae.bulk.cluster import OnRay  # noqa: E402

ROOT = Path(__file__).parents[3]
STORE_BYTES = 80 * 2**20
NUM_STARTS = 5
ALL = Tally(8, 1, 5 * 960 + 63 + 33 * 64)  # of the photographs


@pytest.fixture(scope="module")
def address(only_ray):
    """A cluster of two nodes of one CPU each, this process in it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        node = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
        at_sigterm = signal.getsignal(signal.SIGTERM)
        cluster = Cluster()
        try:
            for _ in range(2):
                add_node(cluster, node)
            ray.init(cluster.address, logging_level=logging.ERROR, log_to_driver=False)
            signal.signal(signal.SIGTERM, at_sigterm)
            # the tests' own classes are in no module that a node could import
            ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
            yield cluster.address
        finally:
            ray.shutdown()
            cluster.shutdown()
            signal.signal(signal.SIGTERM, at_sigterm)


def add_node(cluster, node):
    """Ray gives a node 30 s to start, and a busy machine is no failure."""
    for _ in range(NUM_STARTS - 1):
        with suppress(Exception):  # it raises no other
            return cluster.add_node(**node)
    return cluster.add_node(**node)


@dataclass(frozen=True)
class Noted:
    """A source that notes in a file which process on which node reads, and begins to when so many do."""

    source: Source
    notes: Path
    num_workers: int
    deadly: Path  # see the fixture
    last: str  # key whose reader is killed

    def __setstate__(self, state):  # in the actor that it is sent to
        self.__dict__.update(state)
        if str(self.deadly) not in sys.path:
            sys.path.insert(0, str(self.deadly))  # for the processes that it starts
            runpy.run_path(str(self.deadly / "sitecustomize.py"))

    @property
    def keys(self):
        return self.source.keys

    def size(self, key):
        return self.source.size(key)

    def mark(self, key):
        return self.source.mark(key)

    def part(self, keys):
        return replace(self, source=self.source.part(keys))

    def read(self, key):
        with self.notes.open("a") as file:
            file.write(f"{ray.get_runtime_context().get_node_id()} {os.getpid()}\n")
        while len(set(self.notes.read_text().splitlines())) < self.num_workers:
            time.sleep(0.01)
        if key == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.source.read(key)


@dataclass(frozen=True)
class Ran:
    outcome: Outcome
    here: Tally  # by its progress
    reads: list[tuple[str, ...]]  # (node, process) of each


@pytest.fixture
def run(photographs, weights, deadly, address, tmp_path):
    """Encodes images, three a shard."""

    def on_ray(
        images=photographs, *, workers=1, model=weights / "tiny", last="", on_progress=None, **options
    ):
        options = Options(shard_size=3, **options)
        job = plan_job(images, tmp_path / "codes", model=weights / "tiny", options=options)
        source = Noted(job.source, tmp_path / "notes", workers, deadly, last)
        told = []

        def tell(progress):
            told.append(progress)
            if on_progress is not None:
                on_progress(progress)

        engine = OnRay(model, workers=workers)
        outcome = run_job(replace(job, source=source), engine, max_error_rate=1, on_progress=tell)
        reads = [tuple(line.split()) for line in source.notes.read_text().splitlines()]
        return Ran(outcome, told[-1].here, reads)

    return on_ray


def test_both_nodes_work_and_the_bytes_are_those_of_a_run_here(run, finished, contents, tmp_path):
    ran = run(workers=2)
    assert len({node for node, _ in ran.reads}) == len(set(ran.reads)) == 2
    assert len(ran.reads) == 8
    assert ran.here == ALL
    assert contents(tmp_path / "codes") == contents(finished)


def test_an_actor_loads_the_model_once(run, weights, encode, photographs, contents, tmp_path):
    model = shutil.copytree(weights / "tiny", tmp_path / "tiny")

    def forget(progress):
        if progress.here.num_images:
            shutil.rmtree(model, ignore_errors=True)

    ran = run(model=model, on_progress=forget, format="webdataset")
    assert len(set(ran.reads)) == 1
    assert not model.exists()
    encode(photographs, tmp_path / "here", shard_size=3, format="webdataset")
    assert contents(tmp_path / "codes") == contents(tmp_path / "here")


def test_an_actor_that_is_killed_costs_its_shard_s_retry_and_no_more(
    run, deadly, finished, contents, tmp_path
):
    (deadly / "once").touch()
    ran = run()
    assert not (deadly / "once").exists()
    assert len(set(ran.reads)) == 2
    assert 8 < len(ran.reads) <= 8 + 3
    assert ran.here == ALL
    assert contents(tmp_path / "codes") == contents(finished)


def test_three_actors_killed_over_one_shard_end_the_job_and_what_is_finished_stays(
    run, encode, photographs, finished, contents, tmp_path
):
    with pytest.raises(
        BulkError, match=r"was lost \(.*\) in the middle of codes-00002\.parquet, as 2 before it"
    ):
        run(last="b/twin.png")
    assert len(list((tmp_path / "codes/done").iterdir())) == 2
    encode(photographs, tmp_path / "codes", shard_size=3)
    assert contents(tmp_path / "codes") == contents(finished)


def test_an_image_that_crashes_its_actor_costs_its_own_row(run, files, picture, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.png").write_bytes(files["a/0.png"])
    (images / "b.png").write_bytes(encode_image(picture(13, 13, seed=0)))
    outcome = run(images).outcome
    assert outcome.first_errors == ("b.png: image cannot be decoded: its decoder crashed",)
    assert outcome.num_codes == 15


def test_an_error_of_an_actor_is_the_job_s(run, weights):
    with pytest.raises(FingerprintError) as error:
        run(model=weights / "other")
    assert type(error.value) is FingerprintError


def test_a_cluster_without_room_says_so(address, encode, photographs, weights, tmp_path):
    with pytest.raises(BulkError, match="the Ray cluster has 2 CPUs and 0 GPUs, a worker takes 1 and 1"):
        encode(photographs, tmp_path / "codes", engine=OnRay(weights / "tiny", device="cuda"))


def test_a_client_s_address_is_refused(weights):
    with pytest.raises(ConfigError, match=r"address must be HOST:PORT or auto, got ray://head:10001"):
        OnRay(weights / "tiny", address="ray://head:10001")


def test_sigterm_ends_the_command_at_a_shard_s_edge(
    address, encode, photographs, weights, contents, tmp_path
):
    images = tmp_path / "images"
    images.mkdir()
    for number in range(200):  # so that it is not over before it is asked to end
        os.link(photographs / "a/0.png", images / f"{number:03}.png")
    command = ("bulk", "encode", "images", "codes", "--shard-size", "2", "-m", weights / "tiny")
    process = subprocess.Popen(
        [sys.executable, "-m", "vqvae", *command, "--engine", "ray", "--address", address],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    done = tmp_path / "codes/done"
    while process.poll() is None and len(list(done.glob("[!.]*"))) < 3:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=300)
    num_done = len(list(done.iterdir()))
    assert (process.returncode, err) == (
        143,
        f"stopped: {num_done} of 100 shards are finished; the same command does the rest\n",
    )
    assert 3 <= num_done < 100
    assert out.startswith(f"codes: {2 * num_done} images in {num_done} shards, ")
    for folder in ("codes", "here"):  # the rest, and all of it
        encode(images, tmp_path / folder, shard_size=2)
    for folder in ("data", "done"):
        assert contents(tmp_path / "codes" / folder) == contents(tmp_path / "here" / folder)
