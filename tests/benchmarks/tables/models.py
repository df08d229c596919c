"""Encoding and decoding of one image in float32 beside VQ-16, each at its better of PyTorch and ONNX Runtime.

A ratio is the peer's time over ours. Two of our models stand beside VQ-16: photo-f8, whose four codes for one
of VQ-16's are the harder thing to do, and photo-f16, which has as many. VQ-f8 has a table of its own.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from contenders import Contender
from figures import Goal, Row, Spread, Table
from machine import machine
from paired import paired

from tables.our_models import exported, ours, ours_in_onnx_runtime
from tables.peers import VQ_16, Peer, eager, onnx

logger = logging.getLogger("benchmarks")

GOALS = {"encode": Goal("at least", 28), "decode": Goal("at least", 22)}  # over VQ-16
DIRECTIONS = ("encode", "decode")
WAYS = ("PyTorch", "ONNX Runtime")
LONG_S = 2  # a call that takes longer is worth being spared
CLOSE = 1.3  # but not where the other way takes nearly as long, for a first call is slow


@dataclass(frozen=True, slots=True)
class Match:
    """Who stands beside whom."""

    names: tuple[str, ...]  # of our models
    peer: Peer
    goals: Mapping[str, Goal]  # by direction
    directions: tuple[str, ...] = DIRECTIONS


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is measured."""

    sides: tuple[int, ...]
    threads: tuple[int, ...]
    width: int  # of the peers, 128 as published
    round_s: float


FULL = Sizes(sides=(256, 1024), threads=(1, 2), width=128, round_s=0.5)
QUICK = Sizes(sides=(64,), threads=(1,), width=32, round_s=0.02)


def models(num_rounds: int, *, quick: bool) -> Table:
    """Encode and decode against diffusers' VQModel as VQ-16."""
    names = ("photo-f8",) if quick else ("photo-f8", "photo-f16")
    return beside("models", Match(names, VQ_16, GOALS), num_rounds, quick=quick)


def beside(table: str, match: Match, num_rounds: int, *, quick: bool) -> Table:
    """A table of our models beside one peer."""
    sizes = QUICK if quick else FULL
    peer = match.peer
    small = replace(match, peer=replace(peer, width=sizes.width))
    rows = []
    with TemporaryDirectory() as folder:
        for side in sizes.sides:
            for threads in sizes.threads:
                logger.info("%d pixels a side, %d threads", side, threads)
                seconds = _seconds(side, threads, small, sizes.round_s, Path(folder), num_rounds)
                rows += [
                    _row(what, side, threads, name, match, seconds)
                    for what in match.directions
                    for name in match.names
                ]
    rows.sort(key=lambda row: DIRECTIONS.index(row.labels[0]))
    notes = (
        "One image at a time, a float32 tensor in [-1, 1] to codes and codes to such a tensor, the "
        "nearest-code search included. A ratio is the peer's time over ours, each at the better of PyTorch "
        "as it comes, channels last, and ONNX Runtime. A figure without quartiles is of one call, which took "
        f"over {LONG_S} s and over {CLOSE:g} times as long as that of the other way; the rounds went without "
        f"it. The peer is diffusers' VQModel with random weights as {peer.source}, f "
        f"{peer.downsample_factor}, K {peer.codebook_size}, {peer.num_parameters / 1e6:.1f} million "
        "parameters; its graph for ONNX Runtime is of this very size of image, ours of any. How the pictures "
        "compare is another question.",
        machine("diffusers", "onnxruntime"),
    )
    labels = ("what", "pixels", "threads", "ours", "peer")
    heads = (*(f"ours, {way}, ms" for way in WAYS), *(f"peer, {way}, ms" for way in WAYS), "times faster")
    return Table(table, labels, heads, tuple(rows), notes)


def _seconds(
    side: int, threads: int, match: Match, round_s: float, folder: Path, num_rounds: int
) -> dict[str, Spread]:
    """Seconds a call, by `_key`."""
    names, peer = match.names, match.peer
    files = {name: exported(name) for name in names}
    seconds: dict[str, Spread] = {}
    with (
        Contender(ours, names, side, threads=threads) as in_torch,
        Contender(ours_in_onnx_runtime, files, side, threads, threads=threads) as in_onnx_runtime,
        Contender(eager, peer, side, threads=threads) as peer_in_torch,
    ):
        for what in match.directions:
            timers = {
                _key(name, what, way): contender.timer(f"{name} {what}", round_s)
                for way, contender in zip(WAYS, (in_torch, in_onnx_runtime), strict=True)
                for name in names
            }
            # one direction at a time: ONNX Runtime keeps what memory it has had
            with Contender(onnx, peer, side, what, threads, folder, threads=threads) as peer_in_onnx_runtime:
                ways = dict(zip(WAYS, (peer_in_torch, peer_in_onnx_runtime), strict=True))
                first_s = {way: contender.warm(what) for way, contender in ways.items()}
                for way, contender in ways.items():
                    if first_s[way] < max(LONG_S, CLOSE * min(first_s.values())):
                        timers[_key(peer.name, what, way)] = contender.timer(what, round_s)
                    else:
                        seconds[_key(peer.name, what, way)] = Spread.of([first_s[way]])
                seconds |= {key: Spread.of(values) for key, values in paired(timers, num_rounds).items()}
    return seconds


def _row(what: str, side: int, threads: int, name: str, match: Match, seconds: Mapping[str, Spread]) -> Row:
    our_ms, their_ms = (
        [seconds[_key(each, what, way)].times(1000) for way in WAYS] for each in (name, match.peer.name)
    )
    best, theirs = (
        min((ms for ms in ways if len(ms.rounds) > 1), key=lambda ms: ms.median)
        for ways in (our_ms, their_ms)
    )
    labels = (what, f"{side}²", str(threads), name, match.peer.name)
    return Row(labels, (*our_ms, *their_ms, theirs.over(best)), match.goals.get(what))


def _key(name: str, what: str, way: str) -> str:
    return f"{name} {what} {way}"
