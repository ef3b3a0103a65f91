"""The reports of ThreadSanitizer, and which of them are of others' libraries alone.

ONNX Runtime's library is not instrumented. ThreadSanitizer sees what it passes to functions of the
C library, such as free() and memcpy(), and its mutexes, but not its atomic operations. So it takes
two of ONNX Runtime's threads for unsynchronized that hand work to each other by the latter. A
report is of others if they made both accesses. Suppressions of ThreadSanitizer could not say that:
they look for a library anywhere in either stack, and our modules call it, or are called by it.
"""

import re
from typing import NamedTuple

_RULE = "=================="
_ACCESS = re.compile(r"\b(read|write) of size \d+ at 0x", re.IGNORECASE)
_FRAME = re.compile(r"^\s+#\d+ (?P<function>.+?) \S+ \((?P<library>[^ ()]+)\+0x", re.MULTILINE)
_INTERCEPTED = re.compile(r"(__interceptor_)?(free|(m|c|re)alloc|(mem|str|pthread_)\w+)$")
_OTHERS = (
    "libonnxruntime.so",
    "libstdc++.so",  # its caller is not in the stack; no module of ours is linked with it
    "_ctypes.",  # CPython's; each new object marks its type as complete, always with the same value
)


# Of the interpreter: looks at an object that another thread may be freeing, and then whether it is
# still the same. Inlined, with one or two functions below it.
_LOOKS_AGAIN = "_Py_TryIncrefFast"


class Report(NamedTuple):
    """A report: its text, and for each access the frames: function and library, innermost first."""

    text: str
    accesses: list[list[tuple[str, str]]]

    @property
    def is_of_others(self) -> bool:
        """Whether libraries of others made both accesses of a data race, or the interpreter."""
        innermost = [function for frames in self.accesses for function, _ in frames[:3]]
        return len(self.accesses) == 2 and (
            _LOOKS_AGAIN in innermost or all(map(_is_of_others, self.accesses))
        )


def parse(log: str) -> list[Report]:
    """Return the reports of a log."""
    texts = [text.strip("\n") for text in log.split(_RULE) if "WARNING: ThreadSanitizer" in text]
    return [Report(text, _accesses(text)) for text in texts]


def _accesses(text: str) -> list[list[tuple[str, str]]]:
    blocks = [block for block in text.split("\n\n") if _ACCESS.search(block)]
    return [_FRAME.findall(block) for block in blocks]


def _is_of_others(frames: list[tuple[str, str]]) -> bool:
    """Whether the innermost frame but those of intercepted functions is in such a library."""
    for function, library in frames:
        if not _INTERCEPTED.match(function):
            return library.rpartition("/")[2].startswith(_OTHERS)
    return False
