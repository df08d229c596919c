"""Faults while the service is at work: nobody gets a wrong answer, and nobody who was accepted gets none.

Each fault is done to a service of its own, under a load of 70 % of capacity.
"""

import logging
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import faulty
from clients import Clients, Due, Outcome, poisson
from deck import Request, learned, typical
from hostile import trickle, vanish
from report import Claim, Report, machine
from server import SERVICE, Server, serving
from tally import Capacity, Tally, accepted
from watch import told_the_truth, watching

logger = logging.getLogger("siege")

LEVEL = 0.7  # of capacity
NUM_CLIENTS = 4  # of the closed loop that measures it
FLUSH_S = 5  # beyond drain_s, for the last bytes of answers
WAITING_S = 2.0  # of the load that comes at once, just before SIGTERM, so that some of it waits
KILL_EVERY_S = 1.0
RAISE_EVERY = 7
NUM_SLOW = 20  # clients whose headers are slow, and as many whose bodies are
SOON_S = 2.0  # that a deadline may be late
EVENTUALLY_S = 30.0


@dataclass(frozen=True, slots=True)
class Siege:
    """What all faults share."""

    clients: Clients
    deck: list[Request]
    settings: Mapping[str, str]
    seconds: float
    rate: float  # requests a second
    seed: int

    @property
    def schedule(self) -> list[Due]:
        """The load, without any fault."""
        return poisson(self.rate, self.seconds, self.deck, self.seed)

    def outcomes(self, server: Server, fault: Callable[[float], object] | None = None) -> list[Outcome]:
        """Of the load, while the fault is done, which is told how many seconds there are."""
        load = self.clients.open_loop(server.url, self.deck, self.schedule)
        if fault is not None:
            fault(load.starts_at + self.seconds - time.monotonic())
        return load.outcomes()


def faults(seconds: float, settings: Mapping[str, str], seed: int) -> Report:
    """Each fault for so long."""
    with Clients() as clients:
        logger.info("measuring capacity for %g s", seconds)
        with serving(settings) as server:
            deck = learned(server.url, typical(seed))
            capacity = Capacity.of(clients.closed_loop(server.url, deck, NUM_CLIENTS, seconds), deck)
        siege = Siege(clients, deck, settings, seconds, LEVEL * capacity.requests_per_s, seed)
        claims: list[Claim] = []
        for fault in FAULTS:
            logger.info("%s for %g s", fault.__name__.replace("_", " "), seconds)
            claims += fault(siege)
    notes = [
        f"Each fault for {seconds:g} s, in a service of its own, under {siege.rate:.3g} requests a second, "
        f"{LEVEL:.0%} of capacity: encoding of JPEGs with sides from 256 to 512 pixels.",
        machine(settings),
    ]
    return Report("faults", claims, notes)


def sigterm(siege: Siege) -> list[Claim]:
    """In the middle of the load, with requests waiting."""
    middle_s = siege.seconds / 2
    num_waiting = ceil(WAITING_S * siege.rate)
    waiting = [Due(middle_s - 0.5, i % len(siege.deck)) for i in range(num_waiting)]
    schedule = sorted([*siege.schedule, *waiting], key=lambda due: due.after_s)
    with serving(siege.settings) as server:
        load = siege.clients.open_loop(server.url, siege.deck, schedule)
        time.sleep(load.starts_at + middle_s - time.monotonic())
        signalled_at = time.monotonic()
        code = server.stop()
        end_s = time.monotonic() - signalled_at
        outcomes = load.outcomes()

    def may_be_turned_away(outcome: Outcome) -> bool:
        """Who came too late gets 503, or finds nobody; silence is not for whom the service has noticed."""
        if outcome.status is None:
            return outcome.body_sent_at > signalled_at and outcome.request_id not in server.log
        return outcome.status == 503 and outcome.answered_at > signalled_at

    kept = [outcome for outcome in outcomes if not may_be_turned_away(outcome)]
    num_drained = sum(outcome.answered_at > signalled_at for outcome in accepted(kept))
    tally = Tally.of(kept)
    grace_s = server.settings.drain_s + FLUSH_S
    return [
        Claim(
            "SIGTERM: no wrong answer, nobody lost who was accepted",
            f"{tally}; {num_drained} answered after it, {len(outcomes) - len(kept)} turned away",
            tally.is_clean and num_drained > 0,
        ),
        Claim(
            f"SIGTERM: the service ends with 0 within {grace_s} s",
            f"with {code} after {end_s:.1f} s",
            code == 0 and end_s <= grace_s,
        ),
    ]


def killed_processes(siege: Siege) -> list[Claim]:
    """SIGKILL for one of the processes that look at image files, again and again."""
    rng = random.Random(siege.seed)
    num_killed = 0

    def kill(seconds: float) -> None:
        nonlocal num_killed
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(KILL_EVERY_S)
            with suppress(IndexError, ProcessLookupError):  # none is there for the moment, or it has ended
                os.kill(rng.choice(server.unpacking_processes), signal.SIGKILL)
                num_killed += 1

    with serving(siege.settings) as server:
        num_processes = len(server.unpacking_processes)
        outcomes = siege.outcomes(server, kill)
        replaced = _eventually(lambda: len(server.unpacking_processes) == num_processes)
        num_restarts = server.metric("vqvae_worker_restarts_total")
    return [
        _unharmed("SIGKILL of unpacking processes", outcomes),
        Claim(
            "SIGKILL of unpacking processes: others take their places",
            f"{num_killed} killed, {num_restarts:g} times one was started; in the end "
            + (f"{num_processes} run as before" if replaced else "some are missing"),
            num_killed > 0 and replaced,
        ),
    ]


def raising_model(siege: Siege) -> list[Claim]:
    """An exception in the model at every seventh encoding."""
    with serving(siege.settings, _faulty("raise", RAISE_EVERY)) as server:
        outcomes = siege.outcomes(server)
    hit = [outcome for outcome in outcomes if outcome.status == 500]
    others = [outcome for outcome in outcomes if outcome.status != 500]
    num_logged = sum(f"request {outcome.request_id} failed" in server.log for outcome in hit)
    return [
        _unharmed("exception in the model, but for those whom it hits", others),
        Claim(
            "exception in the model: whom it hits is told 500, and the log knows",
            f"{len(hit)} told 500, {num_logged} of them in the log by their id",
            0 < len(hit) == num_logged,
        ),
    ]


def hanging_model(siege: Siege) -> list[Claim]:
    """The model stands still for eight seconds."""
    fault = f"model that hangs for {faulty.HANG_S:g} s"
    call = len(siege.schedule) // 4
    with serving(siege.settings, _faulty("hang", call)) as server, watching(server.url) as polls:
        outcomes = siege.outcomes(server)
        ready_again = _eventually(lambda: server.client.get("/readyz").is_success)
    num_unready = sum(not poll.is_ready for poll in polls)
    return [
        _unharmed(fault, outcomes),
        Claim(
            f"{fault}: not ready in the meantime, and then again",
            f"not ready {num_unready} times of {len(polls)}, "
            + ("then ready" if ready_again else "and not ready again"),
            num_unready > 0 and ready_again,
        ),
        told_the_truth(fault, polls, outcomes),
    ]


def read_only_disk(siege: Siege) -> list[Claim]:
    """Nothing can be written on any disk, as far as this user may bring that about."""
    with serving(siege.settings, _without_disk(), {"TMPDIR": "/nonexistent"}) as server:
        outcomes = siege.outcomes(server)
        process = Path(f"/proc/{server.process.pid}")
        limits, mounts = (process / "limits").read_text(), (process / "mountinfo").read_text()
    is_mounted = re.search(r"^\S+ \S+ \S+ \S+ / ro[, ]", mounts, re.MULTILINE) is not None
    is_limited = re.search(r"^Max file size +0 ", limits, re.MULTILINE) is not None
    return [
        _unharmed("read-only disk", outcomes),
        Claim(
            "read-only disk: the service had no other",
            ("/ mounted read-only, and " if is_mounted else "simulated, for this user may not mount: ")
            + "no file may grow (RLIMIT_FSIZE), no folder for temporary files",
            is_limited,
        ),
    ]


def vanishing_clients(siege: Siege) -> list[Claim]:
    """Many leave in the middle of their bodies, by turns with FIN and with RST."""
    num_vanished = 0

    def come_and_vanish(seconds: float) -> None:
        nonlocal num_vanished
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            vanish(server.url, siege.deck[0], with_reset=num_vanished % 2 == 0)
            num_vanished += 1

    with serving(siege.settings) as server:
        num_files = server.metric("process_open_fds")
        outcomes = siege.outcomes(server, come_and_vanish)
        closed = _eventually(lambda: server.metric("process_open_fds") <= num_files)
        num_499 = server.metric("vqvae_requests_total", status="499")
    return [
        _unharmed("clients that vanish in their bodies", outcomes),
        Claim(
            "clients that vanish in their bodies leave nothing behind",
            f"{num_vanished} vanished, {num_499:g} noted; connections "
            + ("closed" if closed else "left open"),
            0 < num_vanished == num_499 and closed,
        ),
    ]


def slow_clients(siege: Siege) -> list[Claim]:
    """Many send their headers, or their bodies, a byte a second."""
    limit_s = siege.seconds / 4
    told = []

    def come_and_trickle(seconds: float) -> None:
        told.extend(trickle(server.url, siege.deck[0], NUM_SLOW, seconds))

    with serving({**siege.settings, "headers_s": str(limit_s), "body_s": str(limit_s)}) as server:
        outcomes = siege.outcomes(server, come_and_trickle)
    num_408 = sum(each.status == 408 for each in told)
    last_s = max(each.after_s for each in told)
    return [
        _unharmed("clients that send a byte a second", outcomes),
        Claim(
            f"clients that send a byte a second are told 408 after {limit_s:g} s",
            f"{num_408} of {len(told)}, the last one after {last_s:.1f} s",
            num_408 == len(told) and last_s <= limit_s + SOON_S,
        ),
    ]


FAULTS = (
    sigterm,
    killed_processes,
    raising_model,
    hanging_model,
    read_only_disk,
    vanishing_clients,
    slow_clients,
)


def _unharmed(fault: str, outcomes: Sequence[Outcome]) -> Claim:
    tally = Tally.of(outcomes)
    return Claim(f"{fault}: no wrong answer, nobody lost", str(tally), tally.is_clean and tally.num_right > 0)


def _eventually(condition: Callable[[], bool]) -> bool:
    """Whether it comes true soon."""
    until = time.monotonic() + EVENTUALLY_S
    while not (is_true := condition()) and time.monotonic() < until:
        time.sleep(0.2)
    return is_true


def _faulty(fault: str, call: int) -> list[str]:
    """The service with a fault in its model."""
    return [sys.executable, str(Path(faulty.__file__).resolve()), fault, str(call)]


def _without_disk() -> list[str]:
    """The service where no file may grow and, if this user may mount, / is read-only."""
    limited = ["prlimit", "--fsize=0", *SERVICE]
    mounted = ["unshare", "--mount", "sh", "-c", 'mount -o remount,bind,ro / && exec "$@"', "sh"]
    may_mount = subprocess.run([*mounted, "true"], check=False, capture_output=True).returncode == 0
    return [*mounted, *limited] if may_mount else limited
