"""A running service under damaged bodies: what is claimed, and what came."""

import logging
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

import httpx
from report import Claim
from server import Server

from fuzz.asking import Outcome, ask
from fuzz.cases import Case, draw_case
from fuzz.goods import good_bodies
from vqvae.code_grid import CodeSpace

logger = logging.getLogger("siege")

LOOKING_S = 10  # at the headers of a case's images, before its deadline begins
MOST_GROWTH = 1.25  # of memory, after the first tenth
NUM_TOLD = 3  # cases that a figure names
POOLS = ("headers", "unpacking", "model")


def besiege(server: Server, num_cases: int, seed: int, folder: Path) -> list[Claim]:
    """So many cases; the bodies of those where something is amiss are kept in the folder."""
    card = server.client.get("/v1/models").json()["data"][0]
    space = CodeSpace(card["name"], card["fingerprint"], card["codebook_size"], card["downsample_factor"])
    goods, settings = good_bodies(space), server.settings
    most_work = 2 * settings.request_megapixels  # reconstruct passes over an image twice
    most_s = LOOKING_S + settings.deadline_s + settings.deadline_s_per_megapixel * most_work
    asked = partial(ask, server.url, space=space, patience_s=2 * most_s)
    intact = [Case(good, good.body, good.content_type) for good in goods]
    cases = (draw_case(goods, seed, number) for number in range(num_cases))

    logger.info("fuzz: %d good bodies, then %d damaged ones", len(goods), num_cases)
    of_intact = asked(intact)
    outcomes = asked(islice(cases, num_cases // 10))
    early_bytes = server.resident_bytes[1]
    outcomes += asked(cases)
    late_bytes = server.resident_bytes[1]
    of_intact += asked(intact)

    def claim(text: str, figure: str, is_amiss: Callable[[Outcome], object]) -> Claim:
        """A claim that holds where nothing is amiss; bodies of the cases where it is are kept."""
        numbers = [number for number, outcome in enumerate(outcomes) if is_amiss(outcome)]
        for number in numbers:
            (folder / f"seed{seed}-case{number}").write_bytes(draw_case(goods, seed, number).body)
        told = [f"case {number}: {outcomes[number].wrong}" for number in numbers[:NUM_TOLD]]
        told += [f"{len(numbers)} bodies are in {folder}"] if numbers else []
        return Claim(text, "; ".join([figure, *told]), not numbers)

    def wrong(hundred: int) -> Callable[[Outcome], object]:
        return lambda outcome: (
            outcome.wrong and outcome.status is not None and outcome.status // 100 == hundred
        )

    statuses = Counter(outcome.status for outcome in outcomes)
    seconds = sorted(outcome.seconds for outcome in outcomes)
    restarts = {pool: server.metric("vqvae_worker_restarts_total", pool=pool) for pool in POOLS}
    num_accepted = sum(outcome.status == httpx.codes.OK and not outcome.wrong for outcome in of_intact)
    num_failed = sum(num for status, num in statuses.items() if status is not None and status >= 500)
    return [
        Claim(
            f"{len(goods)} good bodies are accepted, before and after",
            f"{num_accepted} of {len(of_intact)}",
            num_accepted == len(of_intact),
        ),
        claim(
            f"{num_cases} damaged bodies (seed {seed}) are answered, each of them",
            ", ".join(f"{num} by {status}" for status, num in sorted(statuses.items(), key=str)),
            lambda outcome: outcome.status is None,
        ),
        claim("no 5xx but a 503 or a 504 that says why", f"{num_failed}", wrong(5)),
        claim("every refusal is a problem of its status", "read, all of them", wrong(4)),
        claim("every 200 is what it says", "read, all of them", wrong(2)),
        claim(
            f"no answer takes longer than deadline and headers do, {most_s:g} s",
            f"median {seconds[len(seconds) // 2]:.3f} s, slowest {seconds[-1]:.2f} s",
            lambda outcome: outcome.seconds > most_s,
        ),
        Claim(
            f"memory grows by at most {MOST_GROWTH - 1:.0%} after the first tenth, child processes included",
            f"{early_bytes / 2**20:.0f} MiB, then {late_bytes / 2**20:.0f} MiB",
            late_bytes <= MOST_GROWTH * early_bytes,
        ),
        Claim(
            "the model's worker is not replaced; processes that read files may be",
            ", ".join(f"{pool} {num:g} times" for pool, num in restarts.items()),
            not restarts["model"],
        ),
    ]
