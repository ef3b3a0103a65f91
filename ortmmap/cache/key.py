"""The key of a cache entry: the files that it was made from, and all settings that shaped it."""

import os
import sys
from _blake2 import blake2b  # hashlib's own; hashlib loads OpenSSL too, which takes longer
from collections.abc import Callable, Iterable, Mapping

from ortmmap.cache.cpu_class import cpu_class
from ortmmap.cache.identity import (
    SECOND,
    Source,
    check_unchanged,
    is_coarse,
    pieces,
    place_of,
    samples_of,
    samples_of_file,
)
from ortmmap.options import CONFIG, FILES, KEY, SessionOptions, has_identity

__all__ = ["FORMAT", "KINDS", "Key", "Source", "machine", "options_signature", "runtime_signature"]

FORMAT = 5  # of entries; a new number makes every entry stale
KINDS = ("model", "pages")
DIGEST_BYTES = 16
LIBRARY_SPACING = 1 << 16

_machine: str | None = None


class Key:
    """The key of a model's entries.

    Parameters
    ----------
    sources : iterable of Source
        The model file, then its files of external data in the order of their names.
    settings : mapping
        Plain values: the results of `options_signature` and `runtime_signature`, and any other
        setting that changes the graph or the kernels. The CPU and the format's version are added
        here.

    Attributes
    ----------
    setting : str
        Hexadecimal digest of the settings and of the sizes of the sources.
    identity : str
        Hexadecimal digest of the exact identities of the sources.
    """

    __slots__ = ("_content", "_samples", "identity", "setting", "sources")

    def __init__(self, sources: Iterable[Source], settings: Mapping[str, object]) -> None:
        self.sources = tuple(sources)
        sizes = [source.size for source in self.sources]
        self.setting = _digest((FORMAT, machine(), sizes, _plain(settings)))
        self.identity = _digest([source.exact() for source in self.sources])
        self._content: bytes | None = None
        self._samples: bytes | None = None

    def name(self, kind: str) -> str:
        """Return the name of the entry of that kind."""
        return f"{self.prefix(kind)}{self.identity}"

    @property
    def model(self) -> str:
        """The path of the model, for people."""
        return self.sources[0].path if self.sources else "a model without files"

    def prefix(self, kind: str) -> str:
        """Return the prefix of the names of entries with these settings and sizes of sources."""
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is none of {KINDS}")
        return f"{kind}-{self.setting}-"

    def places(self) -> tuple[bytes, bytes]:
        """Return digests of the sources' real paths, sizes, and times in ns and in seconds."""
        return place_of(self.sources), place_of(self.sources, SECOND)

    def is_at(self, exact: bytes, coarse: bytes) -> bool:
        """Return whether the sources have the `places` given: `exact` and `coarse`.

        Times of modification without a fraction of a second are compared in seconds.
        """
        if all(is_coarse(source.mtime_ns) for source in self.sources):
            return coarse == place_of(self.sources, SECOND)
        return exact == place_of(self.sources)

    def samples(self) -> bytes:
        """Return a digest of 4 KiB of each MiB of the sources.

        Raises
        ------
        OSError
            If a file cannot be read, or has changed since the key was made.
        """
        if self._samples is None:
            self._samples = samples_of(self.sources)
        return self._samples

    def content(self, check: Callable[[], object] | None = None) -> bytes:
        """Return the BLAKE2b-256 digest of the sources' bytes; about a second per gigabyte.

        It decides whether a file in another place is the same model, so it must not be possible to
        forge it.

        Parameters
        ----------
        check : callable, optional
            Called for each piece that is read. An exception that it raises ends the reading.

        Raises
        ------
        OSError
            If a file cannot be read, or has changed since the key was made.
        """
        if self._content is None:
            self._content = _content(self.sources, check)
        return self._content

    def check_sources(self) -> None:
        """Raise OSError if a source has changed since the key was made."""
        for source in self.sources:
            check_unchanged(source, os.stat(source.path))

    def __repr__(self) -> str:
        return f"<Key {self.setting}-{self.identity}>"


def options_signature(options: SessionOptions) -> dict[str, object]:
    """Return the settings that change the graph or the prepacked weights, by name.

    The table of `SessionOptions` says which settings these are. Those with their default value are
    left out, so that a new option does not make the entries of older versions stale.
    """
    signature: dict[str, object] = {}
    for name, in_cache, value in options._changed():
        if name == "_config":
            entries = {key: text for key, text in value.items() if key not in CONFIG}
            if entries:
                signature["config"] = entries
        elif in_cache is KEY:
            signature[name.lstrip("_")] = value
        elif in_cache is FILES:
            signature[name.lstrip("_")] = [_library(path) for path in value]
    return signature


def runtime_signature() -> dict[str, object]:
    """Return version, build and library size of the ONNX Runtime in use."""
    from ortmmap.runtime.library import get_build_info, get_library_path, get_version_string

    return {
        "version": get_version_string(),
        "build": get_build_info(),
        "library": os.stat(get_library_path()).st_size,
    }


def machine() -> str:
    """Return a description of the platform and of the CPU that kernels are chosen for."""
    global _machine
    if _machine is None:
        _machine = f"{sys.platform} {sys.byteorder} {sys.maxsize} {cpu_class().name}"
    return _machine


def _library(path: str) -> tuple:
    """Return size, time and samples of a shared library; a bare name stays a name.

    Samples suffice: the first 4 KiB have the build ID, and whoever can write the library can run
    code in the process anyway.
    """
    if not has_identity(path):
        return (path,)
    with open(path, "rb", buffering=0) as file:
        found = os.fstat(file.fileno())
        samples = samples_of_file(file.fileno(), found.st_size, LIBRARY_SPACING)
    return found.st_size, found.st_mtime_ns // SECOND, samples


def _plain(value: object) -> object:
    """Return `value` with sorted mappings and plain integers, for a reproducible repr."""
    if isinstance(value, Mapping):
        return sorted((str(key), _plain(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)  # an enum's member
    return value


def _digest(value: object) -> str:
    return blake2b(repr(value).encode("utf-8", "replace"), digest_size=DIGEST_BYTES).hexdigest()


def _content(sources: tuple[Source, ...], check: Callable[[], object] | None) -> bytes:
    digest = blake2b(digest_size=32)
    for source in sources:
        digest.update(source.size.to_bytes(8, "little"))
        with open(source.path, "rb", buffering=0) as file:
            for piece in pieces(file):
                digest.update(piece)
                if check is not None:
                    check()
            check_unchanged(source, os.fstat(file.fileno()))
    return digest.digest()
