"""How the service bears load: half of what it can do, nearly all of it, and more than that.

The queue budget is the time that a full queue takes at the measured rate of work, queue_megapixels over
megapixels a second, or deadline_s where that is less: what cannot be done by then is not accepted.
"""

import logging
from collections.abc import Mapping, Sequence

from clients import Clients, Outcome, poisson
from deck import learned, typical
from report import Claim, Report, machine
from server import serving
from tally import Capacity, Tally, accepted, percentile
from watch import told_the_truth, watching

logger = logging.getLogger("siege")

LEVELS = (0.5, 0.9, 1.5, 4.0)  # of capacity
NUM_CLIENTS = 4  # of the closed loop: one is worked for while another one's file is unpacked
REFUSAL_MS = 20
SLACK = 3  # times the unloaded p99


def load(seconds: float, settings: Mapping[str, str], seed: int) -> Report:
    """Each level for so long, after as long one at a time and as long a closed loop."""
    claims: list[Claim] = []
    with Clients() as clients, serving(settings) as server:
        logger.info("one request at a time for %g s, then a closed loop for as long", seconds)
        deck = learned(server.url, typical(seed))
        alone = clients.closed_loop(server.url, deck, 1, seconds)
        alone_s = percentile([outcome.latency_s for outcome in accepted(alone)], 99)
        capacity = Capacity.of(clients.closed_loop(server.url, deck, NUM_CLIENTS, seconds), deck)
        deadline_s = server.settings.deadline_s
        full_queue_s = server.settings.queue_megapixels / capacity.megapixels_per_s
        budget_s = min(full_queue_s, deadline_s)
        for level in LEVELS:
            logger.info("%.0f %% of capacity for %g s", 100 * level, seconds)
            schedule = poisson(level * capacity.requests_per_s, seconds, deck, seed)
            with watching(server.url) as polls:
                outcomes = clients.open_loop(server.url, deck, schedule).outcomes()
            claims += _of_level(f"at {level:.0%}", outcomes, SLACK * alone_s + budget_s)
            claims.append(told_the_truth(f"at {level:.0%}", polls, outcomes))
    notes = [
        f"Encoding of JPEGs with sides from 256 to 512 pixels, {seconds:g} s at each level, arrivals as of a "
        f"Poisson process, latency from when a request was due. Capacity: {capacity}, by {NUM_CLIENTS} "
        f"clients. Alone, a request takes {alone_s:.3f} s at the 99th percentile. The queue budget is "
        f"{server.settings.queue_megapixels:g} megapixels over {capacity.megapixels_per_s:.3g} a second, "
        f"{full_queue_s:.3g} s, or the deadline of {deadline_s:g} s if that is less.",
        machine(settings),
    ]
    return Report("load", claims, notes)


def _of_level(level: str, outcomes: Sequence[Outcome], most_s: float) -> list[Claim]:
    tally = Tally.of(outcomes)
    latencies_s = [outcome.latency_s for outcome in accepted(outcomes)]
    p50_s, p99_s = percentile(latencies_s, 50), percentile(latencies_s, 99)
    late_s = percentile([outcome.sent_at - outcome.due_at for outcome in outcomes], 99)
    refusals_ms = [1000 * outcome.wait_s for outcome in outcomes if outcome.status == 429]
    p99_ms = percentile(refusals_ms, 99)
    return [
        Claim(
            f"{level}: p99 of the accepted under {SLACK} times that of a lone request plus the queue budget",
            f"{p99_s:.3f} s of {most_s:.3f} s, p50 {p50_s:.3f} s; sent {late_s:.3f} s after due at p99",
            p99_s < most_s,
        ),
        Claim(
            f"{level}: every request is answered rightly, or 429 with Retry-After",
            str(tally),
            tally.is_clean,
        ),
        Claim(
            f"{level}: who is refused is told within {REFUSAL_MS} ms of the last byte",
            f"p50 {percentile(refusals_ms, 50):.1f} ms, p99 {p99_ms:.1f} ms"
            if refusals_ms
            else "none refused",
            not refusals_ms or p99_ms <= REFUSAL_MS,
        ),
    ]
