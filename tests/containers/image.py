"""Container images and containers, played by overlayfs, namespaces, chroot and bind mounts.

An image is a stack of folders, the lower layers of an overlay. A container adds an upper layer of
its own, in mount, PID and cgroup namespaces that end with its process: nothing stays mounted. The
interpreter, the packages and this repository are bound into it, read-only, in the place of a
distribution. Root and the right to mount are needed, but no container runtime.
"""

import contextlib
import functools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from containers.cgroup import Cgroup

REPOSITORY = Path(__file__).resolve().parents[2]
_LINKS = ("bin", "sbin", "lib", "lib32", "lib64")
_DEVICES = ("null", "zero", "random", "urandom")
# Of every program: it finds the interpreter, the package and what tests run inside.
VARIABLES = {
    "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
    "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'tests'}",
    "PYTHONDONTWRITEBYTECODE": "1",
    "ORT_DISABLE_TELEMETRY": "1",
}


@functools.cache
def denied() -> str:
    """Return why no container can be started here, or an empty string."""
    if os.geteuid():
        return "mounting needs root"
    with tempfile.TemporaryDirectory() as folder:
        try:
            Container(Image.base(Path(folder, "image")), Path(folder, "container")).run(["true"])
        except (AssertionError, OSError) as error:
            return f"no overlay can be mounted: {error}"
    return ""


@dataclass(frozen=True)
class Image:
    """The layers of an image, the topmost first, and the settings that containers start with."""

    layers: tuple[Path, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = "0:0"
    workdir: str = "/"
    command: tuple[str, ...] = ()

    @staticmethod
    def base(folder: Path) -> "Image":
        """Make the lowest layer: the folders that a distribution has, and no user but root."""
        for name in ("dev", "etc", "proc", "sys", "tmp", *map(_inside, _bound())):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for one in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
            one.chmod(0o755)
        (folder / "tmp").chmod(0o1777)
        for name in _LINKS:
            if (link := Path("/", name)).is_symlink():
                (folder / name).symlink_to(link.readlink())
        for name in _DEVICES:
            (folder / "dev" / name).touch()
        shutil.copy("/etc/ld.so.cache", folder / "etc")
        (folder / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        return Image((folder,))

    def with_layer(self, folder: Path) -> "Image":
        return replace(self, layers=(folder, *self.layers))

    def with_environment(self, **variables: str) -> "Image":
        return replace(self, environment={**self.environment, **variables})

    def pulled(self, folder: Path) -> "Image":
        """Return a copy as a registry delivers it: new inodes, times truncated to whole seconds."""
        layers = []
        for index, layer in enumerate(self.layers):
            copy = folder / str(index)
            copy.mkdir(parents=True)
            pack, unpack = ("tar", "-cC", layer, "."), ("tar", "-xpC", copy, "--numeric-owner")
            with subprocess.Popen(pack, stdout=subprocess.PIPE) as packing:
                subprocess.run(unpack, stdin=packing.stdout, check=True)
            assert packing.returncode == 0
            layers.append(copy)
        return replace(self, layers=tuple(layers))


@dataclass
class Container:
    """A container of an image; its upper layer lies in `folder`."""

    image: Image
    folder: Path
    user: str | None = None  # numbers; None: the image's
    groups: str = ""  # numbers of supplementary groups, separated by commas
    read_only: bool = False
    proc: bool = True
    passwd: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[Path, str] = field(default_factory=dict)  # of the host, to a path inside
    cgroup: Cgroup | None = None

    @property
    def upper(self) -> Path:
        return self.folder / "upper"

    def start(self, command: Sequence[object], **environment: str) -> "Process":
        """Start a program; its standard input and output are pipes."""
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.upper.chmod(0o755)
        script = "\n".join(["set -e", *self._mounting(), self._entering(command, environment)])
        unshare = "unshare --mount --pid --cgroup --fork --kill-child --propagation private"
        isolated = [*unshare.split(), "sh", "-c", script]
        return Process(self.cgroup.command(isolated) if self.cgroup else isolated)

    def run(self, command: Sequence[object], **environment: str) -> str:
        """Run a program to its end, which must be a success, and return what it printed."""
        return self.start(command, **environment).output()

    def python(self, code: str, *arguments: object, **environment: str) -> "Process":
        """Start an interpreter, which finds the package and ``containers.inside``."""
        return self.start([sys.executable, "-c", code, *arguments], **environment)

    def ask(self, code: str, *arguments: object, **environment: str) -> object:
        """Run code that prints JSON, and return that; nothing may be on its standard error."""
        process = self.python(code, *arguments, **environment)
        answer, errors = process.answer(), process.end()
        assert errors == ""
        return answer

    def _mounting(self) -> list[str]:
        root = self.folder / "root"
        lower = ":".join(map(str, self.image.layers))
        layers = f"lowerdir={lower},upperdir={self.upper},workdir={self.folder / 'work'}"
        # mount(8) of util-linux 2.42 refuses a long `lowerdir`, unless it uses mount(2)
        lines = [f"LIBMOUNT_FORCE_MOUNT2=always mount -t overlay overlay -o {layers} {root}"]
        if not self.passwd:
            lines.append(f": > {root}/etc/passwd")
        for path, target in self.volumes.items():
            lines += [f"mkdir -p {root}{target}", _bind(path, root, target, "rw")]
        lines += [_bind(Path("/dev", name), root, f"/dev/{name}", "rw") for name in _DEVICES]
        for path in _bound():  # a volume may hide where it is bound to
            lines += [f"mkdir -p {root}{path}", _bind(path, root, str(path), "ro")]
        if self.proc:
            lines.append(f"mount -t proc proc {root}/proc")
            if self.cgroup:
                lines += self.cgroup.mounting(root)
        if self.read_only:
            lines.append(f"mount -o remount,bind,ro {root}")
        return lines

    def _entering(self, command: Sequence[object], environment: Mapping[str, str]) -> str:
        variables = {
            **VARIABLES,
            **self.image.environment,
            **self.environment,
            **environment,
        }
        root = self.folder / "root"
        enter = [
            "chroot",
            f"--userspec={self.user or self.image.user}",
            f"--groups={self.groups}",
            root,
        ]
        named = [f"{name}={value}" for name, value in variables.items()]
        setting = ["env", "-i", "-C", self.image.workdir, *named]
        return "exec " + shlex.join(map(str, [*enter, *setting, *command]))


class EndedError(AssertionError):
    """A program has ended instead of answering."""


class Process:
    """A program, in a container or on the host."""

    def __init__(
        self, command: Sequence[object], environment: Mapping[str, str] | None = None
    ) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.child = subprocess.Popen(
            [*map(str, command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )

    @property
    def pid(self) -> int:
        """The program's number on the host; that of a container is the child of ``unshare``."""
        own = self.child.pid
        return int(Path(f"/proc/{own}/task/{own}/children").read_text() or own)

    def read_bytes(self) -> int:
        """Return how many bytes the program has read by system calls."""
        lines = Path(f"/proc/{self.pid}/io").read_text().splitlines()
        return int(dict(line.split(": ") for line in lines)["rchar"])

    def pss(self) -> int:
        """Return the program's proportional set size, in bytes."""
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return int(rollup.partition("\nPss:")[2].split()[0]) * 1024

    def answer(self) -> object:
        """Wait for a line of JSON that the program prints, and return its value.

        Raises
        ------
        EndedError
            If it prints none; the message has the exit status and its standard error.
        """
        line = self.child.stdout.readline()
        if not line:
            raise EndedError("exit {}: {}{}".format(*self.ended()))
        return json.loads(line)

    def go_on(self) -> None:
        """Send the line that the program waits for; `answer` raises if it has ended."""
        with contextlib.suppress(BrokenPipeError):
            self.child.stdin.write("\n")
            self.child.stdin.flush()

    def output(self) -> str:
        """Wait for the end, which must be a success, and return what was printed."""
        status, printed, errors = self.ended()
        assert status == 0, f"exit {status}: {printed}{errors}"
        return printed

    def end(self) -> str:
        """Wait for the end, which must be a success, and return its standard error."""
        status, printed, errors = self.ended()
        assert status == 0, f"exit {status}: {printed}{errors}"
        return errors

    def errors(self) -> str:
        """Return what is on the standard error by now."""
        self._errors.seek(0)
        return self._errors.read()

    def ended(self) -> tuple[int, str, str]:
        """Wait for the end; return the exit status, and the rest of standard output and error.

        The status is 137, or -9 on the host, after SIGKILL.
        """
        with self._errors:
            with contextlib.suppress(BrokenPipeError):
                self.child.stdin.close()
            self.child.stdin = None
            printed, _ = self.child.communicate(timeout=300)
            return self.child.returncode, printed, self.errors()

    def kill(self) -> None:
        """End the program, if it has not ended, and with it the container."""
        if not self._errors.closed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)  # the first process of a PID namespace ends all
            self.ended()


@functools.cache
def _bound() -> tuple[Path, ...]:
    """Return the folders of the host that an interpreter with the package needs."""
    paths = [Path("/usr"), Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve()]
    paths += [Path(sysconfig.get_path("purelib")).resolve(), REPOSITORY]
    paths += [path for name in _LINKS if (path := Path("/", name)).is_dir()]
    distinct = dict.fromkeys(path for path in paths if not path.is_symlink())
    return tuple(
        path
        for path in distinct
        if not any(path != other and path.is_relative_to(other) for other in distinct)
    )


def _inside(path: Path) -> str:
    return str(path).lstrip("/")


def _bind(path: Path, root: Path, target: str, mode: str) -> str:
    return f"mount -o bind,{mode} {path} {root}{target}"
