"""A long load of all endpoints and of sizes up to 16 megapixels: the service's memory does not grow."""

import logging
import time
from collections.abc import Mapping, Sequence
from statistics import median

from clients import Clients, poisson
from deck import learned, mixed
from report import Claim, Report, machine
from server import Server, serving
from tally import Capacity, Tally

logger = logging.getLogger("siege")

LEVEL = 0.8  # of capacity
NUM_CLIENTS = 4  # of the closed loop that measures it
SAMPLE_S = 5.0
WARM_UP_S = 120.0  # or a tenth of the run, where that is less
MOST_GROWTH = 1.1


def soak(minutes: float, settings: Mapping[str, str], seed: int) -> Report:
    """For so long, after once round the deck with one request at a time, and once at capacity."""
    seconds = 60 * minutes
    with Clients() as clients, serving(settings) as server:
        logger.info("learning the right answers and measuring capacity")
        deck = learned(server.url, mixed(server.url, seed))
        capacity = Capacity.of(clients.closed_loop(server.url, deck, NUM_CLIENTS, 0), deck)
        schedule = poisson(LEVEL * capacity.requests_per_s, seconds, deck, seed)
        logger.info("%d requests in %g minutes", len(schedule), minutes)
        load = clients.open_loop(server.url, deck, schedule)
        num_warm_up = int(min(WARM_UP_S, seconds / 10) / SAMPLE_S)
        own, together = zip(*_sampled(server, load.starts_at + seconds)[num_warm_up:], strict=True)
        tally = Tally.of(load.outcomes())
    claims = [
        Claim("every request is answered rightly, or 429 with Retry-After", str(tally), tally.is_clean),
        _steady("the service's own process", own),
        _steady("the service with its child processes", together),
    ]
    notes = [
        f"{len(schedule)} requests in {minutes:g} minutes, {LEVEL:.0%} of capacity ({capacity}): encoding, "
        f"decoding and reconstruction, {len(deck)} images with sides from 64 to 4096 pixels. Memory is RSS, "
        f"every {SAMPLE_S:g} s after a warm-up of {num_warm_up * SAMPLE_S:g} s; beginning and end are the "
        "medians of a fifth of that time each.",
        machine(settings),
    ]
    return Report("soak", claims, notes)


def _sampled(server: Server, until: float) -> list[tuple[int, int]]:
    """Memory, read again and again."""
    samples = []
    while time.monotonic() < until:
        samples.append(server.resident_bytes)
        time.sleep(SAMPLE_S)
    return samples


def _steady(whose: str, resident_bytes: Sequence[int]) -> Claim:
    num_each = max(1, len(resident_bytes) // 5)
    begin, end = median(resident_bytes[:num_each]), median(resident_bytes[-num_each:])
    least, middle, most = (f(resident_bytes) / 2**20 for f in (min, median, max))
    return Claim(
        f"memory of {whose}: at the end at most {MOST_GROWTH - 1:.0%} more than at the beginning",
        f"{begin / 2**20:.0f} MiB, then {end / 2**20:.0f} MiB ({end / begin - 1:+.1%}); "
        f"least {least:.0f}, median {middle:.0f}, most {most:.0f}",
        end <= MOST_GROWTH * begin,
    )
