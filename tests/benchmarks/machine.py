"""What figures depend on besides the code."""

import os
import platform
from collections.abc import Iterable
from importlib.metadata import version

from siege import processor

from service.settings import usable_cpus

OURS = ("vqvae", "torch", "numpy", "pillow")


def machine(*others: str) -> str:
    """The machine, and the versions of what always matters and of these other packages, as a sentence."""
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return (
        f"Made on {usable_cpus()} processors ({processor()}) and {memory_bytes / 2**30:.0f} GiB of memory "
        f"with Python {platform.python_version()}, {_versions((*OURS, *others))}."
    )


def _versions(names: Iterable[str]) -> str:
    return ", ".join(f"{name} {version(name)}" for name in names)
