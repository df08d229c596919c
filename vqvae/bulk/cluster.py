"""The engine of many machines: actors of a Ray cluster with a model each.

They are driven by Ray's core and not over Ray Data, which takes all of its items before it begins and throws
away what is under way when it is told to stop; an engine does neither.

Every node must see the source, the model and the folder of the codes by the same paths, and have the same
versions of what is installed. Between kinds of machines a code may differ where two vectors are equally near:
let the nodes be of one kind.
"""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import ray
from ray import ObjectRefGenerator
from ray.actor import ActorHandle
from ray.exceptions import RayError, RayTaskError

from vqvae.bulk.crew import Death, Gathered, Ready, run_crew
from vqvae.bulk.manifest import MANIFEST, THREADS
from vqvae.bulk.records import ShardRecord
from vqvae.bulk.shard import ShardWork, Tally, encode_shard
from vqvae.errors import BulkError, ConfigError, VqvaeError
from vqvae.tokenizer import Tokenizer

OF_A_CLIENT = "address must be HOST:PORT or auto, got {}; run this on a node of the cluster"


class OnRay:
    """Workers that are actors; each asks for a CPU a thread, and for a GPU if the device is one.

    Where this process is in a cluster already (`ray.init`), that is used. Otherwise `address` is as Ray means
    it: HOST:PORT of a head; "auto", the cluster of this machine; None, that too, or one started for the job.

    Args:
        model: a name or a folder; every actor loads it, once.
        workers: without it, as many as the cluster has room for. More wait until it grows.
        device: cpu, or cuda: the GPU that Ray gives an actor.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        workers: int | None = None,
        address: str | None = None,
        device: str = "cpu",
    ) -> None:
        if address is not None and address.startswith("ray://"):  # of a client, which hears no streams
            raise ConfigError(OF_A_CLIENT.format(address))
        self._model = model
        self._workers = workers
        self._address = address
        self._device = device

    def run(self, work: Iterable[ShardWork], on_images: Callable[[Tally], None]) -> Generator[ShardRecord]:
        """The record of each piece as it is finished; of failures, see `run_crew`."""
        with _connected(self._address):
            readers = 1 if self._device == "cpu" else _cpus_of_a_gpu()
            needs = {"CPU": max(THREADS, readers), "GPU": int(self._device == "cuda")}
            crew = _Crew(needs, (self._model, self._device, readers))
            yield from run_crew(crew, self._workers or _room(needs), work, on_images)


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """Within, this process is in a cluster; BulkError where there is none."""
    if ray.is_initialized():  # by our caller, whose it stays
        yield
        return
    at_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address, include_dashboard=False, logging_level=logging.CRITICAL, log_to_driver=False)
    except Exception as error:  # of a node that does not start, no more than that
        what = "no Ray cluster can be started" if address is None else f"no Ray cluster answers at {address}"
        raise BulkError(f"{what}: {error}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, at_sigterm)  # which Ray took, to end at once
    try:
        if ray.util.client.ray.is_connected():  # type: ignore[no-untyped-call]  # by RAY_ADDRESS
            raise ConfigError(OF_A_CLIENT.format(os.environ.get("RAY_ADDRESS")))
        yield
    finally:
        ray.shutdown()


def _cpus_of_a_gpu() -> int:
    """CPUs that each GPU may have for itself, on every node."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    shares = [node.get("CPU", 0) // node["GPU"] for node in nodes if node.get("GPU")]
    return max(1, int(min(shares, default=1)))


def _room(needs: dict[str, int]) -> int:
    """How many actors the cluster has room for; BulkError where it has none."""
    there = ray.cluster_resources()  # type: ignore[no-untyped-call]
    room = min(int(there.get(name, 0) // number) for name, number in needs.items() if number)
    if not room:
        raise BulkError(
            f"the Ray cluster has {there.get('CPU', 0):g} CPUs and {there.get('GPU', 0):g} GPUs, a worker "
            f"takes {needs['CPU']} and {needs['GPU']}; add a node, or give --workers if some are to come"
        )
    return room


class _Crew:
    """Actors by what they are saying, which is a stream."""

    def __init__(self, needs: dict[str, int], arguments: tuple[str | Path, str, int]) -> None:
        self._actor: Any = ray.remote(
            num_cpus=needs["CPU"], num_gpus=needs["GPU"], scheduling_strategy="SPREAD"
        )(_Actor)
        self._arguments = arguments
        self._streams: dict[ObjectRefGenerator, ActorHandle[_Actor]] = {}

    def hire(self) -> None:
        actor = self._actor.remote()
        self._listen(actor, actor.load, os.getcwd(), *self._arguments)

    def messages(self) -> Iterator[tuple[ActorHandle["_Actor"], object]]:
        streams, _ = ray.wait(list(self._streams))
        for stream in streams:
            actor, message = self._streams[stream], _next(stream)
            if not isinstance(message, Tally):
                del self._streams[stream]
            yield actor, message

    def tell(self, actor: ActorHandle["_Actor"], piece: ShardWork) -> None:
        self._listen(actor, actor.encode, piece)

    def dismiss(self, actor: ActorHandle["_Actor"]) -> None:
        ray.kill(actor)

    def end(self) -> None:
        for actor in self._streams.values():
            ray.kill(actor)

    def _listen(self, actor: ActorHandle["_Actor"], method: Any, *arguments: object) -> None:
        self._streams[method.options(num_returns="streaming").remote(*arguments)] = actor


def _next(stream: ObjectRefGenerator) -> object:
    """What an actor says next: its message, its exception, or its end."""
    try:
        return ray.get(next(stream))
    except RayTaskError as error:
        return error.cause if isinstance(error.cause, VqvaeError) else error
    except RayError as error:
        return Death(f"was lost ({str(error).splitlines()[-1]})")


class _Actor:
    """A worker on some node, where it is a process of its own."""

    def load(self, folder: str, model: str | Path, device: str, readers: int) -> Iterator[Ready]:
        """Load the model; what is said relative to a folder is so here too."""
        with suppress(FileNotFoundError):
            os.chdir(folder)
        self._tokenizer = Tokenizer.load(model, device=device, parts="encoder")
        self._readers = readers
        yield Ready()

    def encode(self, piece: ShardWork) -> Iterator[Tally | ShardRecord]:
        """Do a piece: its tallies, then its record."""
        for path in (piece.folder / MANIFEST, Path(piece.manifest.source.path)):
            if not path.exists():  # else all images would be bad
                raise BulkError(
                    f"{path} is not there on node {socket.gethostname()}; every node of the cluster must see "
                    "the images and the codes by the same paths"
                )
        tallies: SimpleQueue[Tally | None] = SimpleQueue()

        def work() -> ShardRecord:
            progress = Gathered(tallies.put)
            try:
                return encode_shard(piece, self._tokenizer, readers=self._readers, on_images=progress.add)
            finally:
                progress.flush()
                tallies.put(None)

        with ThreadPoolExecutor(1) as thread:
            record = thread.submit(work)
            while (tally := tallies.get()) is not None:
                yield tally
            yield record.result()
