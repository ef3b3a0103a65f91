"""CPython's headers: of an interpreter on this machine, or of Debian's packages.

An extension module for Linux is not linked with libpython, so headers are all that it takes. Those
of x86_64 serve aarch64 too: no public header reads a macro of pyconfig.h that differs between them.
Nor has a free-threaded CPython headers of its own, but for the macro Py_GIL_DISABLED in pyconfig.h,
which the compiler is given instead.
"""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ARCHITECTURES = ("amd64", "arm64")
NEWEST = ("unstable",)  # where the newest versions' headers are
RELEASES = ("oldstable", "stable")  # where sources are that were not replaced a moment ago


def include_folders(python: str, named: list[Path], cache: Path) -> list[str] | None:
    """Return the folders to search for the headers of a CPython, or None if none can be had.

    Parameters
    ----------
    python
        The version, such as ``3.13``, or ``3.13t`` for a free-threaded CPython.
    named
        Folders that the user names, which come first.
    cache
        The folder for headers from Debian's packages.
    """
    python = python.removesuffix("t")
    for folder in [*named, *_of_interpreters(python)]:
        if _version(folder) == python and not folder.name.endswith("t"):
            return [str(folder)]
    folder = cache / "usr" / "include"
    own = folder / f"python{python}"
    if _version(own) != python:
        _fetch_headers(python, cache)
    return [str(own), str(folder)] if _version(own) == python else None  # pyconfig.h is in `folder`


def windows_folder(python: str, own: str, cache: Path) -> str | None:
    """Return a folder of `own` headers with pyconfig.h for Windows, or None if it can't be had.

    That file is in CPython's source only.
    """
    folder = cache / f"windows{python}"
    if not folder.exists() and (text := _fetch_windows_configuration(python)):
        shutil.copytree(own, folder)
        (folder / "pyconfig.h").write_bytes(text)
    return str(folder) if folder.exists() else None


def _version(folder: Path) -> str | None:
    """Return the version that a folder of headers is of."""
    try:
        text = (folder / "patchlevel.h").read_text()
    except OSError:
        return None
    lines = [line.split() for line in text.splitlines() if line.startswith("#define")]
    macros = {words[1]: words[2] for words in lines if len(words) > 2}
    return f"{macros['PY_MAJOR_VERSION']}.{macros['PY_MINOR_VERSION']}"


def _of_interpreters(python: str) -> list[Path]:
    """Return the include folders of the interpreters on PATH, and of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    programs = [shutil.which(f"python{python}"), *pyenv.glob(f"{python}.*/bin/python")]
    code = "import sysconfig; print(sysconfig.get_path('include'))"
    found = []
    for program in filter(None, programs):
        done = subprocess.run([program, "-c", code], capture_output=True, text=True, check=False)
        found.append(Path(done.stdout.strip()))
    return found


def _fetch_headers(python: str, folder: Path) -> None:
    """Extract the headers of Debian's packages for both machines, if they can be had."""
    names = [f"libpython{python}-dev:{architecture}" for architecture in ARCHITECTURES]
    with _private_apt("deb", NEWEST) as apt:
        if apt is None or not _succeeds(["apt-get", "-q", "download", *names], apt):
            return
        for package in Path(apt["WORK"]).glob("*.deb"):
            archive = Path(apt["WORK"], "package.tar")
            with archive.open("wb") as file:
                subprocess.run(["dpkg-deb", "--fsys-tarfile", package], stdout=file, check=True)
            _extract(archive, "./usr/include/", folder)


def _fetch_windows_configuration(python: str) -> bytes | None:
    """Return PC/pyconfig.h of Debian's source of CPython, if it can be had."""
    source = ["apt-get", "-q", "source", "--tar-only", "--download-only", f"python{python}"]
    with _private_apt("deb-src", RELEASES) as apt:
        if apt is None or not _succeeds(source, apt):
            return None
        (archive,) = Path(apt["WORK"]).glob("*.orig.tar.*")
        with tarfile.open(archive) as members:
            for member in members:
                # From 3.13 on it is a template, whose one variable is for free threading.
                if re.fullmatch(r"[^/]+/PC/pyconfig\.h(\.in)?", member.name):
                    return members.extractfile(member).read()
    return None


def _extract(archive: Path, prefix: str, folder: Path) -> None:
    with tarfile.open(archive) as members:
        wanted = [member for member in members if member.name.startswith(prefix)]
        members.extractall(folder, wanted, filter="data")


def _succeeds(command: list[str], apt: dict[str, str]) -> bool:
    return subprocess.run(command, env=apt, cwd=apt["WORK"], check=False).returncode == 0


@contextmanager
def _private_apt(kind: str, suites: tuple[str, ...]) -> Iterator[dict[str, str] | None]:
    """Make an environment, and a folder ``WORK`` in it, in which apt-get has lists of its own.

    They are of other suites of the Debian mirror that this machine uses. None if it uses none.
    """
    if not shutil.which("apt-get") or not (mirrors := _mirrors()):
        yield None
        return
    with tempfile.TemporaryDirectory() as work:
        for name in ("lists/partial", "cache/archives/partial"):
            Path(work, name).mkdir(parents=True)
        Path(work, "status").touch()
        keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
        lines = [f"{kind} [signed-by={keys}] {mirrors[0]} {suite} main\n" for suite in suites]
        Path(work, "sources.list").write_text("".join(lines))
        architectures = " ".join(f'"{name}";' for name in ARCHITECTURES)
        Path(work, "apt.conf").write_text(
            f'Dir::State "{work}";\nDir::State::lists "lists";\n'
            f'Dir::State::status "{work}/status";\nDir::Cache "{work}/cache";\n'
            f'Dir::Etc::SourceList "{work}/sources.list";\nDir::Etc::SourceParts "/dev/null";\n'
            f'APT::Sandbox::User "root";\nAPT::Architectures {{ {architectures} }};\n'
        )
        apt = {**os.environ, "APT_CONFIG": f"{work}/apt.conf", "WORK": work}
        yield apt if _succeeds(["apt-get", "-q", "update"], apt) else None


def _mirrors() -> list[str]:
    command = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(CODENAME) $(REPO_URI)"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    releases = [line.split() for line in done.stdout.splitlines() if line.startswith("Debian ")]
    return [uri for _, name, uri in releases if "-" not in name]  # not bookworm-security
