"""Damaged bodies by the thousand: what the service answers to them, and what its readers make of them.

Where something is wrong with a case, its body is written to a file that bears the run's seed and the case's
number in its name: these two make it again.
"""

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from math import ceil
from pathlib import Path

from report import Report, machine
from server import serving

from fuzz.readers import SMALL
from fuzz.storm import besiege
from fuzz.trials import try_readers, try_readers_by_atheris

FOR_READERS = 0.25  # of the number of cases: damaged bodies for each, and as many runs of libFuzzer
FOR_HYPOTHESIS = 0.02


def fuzz(cases: int, settings: Mapping[str, str], seed: int) -> Report:
    """So many damaged bodies for the service; then some for each reader, damaged in three ways."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    settings = {**SMALL, **settings}
    with serving(settings) as server:
        claims = besiege(server, cases, seed, folder)
    num_bodies, num_examples = ceil(FOR_READERS * cases), ceil(FOR_HYPOTHESIS * cases)
    claims.append(try_readers(num_bodies, num_examples, seed, folder))
    claims.append(try_readers_by_atheris(num_bodies, seed, folder))
    with suppress(OSError):  # it holds something
        folder.rmdir()
    return Report("fuzz", claims, [machine(settings)])
