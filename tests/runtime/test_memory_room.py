"""The memory that is left: of the machine, and of cgroups of both versions."""

import sys
from pathlib import Path

import psutil
import pytest

from ortmmap.runtime.memory_room import memory_room

MIB = 1 << 20


def machine(root: Path, files: dict[str, str]) -> str:
    files = {"proc/meminfo": f"MemTotal: 9 kB\nMemAvailable: {4096 * 1024} kB\n", **files}
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


def unified(**files: str) -> dict[str, str]:
    return {
        "proc/self/cgroup": "0::/pod/container\n",
        "proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        **{f"sys/fs/cgroup/pod/{name.replace('__', '/')}": text for name, text in files.items()},
    }


def test_a_machine_without_cgroups(tmp_path):
    assert memory_room(machine(tmp_path, {})) == 4096 * MIB


def test_a_system_that_says_nothing(tmp_path):
    assert memory_room(str(tmp_path)) >= 1 << 60


def test_the_tightest_cgroup_of_version_2_counts(tmp_path):
    files = unified(
        **{
            "memory.max": f"{1000 * MIB}",
            "memory.high": "max",
            "memory.stat": f"anon {900 * MIB}\nfile {90 * MIB}\n",
            "container__memory.max": f"{500 * MIB}",
            "container__memory.high": f"{400 * MIB}",
            "container__memory.stat": f"anon {100 * MIB}\nfile {300 * MIB}\n",
        }
    )
    assert memory_room(machine(tmp_path, files)) == 100 * MIB


def test_no_limit_in_version_2(tmp_path):
    files = unified(**{"memory.max": "max\n", "memory.stat": f"anon {MIB}\n"})
    assert memory_room(machine(tmp_path, files)) == 4096 * MIB


def test_version_1(tmp_path):
    folder = "sys/fs/cgroup/memory/pod"
    files = {
        "proc/self/cgroup": "5:memory:/pod\n4:cpu,cpuacct:/other\n0::/\n",
        "proc/self/mountinfo": "31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        f"{folder}/memory.limit_in_bytes": f"{600 * MIB}\n",
        f"{folder}/memory.stat": f"cache 5\nrss 1\ntotal_cache 5\ntotal_rss {50 * MIB}\n",
    }
    assert memory_room(machine(tmp_path, files)) == 550 * MIB


def test_more_private_memory_than_the_limit_leaves_nothing(tmp_path):
    files = unified(**{"memory.max": f"{MIB}", "memory.stat": f"anon {2 * MIB}\n"})
    assert memory_room(machine(tmp_path, files)) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the files are Linux's")
def test_this_machine():
    assert 0 < memory_room() <= psutil.virtual_memory().total
