"""Paired rounds: in each of them every contender has a turn, and ratios are taken within a round.

So what the machine does to one it does to all, and a slow minute moves no ratio. Turns follow one another, no
two contenders are at work at one time, and the order is turned round from round to round, so that nobody
always comes first.
"""

import time
from collections.abc import Callable, Mapping

MIN_ROUNDS = 5
SETTLE_S = 0.05  # between turns: idle threads of the one before still spin for a moment


def paired(measures: Mapping[str, Callable[[], float]], num_rounds: int) -> dict[str, list[float]]:
    """What each contender's measure gave, round by round; ValueError for fewer than five rounds."""
    if num_rounds < MIN_ROUNDS:
        raise ValueError(f"there must be at least {MIN_ROUNDS} rounds, got {num_rounds}")
    values: dict[str, list[float]] = {name: [] for name in measures}
    for i in range(num_rounds):
        for name in list(measures) if i % 2 == 0 else reversed(measures):
            time.sleep(SETTLE_S)
            values[name].append(measures[name]())
    return values
