"""What the report measures: each section's command, and what of it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Section:
    """One benchmark of the report.

    Attributes
    ----------
    name : str
        Of its files.
    heading : str
        Above its tables.
    command : sequence of str
        What follows ``python -m benchmarks``.
    figures, rivals, models : sequence of str
        What is drawn; all, where there are none.
    ours : sequence of str
        Which of ortmmap's rows are compared with the best of the others.
    judged : sequence of str
        The figures that are compared.
    """

    name: str
    heading: str
    command: Sequence[str] = ()
    figures: Sequence[str] = ()
    rivals: Sequence[str] = ()
    models: Sequence[str] = ()
    ours: Sequence[str] = ("ortmmap",)
    judged: Sequence[str] = ()


_MORE = ("vit_b16.onnx", "gpt2.onnx", "bert_base_int8.onnx", "one_node.onnx")
_TWO = ("bert_base.onnx", "resnet50.onnx")
_DRAWN = (
    "ort",
    "ort-mmap",
    "ort-mmap-noprepack",
    "ort-prepacked",
    "openvino",
    "openvino-cached",
    "ortmmap",
    "ortmmap-cold",
    "ortmmap-nocache",
    "ortmmap-noprepack",
)
_OPENING = ("open", "run", "start to result", "peak while opening", "private, open")
_FROM_DISK = ("ort", "ort-mmap", "ort-prepacked", "openvino-cached", "ortmmap", "ortmmap-nocache")
_COUNTS = (1, 2, 4, 8, 16)
# The rivals that matter most.
_OFTEN = (
    "ort",
    "ort-mmap",
    "ort-prepacked",
    "openvino-cached",
    "ortmmap",
    "ortmmap-cold",
    "ortmmap-nocache",
    "ortmmap-noprepack",
)
_SERVED = ("ort", "ort-mmap", "ort-prepacked", "ortmmap-nocache", "ortmmap")


def _each(option: str, values: Sequence[object]) -> tuple[str, ...]:
    return tuple(word for value in values for word in (option, str(value)))


_PARALLEL = (
    *("open", "--model", "bert_base.onnx", "--threads=2"),
    "--config=session.prepack.enable_parallel=1",
    *_each("--rival", ("ort", "ort-mmap", "ortmmap", "ortmmap-nocache")),
)

_SECTIONS = {
    section.name: section
    for section in (
        Section(
            "open",
            "Opening, files in the page cache",
            figures=_OPENING[:-1],
            ours=("ortmmap", "ortmmap-cold"),
            judged=("import", "first run", *_OPENING),
        ),
        Section(
            "models",
            "Opening other models",
            figures=_OPENING[:-1],
            models=("gpt2.onnx", "bert_base_int8.onnx"),
            judged=("first run", *_OPENING),
        ),
        Section(
            "parallel",
            "Opening, two threads that prepack in parallel",
            figures=("open", "start to result"),
            judged=("open", "run", "start to result"),
        ),
        Section(
            "cold",
            "Opening, from disk",
            figures=("open", "start to result"),
            judged=("open", "start to result"),
        ),
        Section(
            "memory",
            "Memory of one process",
            figures=("private, run", "RSS, ran", "PSS, ran"),
            judged=("private, open", "private, run", "RSS, ran"),
        ),
        Section(
            "workers",
            "Memory of many processes",
            figures=("all ready", "peak private", "total PSS"),
            judged=("all ready", "private", "peak private", "total PSS"),
        ),
        Section(
            "run",
            "What a call costs",
            judged=("run", "run_with_iobinding", "awaited", "1 thread", "8 threads"),
        ),
        Section(
            "threads",
            "Threads on a model that computes",
            figures=("1 thread", "2 threads", "4 threads", "8 threads"),
            judged=("run", "1 thread", "2 threads", "4 threads", "8 threads"),
        ),
        Section(
            "fork",
            "After a fork",
            figures=("open", "first run in a forked child"),
            judged=("first run in a forked child",),
        ),
        Section(
            "scale",
            "How it grows",
            figures=("open", "private, open"),
            judged=("open", "private, open"),
        ),
        Section(
            "serve",
            "Behind a web server",
            judged=("requests", "p50", "p99", "total PSS", "until all answer"),
        ),
    )
}


def _section(name: str, *command: str, **changes: Sequence[str]) -> Section:
    return replace(_SECTIONS[name], command=command, **changes)


FULL = (
    _section(
        "open",
        *("open", *_each("--model", _TWO), "--repeat=4", "--seconds=0.5"),
        rivals=_DRAWN,
    ),
    _section(
        "models",
        *("open", *_each("--model", _MORE), *_each("--rival", _OFTEN)),
        *("--repeat=3", "--seconds=0.3"),
    ),
    _section("parallel", *_PARALLEL, "--repeat=5", "--seconds=0.3"),
    _section(
        "cold",
        *("open", "--cold-cache", *_each("--model", _TWO), *_each("--rival", _FROM_DISK)),
        *("--repeat=4", "--seconds=0"),
    ),
    _section(
        "memory",
        *("memory", *_each("--model", (*_TWO, "bert_base_int8.onnx")), "--repeat=2"),
        rivals=_DRAWN,
    ),
    _section(
        "workers",
        *("workers", *_each("--model", _TWO), *_each("--rival", _SERVED)),
        *_each("--count", _COUNTS),
    ),
    _section("run", "run", "--repeat=5", "--seconds=0.2"),
    _section("threads", "run", "--model", "resnet50.onnx", "--repeat=5", "--seconds=1"),
    _section("fork", "fork", "--repeat=5"),
    _section("scale", "scale", "--most", "--repeat=2"),
    _section("serve", "serve", "--seconds=10", "--repeat=3"),
)

# Less: two models, few rivals, few repetitions.
SHORT = (
    _section(
        "open",
        *("open", *_each("--model", _TWO), *_each("--rival", _OFTEN)),
        *("--repeat=3", "--seconds=0.2"),
    ),
    _section(
        "cold",
        *("open", "--cold-cache", "--model", "resnet50.onnx", *_each("--rival", _FROM_DISK)),
        *("--repeat=3", "--seconds=0"),
    ),
    _section(
        "memory",
        *("memory", "--model", "resnet50.onnx", *_each("--rival", _SERVED), "--repeat=2"),
    ),
    _section(
        "workers",
        *("workers", "--model", "resnet50.onnx", *_each("--rival", _SERVED)),
        *_each("--count", _COUNTS[:-1]),
    ),
    _section("run", "run", "--repeat=4", "--seconds=0.1"),
    _section("threads", "run", "--model", "resnet50.onnx", "--repeat=4", "--seconds=0.5"),
    _section("scale", "scale", "--repeat=2", "--largest=1000"),
    _section("serve", "serve", "--seconds=5", "--repeat=2"),
)

# Seconds instead of minutes: tries every command, and its figures say little.
QUICK = (
    _section(
        "open",
        *("open", "--model", "weights_16.onnx", "--repeat=2", "--seconds=0"),
        judged=_OPENING,
    ),
    _section(
        "cold",
        *("open", "--cold-cache", "--model", "weights_16.onnx", *_each("--rival", _FROM_DISK)),
        *("--repeat=2", "--seconds=0"),
    ),
    _section("memory", "memory", "--model", "weights_16.onnx", "--repeat=1"),
    _section("workers", "workers", "--model", "weights_16.onnx", *_each("--count", (1, 2, 3))),
    _section("run", "run", "--model", "one_node.onnx", "--repeat=2", "--seconds=0.05"),
    _section("scale", "scale", "--repeat=1", "--largest=100"),
)

PLANS = {"full": FULL, "short": SHORT, "quick": QUICK}
