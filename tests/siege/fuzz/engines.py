"""What damages bodies for a reader: our own mutations, hypothesis, and libFuzzer, which follows coverage."""

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import hypothesis
from hypothesis import strategies as st

from fuzz.damage import damaged
from fuzz.readers import read, readers

EDITS = st.lists(  # places as parts of the whole, how many bytes go, what comes
    st.tuples(st.floats(0, 1), st.integers(0, 8), st.binary(max_size=8)), max_size=6
)


def try_reader(name: str, seed: int, num_damaged: int, num_examples: int, last: Path | None = None) -> None:
    """Damaged bodies, then those of hypothesis, for a reader; raises what is no error of ours.

    Args:
        last: file for the body that is being read, should it end the process.
    """
    reader, goods = readers()[name]

    def try_to_read(data: bytes) -> None:
        if last is not None:
            last.write_bytes(data)
        read(reader, data)

    for number in range(num_damaged):
        rng = random.Random(f"{seed} {name} {number}")
        try:
            try_to_read(damaged(rng, *rng.choices(goods, k=2)))
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}, damaged body {number}: {error!r}") from error
    bodies = st.builds(_edited, st.sampled_from(goods), EDITS) | st.binary(max_size=300)
    patient = hypothesis.settings(
        max_examples=num_examples,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.seed(seed)(patient(hypothesis.given(bodies)(try_to_read)))()


def try_reader_by_atheris(name: str, arguments: Sequence[str]) -> None:
    """What libFuzzer makes of a reader's coverage, by its own arguments; ends the process."""
    import atheris  # noqa: PLC0415 - not for every Python

    reader, _ = readers()[name]
    atheris.Setup(["fuzz", *arguments], lambda data: read(reader, data))
    atheris.Fuzz()


def _edited(data: bytes, edits: Iterable[tuple[float, int, bytes]]) -> bytes:
    for where, num, new in edits:
        start = int(len(data) * where**2)
        data = data[:start] + new + data[start + num :]
    return data
