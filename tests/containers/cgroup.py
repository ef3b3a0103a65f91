"""Control groups of version 1 and 2: limits on memory and processor time, and what was charged."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_MOUNTED = Path("/sys/fs/cgroup")
_PERIOD = 100_000  # microseconds of processor time that a quota is a part of


@dataclass(frozen=True)
class Cgroup:
    """A control group: one folder under version 2, one a controller under version 1."""

    folders: dict[str, Path]  # by controller, memory and cpu
    unified: bool  # version 2

    def limit_memory(self, limit: int) -> None:
        """Set the limit, in bytes; the kernel reclaims pages of files, then kills."""
        name = "memory.max" if self.unified else "memory.limit_in_bytes"
        (self.folders["memory"] / name).write_text(str(limit))

    def limit_cpu(self, cpus: float) -> None:
        """Set the quota, in processors."""
        quota, folder = int(cpus * _PERIOD), self.folders["cpu"]
        if self.unified:
            (folder / "cpu.max").write_text(f"{quota} {_PERIOD}")
        else:
            (folder / "cpu.cfs_period_us").write_text(str(_PERIOD))
            (folder / "cpu.cfs_quota_us").write_text(str(quota))

    def charged(self) -> int:
        """Return the bytes of memory that are charged to the group."""
        name = "memory.current" if self.unified else "memory.usage_in_bytes"
        return int((self.folders["memory"] / name).read_text())

    def charged_by_kind(self) -> tuple[int, int]:
        """Return the bytes of private memory, and those of pages of files."""
        lines = (self.folders["memory"] / "memory.stat").read_text().splitlines()
        stat = {name: int(value) for name, value in map(str.split, lines)}
        return (stat["anon"], stat["file"]) if self.unified else (stat["rss"], stat["cache"])

    def kills(self) -> int:
        """Return how many processes were killed because of the limit on memory."""
        name = "memory.events" if self.unified else "memory.oom_control"
        lines = (self.folders["memory"] / name).read_text().splitlines()
        return int(dict(map(str.split, lines))["oom_kill"])

    def command(self, command: Sequence[object]) -> list[object]:
        """Return a command that joins the group, and then becomes the given one."""
        joining = "".join(f"echo $$ > {path}/cgroup.procs;" for path in set(self.folders.values()))
        return ["sh", "-c", f'{joining} exec "$0" "$@"', *command]

    def mounting(self, root: Path) -> list[str]:
        """Return the commands that mount the group below `root`, as container runtimes do."""
        target = f"{root}/sys/fs/cgroup"
        if self.unified:
            return [f"mount -t sysfs sysfs {root}/sys", f"mount -t cgroup2 -o ro cgroup2 {target}"]
        lines = [f"mount -t sysfs sysfs {root}/sys", f"mount -t tmpfs tmpfs {target}"]
        for name in self.folders:
            lines.append(f"mkdir {target}/{name}")
            lines.append(f"mount -t cgroup -o ro,{name} cgroup {target}/{name}")
        return lines


@contextmanager
def made(name: str) -> Iterator[Cgroup]:
    """Create a group, and remove it, when its processes have ended, on the way out.

    Raises
    ------
    OSError
        If the kernel, or the rights of this process, do not permit it.
    """
    unified = (_MOUNTED / "cgroup.controllers").exists()
    if unified:
        _enable(_MOUNTED)
    folders = {kind: _folder(kind, name, unified) for kind in ("memory", "cpu")}
    try:
        for folder in set(folders.values()):
            folder.mkdir()
        yield Cgroup(folders, unified)
    finally:
        for folder in set(folders.values()):
            _remove(folder)


def _folder(kind: str, name: str, unified: bool) -> Path:
    return _MOUNTED / name if unified else _MOUNTED / kind / name


def _enable(folder: Path) -> None:
    (folder / "cgroup.subtree_control").write_text("+memory +cpu")


def _remove(folder: Path) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError):
            folder.rmdir()
        if not folder.exists():
            return
        time.sleep(0.05)
    raise OSError(f"{folder} is in use")
