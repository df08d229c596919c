"""Each reader tried in processes of its own, which it may end: what is claimed of all, and what came."""

import logging
import os
import re
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

from report import Claim

from fuzz.engines import try_reader
from fuzz.readers import readers

logger = logging.getLogger("siege")

HANG_S = 20  # in libFuzzer
FOLDER = Path(__file__).parents[1]
BY_ATHERIS = """
import sys, atheris
with atheris.instrument_imports(include=["vqvae", "service", "PIL"]):
    from fuzz.engines import try_reader_by_atheris
try_reader_by_atheris(sys.argv[1], sys.argv[2:])
"""


def try_readers(num_damaged: int, num_examples: int, seed: int, folder: Path) -> Claim:
    """So many damaged bodies, then so many of hypothesis, for each."""
    logger.info("fuzz: %d bodies for each reader", num_damaged + num_examples)
    told = [f"{num_damaged} damaged bodies (seed {seed}) and {num_examples} of hypothesis for each"]
    for name in readers():
        last = folder / f"last-{name.replace('/', '-')}"
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_hush) as pool:
            try:
                pool.submit(try_reader, name, seed, num_damaged, num_examples, last).result()
            except BrokenProcessPool:
                told.append(f"{name}: the body in {last} ended the process")
            except Exception as error:
                told.append(f"{name}: {error!r}")
            else:
                last.unlink()
    claim = f"{', '.join(readers())}: read, or refused with an error of ours"
    return Claim(claim, "; ".join(told), len(told) == 1)


def try_readers_by_atheris(num_runs: int, seed: int, folder: Path) -> Claim:
    """So many runs of libFuzzer for each, where it is installed."""
    claim = "the same where coverage leads libFuzzer"
    if find_spec("atheris") is None:
        return Claim(claim, "skipped: atheris is not installed; there is none for every Python", held=True)
    logger.info("fuzz: %d runs of libFuzzer for each reader", num_runs)
    told = [f"{num_runs} runs (seed {seed + 1}) for each"]
    options = [f"-runs={num_runs}", f"-seed={seed + 1}", f"-timeout={HANG_S}", f"-artifact_prefix={folder}/"]
    for name, (_, goods) in readers().items():
        with tempfile.TemporaryDirectory() as corpus:
            for number, good in enumerate(goods):
                (Path(corpus) / str(number)).write_bytes(good)
            ended = subprocess.run(
                [sys.executable, "-c", BY_ATHERIS, name, *options, corpus],
                cwd=FOLDER,
                capture_output=True,
                text=True,
                check=False,
            )
        if ended.returncode:
            cause = re.search(r"Uncaught Python exception: ===\n(.*)", ended.stderr)
            told.append(f"{name}: {cause[1] if cause else 'ended'}; its body is in {folder}")
    return Claim(claim, "; ".join(told), len(told) == 1)


def _hush() -> None:
    """Keep what decoders and parsers say of damage to themselves."""
    warnings.simplefilter("ignore")
    logging.disable()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff writes there by itself
