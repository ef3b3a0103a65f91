"""A server process and its workers, from their start to their end; a client process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import psutil

from benchmarks.forms import form_of
from benchmarks.harness import WorkerError
from benchmarks.memory import memory
from benchmarks.models import Case
from benchmarks.rivals import OPENVINO_CACHE, Rival
from benchmarks.serve import SETTINGS_VARIABLE

_REPOSITORY = Path(__file__).resolve().parents[2]
_LONGEST_START = 120  # seconds
_LONGEST_END = 20
_POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Server:
    """A server whose workers all answer.

    Attributes
    ----------
    url : str
        Where it answers.
    start_ms : float
        From its start until each of its workers had answered.
    """

    url: str
    start_ms: float
    process: psutil.Process

    def total_pss(self) -> int | None:
        """Return the proportional set sizes of all its processes; None where no system tells."""
        sizes = [memory(each.pid).pss for each in _family(self.process)]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None


@contextmanager
def served(case: Case, rival: Rival, workers: int, threads: int) -> Iterator[Server]:
    """Serve a model by so many workers, and end them.

    Raises
    ------
    WorkerError
        The server ended, or not every worker answered in time.
    """
    model = form_of(rival.form, case.path.resolve(), case.folder)
    settings = {
        "rival": rival.name,
        "model": str(model),
        "threads": threads,
        "entries": rival.entries,
    }
    case.openvino_cache.mkdir(parents=True, exist_ok=True)
    environment = {
        SETTINGS_VARIABLE: json.dumps(settings),
        "ORTMMAP_CACHE_DIR": os.fspath(case.cache),
        OPENVINO_CACHE: os.fspath(case.openvino_cache),
    }
    command = [sys.executable, "-m", "benchmarks.serve.server", f"--workers={workers}"]
    with TemporaryDirectory() as folder:
        errors = Path(folder, "stderr")
        begin = time.monotonic()
        with errors.open("w") as stderr:
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                cwd=_REPOSITORY,
                env=os.environ | environment,
            )
        try:
            assert process.stdout
            url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
            if not _all_answer(process, url, workers, begin + _LONGEST_START):
                raise WorkerError(f"{rival.title} failed:\n{errors.read_text().strip()}")
            start_ms = (time.monotonic() - begin) * 1e3
            yield Server(url, start_ms, psutil.Process(process.pid))
        finally:
            _end(process)


def loaded(url: str, body: Path, answer: Path, options: Sequence[str]) -> dict[str, float]:
    """Have a client process load a server; return its figures.

    Raises
    ------
    WorkerError
        A request failed.
    """
    arguments = [f"--url={url}", f"--body={body}", f"--answer={answer}", *options]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.serve.load", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=_REPOSITORY,
    )
    if done.returncode:
        raise WorkerError(f"the load failed:\n{done.stderr.strip()}")
    return json.loads(done.stdout)


def _all_answer(process: subprocess.Popen, url: str, workers: int, until: float) -> bool:
    """Ask until so many workers have answered; tell whether they did before the end."""
    seen: set[str] = set()
    with ThreadPoolExecutor(2 * workers) as pool:
        while len(seen) < workers:
            if process.poll() is not None or time.monotonic() > until:
                return False
            asked = pool.map(_worker_of, [url] * 2 * workers)
            seen.update(worker for worker in asked if worker is not None)
            time.sleep(_POLL_SECONDS)
    return True


def _worker_of(url: str) -> str | None:
    """Return the process that answers; None where nobody does yet."""
    direct = build_opener(ProxyHandler({}))
    try:
        with direct.open(f"{url}/ready", timeout=_LONGEST_END) as answer:
            return answer.read().decode()
    except (URLError, OSError):
        return None


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _end(process: subprocess.Popen) -> None:
    """End the server, and what it leaves behind."""
    assert process.stdout
    family = _family(psutil.Process(process.pid)) if process.poll() is None else []
    process.terminate()
    _, left = psutil.wait_procs(family, _LONGEST_END)
    for one in left:
        one.kill()
    process.wait()
    process.stdout.close()
