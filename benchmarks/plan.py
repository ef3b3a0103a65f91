"""What the report measures: each section's command, and what of it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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
    command: Sequence[str]
    figures: Sequence[str] = ()
    rivals: Sequence[str] = ()
    models: Sequence[str] = ()
    ours: Sequence[str] = ("ortmmap",)
    judged: Sequence[str] = ()


_ALL = ("bert_base.onnx", "resnet50.onnx", "vit_b16.onnx", "gpt2.onnx", "bert_base_int8.onnx")
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


def _each(option: str, values: Sequence[object]) -> tuple[str, ...]:
    return tuple(word for value in values for word in (option, str(value)))


def _serve(seconds: int, repeat: int) -> Section:
    return Section(
        "serve",
        "Behind a web server",
        ("serve", f"--seconds={seconds}", f"--repeat={repeat}"),
        judged=("requests", "p50", "p99", "total PSS", "until all answer"),
    )


FULL = (
    Section(
        "open",
        "Opening, files in the page cache",
        ("open", *_each("--model", (*_ALL, "one_node.onnx")), "--repeat=3", "--seconds=0.3"),
        figures=_OPENING[:-1],
        rivals=_DRAWN,
        models=("bert_base.onnx", "resnet50.onnx", "gpt2.onnx"),
        ours=("ortmmap", "ortmmap-cold"),
        judged=("import", "first run", *_OPENING),
    ),
    Section(
        "cold",
        "Opening, from disk",
        (
            "open",
            "--cold-cache",
            *_each("--model", _TWO),
            *_each("--rival", _FROM_DISK),
            "--repeat=4",
            "--seconds=0",
        ),
        figures=("open", "start to result"),
        judged=("open", "start to result"),
    ),
    Section(
        "memory",
        "Memory of one process",
        ("memory", *_each("--model", _TWO), "--repeat=2"),
        figures=("private, run", "RSS, ran", "PSS, ran"),
        rivals=_DRAWN,
        judged=("private, open", "private, run", "RSS, ran"),
    ),
    Section(
        "workers",
        "Memory of many processes",
        ("workers", *_each("--model", _TWO), *_each("--count", _COUNTS)),
        figures=("all ready", "peak private", "total PSS"),
        judged=("all ready", "private", "peak private", "total PSS"),
    ),
    Section(
        "run",
        "What a call costs",
        ("run", "--repeat=7", "--seconds=0.2"),
        judged=("run", "run_with_iobinding", "awaited", "1 thread", "8 threads"),
    ),
    Section(
        "threads",
        "Threads on a model that computes",
        ("run", "--model", "resnet50.onnx", "--repeat=3", "--seconds=1"),
        figures=("1 thread", "2 threads", "4 threads", "8 threads"),
        judged=("run", "1 thread", "2 threads", "4 threads", "8 threads"),
    ),
    Section(
        "scale",
        "How it grows",
        ("scale", "--repeat=3"),
        figures=("open", "private, open"),
        judged=("open", "private, open"),
    ),
    _serve(seconds=10, repeat=3),
)

# Less: two models, the rivals that matter most, few repetitions.
_SHORT_RIVALS = (
    "ort",
    "ort-mmap",
    "ort-prepacked",
    "openvino-cached",
    "ortmmap",
    "ortmmap-cold",
    "ortmmap-nocache",
    "ortmmap-noprepack",
)
_SHORT_SERVED = ("ort", "ort-mmap", "ort-prepacked", "ortmmap-nocache", "ortmmap")

SHORT = (
    Section(
        "open",
        "Opening, files in the page cache",
        (
            "open",
            *_each("--model", _TWO),
            *_each("--rival", _SHORT_RIVALS),
            *("--repeat=3", "--seconds=0.2"),
        ),
        figures=_OPENING[:-1],
        ours=("ortmmap", "ortmmap-cold"),
        judged=("import", "first run", *_OPENING),
    ),
    Section(
        "cold",
        "Opening, from disk",
        (
            *("open", "--cold-cache", "--model", "resnet50.onnx"),
            *_each("--rival", _FROM_DISK),
            *("--repeat=3", "--seconds=0"),
        ),
        figures=("open", "start to result"),
        judged=("open", "start to result"),
    ),
    Section(
        "memory",
        "Memory of one process",
        (
            *("memory", "--model", "resnet50.onnx"),
            *_each("--rival", _SHORT_SERVED),
            "--repeat=2",
        ),
        figures=("private, run", "RSS, ran", "PSS, ran"),
        judged=("private, open", "private, run", "RSS, ran"),
    ),
    Section(
        "workers",
        "Memory of many processes",
        (
            *("workers", "--model", "resnet50.onnx"),
            *_each("--rival", _SHORT_SERVED),
            *_each("--count", _COUNTS[:-1]),
        ),
        figures=("all ready", "peak private", "total PSS"),
        judged=("all ready", "private", "peak private", "total PSS"),
    ),
    Section(
        "run",
        "What a call costs",
        ("run", "--repeat=4", "--seconds=0.1"),
        judged=("run", "run_with_iobinding", "awaited", "1 thread", "8 threads"),
    ),
    Section(
        "threads",
        "Threads on a model that computes",
        ("run", "--model", "resnet50.onnx", "--repeat=4", "--seconds=0.5"),
        figures=("1 thread", "2 threads", "4 threads", "8 threads"),
        judged=("run", "1 thread", "2 threads", "4 threads", "8 threads"),
    ),
    Section(
        "scale",
        "How it grows",
        ("scale", "--repeat=2", "--largest=1000"),
        figures=("open", "private, open"),
        judged=("open", "private, open"),
    ),
    _serve(seconds=5, repeat=2),
)

# Seconds instead of minutes: tries every command, and its figures say little.
QUICK = (
    Section(
        "open",
        "Opening, files in the page cache",
        ("open", "--model", "weights_16.onnx", "--repeat=2", "--seconds=0"),
        figures=_OPENING[:-1],
        ours=("ortmmap", "ortmmap-cold"),
        judged=_OPENING,
    ),
    Section(
        "cold",
        "Opening, from disk",
        (
            "open",
            "--cold-cache",
            *("--model", "weights_16.onnx"),
            *_each("--rival", _FROM_DISK),
            *("--repeat=2", "--seconds=0"),
        ),
        figures=("open", "start to result"),
        judged=("open", "start to result"),
    ),
    Section(
        "memory",
        "Memory of one process",
        ("memory", "--model", "weights_16.onnx", "--repeat=1"),
        figures=("private, run", "RSS, ran", "PSS, ran"),
        judged=("private, open", "private, run", "RSS, ran"),
    ),
    Section(
        "workers",
        "Memory of many processes",
        ("workers", "--model", "weights_16.onnx", *_each("--count", (1, 2, 3))),
        figures=("all ready", "peak private", "total PSS"),
        judged=("all ready", "private", "peak private", "total PSS"),
    ),
    Section(
        "run",
        "What a call costs",
        ("run", "--model", "one_node.onnx", "--repeat=2", "--seconds=0.05"),
        judged=("run", "run_with_iobinding", "awaited", "1 thread", "8 threads"),
    ),
    Section(
        "scale",
        "How it grows",
        ("scale", "--repeat=1", "--largest=100"),
        figures=("open", "private, open"),
        judged=("open", "private, open"),
    ),
)

PLANS = {"full": FULL, "short": SHORT, "quick": QUICK}
