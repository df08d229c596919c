"""Cgroups as Linux shows them: one tree in v2, a tree for each controller in v1, limits anywhere above."""

import pytest

from vqvae.doctor import machine
from vqvae.doctor.machine import cpu_quota, memory_limit

NO_LIMIT = "9223372036854771712\n"  # as v1 says it


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("own", "files", "quota", "limit"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n", "memory.max": "4096\n"}, 1.5, 4096),
        ("0::/\n", {"cpu.max": "max 100000\n", "memory.max": "max\n"}, None, None),
        (
            "0::/a/b\n",
            {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "400000 100000\n", "a/memory.max": "8192\n"},
            4,
            8192,
        ),
        ("0::/a\n", {"cpu.max": "100000 100000\n", "a/cpu.max": "200000 100000\n"}, 1, None),
        (
            "4:memory:/c\n3:cpu,cpuacct:/c\n0::/\n",
            {
                "cpu/c/cpu.cfs_quota_us": "50000\n",
                "cpu/c/cpu.cfs_period_us": "100000\n",
                "cpu/cpu.cfs_quota_us": "-1\n",
                "cpu/cpu.cfs_period_us": "100000\n",
                "memory/c/memory.limit_in_bytes": "16384\n",
                "memory/memory.limit_in_bytes": NO_LIMIT,
            },
            0.5,
            16384,
        ),
        # a container without a namespace of its own is told a path that it cannot see
        ("4:memory:/docker/1\n", {"memory/memory.limit_in_bytes": "4096\n"}, None, 4096),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": NO_LIMIT}, None, None),
    ],
    ids=["v2", "v2 max", "v2 above", "v2 the least", "v1", "v1 hidden", "v1 none"],
)
def test_the_least_limit_of_the_cgroups_counts(tmp_path, own, files, quota, limit):
    write(tmp_path, {"own": own})
    write(tmp_path / "cgroup", files)
    assert cpu_quota(tmp_path / "cgroup", tmp_path / "own") == quota
    assert memory_limit(tmp_path / "cgroup", tmp_path / "own") == limit


def test_without_cgroups_there_is_no_limit(tmp_path):
    assert cpu_quota(tmp_path, tmp_path / "none") is None
    assert memory_limit(tmp_path, tmp_path / "none") is None


@pytest.mark.parametrize(
    ("cpuinfo", "processor", "features"),
    [
        (
            "processor : 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx2 avx512_bf16 fma\n\nmodel name : B\n",
            "AMD EPYC",
            ("avx2", "fma", "avx512_bf16"),
        ),
        ("processor\t: 0\nFeatures\t: fp asimd sve\n", None, ("asimd", "sve")),
        ("", None, None),
    ],
    ids=["x86", "ARM", "no Linux"],
)
def test_the_processor_is_told_by_name_and_by_what_matters(
    tmp_path, monkeypatch, cpuinfo, processor, features
):
    write(tmp_path, {"cpuinfo": cpuinfo})
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    here = machine.machine()
    assert here.processor == (processor or here.processor)
    assert here.processor
    assert here.features == features


def test_this_machine_has_cores_and_memory():
    here = machine.machine()
    assert 1 <= here.usable_cores <= here.cores
    assert here.memory_bytes is None or here.memory_bytes > 2**26
