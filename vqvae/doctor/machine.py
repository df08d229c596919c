"""The machine as a process finds it: system, processor, memory, and what its cgroups leave of them."""

import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

CPUINFO, CGROUP, OWN_CGROUPS = Path("/proc/cpuinfo"), Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")

# In Linux's words, those that torch's kernels choose by; asimd is NEON.
FEATURES = (
    *("avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni"),
    *("avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    *("neon", "asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2"),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """What the process runs on; None where the system does not tell, or sets no limit."""

    system: str
    processor: str
    architecture: str
    features: tuple[str, ...] | None
    cores: int
    usable_cores: int  # by the process's affinity
    cpu_quota: float | None  # cores' worth of time
    memory_bytes: int | None
    memory_limit_bytes: int | None


def machine() -> Machine:
    """This machine."""
    cores = os.cpu_count() or 1
    return Machine(
        system=_system(),
        processor=_of_cpuinfo("model name") or platform.processor() or "unknown",
        architecture=platform.machine(),
        features=_features(),
        cores=cores,
        usable_cores=len(os.sched_getaffinity(0)) if sys.platform == "linux" else cores,
        cpu_quota=cpu_quota(),
        memory_bytes=_memory_bytes(),
        memory_limit_bytes=memory_limit(),
    )


def cpu_quota(cgroup: Path = CGROUP, own: Path = OWN_CGROUPS) -> float | None:
    """Cores' worth of time that the process's cgroups leave it, the least of them; None without a limit."""
    quotas = []
    for folder in _cgroups("cpu", cgroup, own):
        for files in ("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us"):  # v2, v1
            numbers = " ".join(_text(folder / file) for file in files).split()
            if len(numbers) == 2 and numbers[0] not in ("max", "-1"):
                quotas.append(int(numbers[0]) / int(numbers[1]))
    return min(quotas, default=None)


def memory_limit(cgroup: Path = CGROUP, own: Path = OWN_CGROUPS) -> int | None:
    """Bytes that the process's cgroups let it have, the least of them; None without a limit."""
    limits = []
    for folder in _cgroups("memory", cgroup, own):
        for file in "memory.max", "memory.limit_in_bytes":  # v2, v1, whose "none" is nearly 2^63
            number = _text(folder / file).strip()
            if number.isdecimal() and int(number) < 2**60:
                limits.append(int(number))
    return min(limits, default=None)


def _cgroups(controller: str, cgroup: Path, own: Path) -> Iterator[Path]:
    """The process's cgroup of a controller and those around it, any of which may have limits."""
    for line in _text(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = cgroup / controller if controllers else cgroup  # v1 has a tree for each controller
        parts = PurePosixPath(path).parts[1:]
        for depth in range(len(parts) + 1):
            yield root.joinpath(*parts[:depth])


def _system() -> str:
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        name = ""
    libc = " ".join(platform.libc_ver())
    return ", ".join(filter(None, [f"{platform.system()} {platform.release()}", name, libc.strip()]))


def _features() -> tuple[str, ...] | None:
    has = (_of_cpuinfo("flags") or _of_cpuinfo("Features")).split()  # x86, ARM
    return tuple(feature for feature in FEATURES if feature in has) if has else None


def _of_cpuinfo(field: str) -> str:
    """What Linux says of the first core; nothing elsewhere."""
    for line in _text(CPUINFO).splitlines():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return ""


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError:
        return ""
