"""A client that sends cases, some at one time, and notes what became of each."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass

import httpx

from fuzz.answers import check_answer
from fuzz.cases import Case
from vqvae.code_grid import CodeSpace

NUM_CONNECTIONS = 4
MOST_TOLD = 160  # characters of what is wrong with an answer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case."""

    status: int | None  # None: no answer
    seconds: float
    wrong: str | None  # what is


def ask(url: str, cases: Iterable[Case], space: CodeSpace, patience_s: float) -> list[Outcome]:
    """Outcomes in the order of the cases, of which some are under way at one time."""
    numbered = enumerate(cases)
    outcomes: dict[int, Outcome] = {}

    async def connection(client: httpx.AsyncClient) -> None:
        for number, case in numbered:
            outcomes[number] = await _ask(client, case, space)

    async def all_connections() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=patience_s) as client:
            await asyncio.gather(*(connection(client) for _ in range(NUM_CONNECTIONS)))

    asyncio.run(all_connections())
    return [outcomes[number] for number in sorted(outcomes)]


async def _ask(client: httpx.AsyncClient, case: Case, space: CodeSpace) -> Outcome:
    headers = {"Content-Type": case.content_type.encode("latin-1"), "Accept": case.accept}
    began = time.monotonic()
    try:
        answer = await client.post(case.good.path, params=case.good.query, content=case.body, headers=headers)
    except httpx.TransportError as error:
        return Outcome(None, time.monotonic() - began, repr(error))
    seconds = time.monotonic() - began
    try:
        check_answer(answer, space)
    except Exception as error:  # whatever reading it raises: it is not what it should be
        return Outcome(answer.status_code, seconds, f"{answer.status_code}, {error!r}"[:MOST_TOLD])
    return Outcome(answer.status_code, seconds, None)
