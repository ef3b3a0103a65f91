"""ModelSource: the bytes that a session is created from, and the guard of their files.

ONNX Runtime keeps pointers into the bytes of a model in ORT format, so the bytes stay in place for
as long as the `ModelSource` lives.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memcmp, strlen

from ortmmap.model.mapping cimport give_guard, identity_of, stamp, take_guard
from ortmmap.model.wire cimport Reader, begin_reading, request_pages
from ortmmap.process.guard cimport (
    ortmmap_count_get,
    ortmmap_guard_set_data,
    ortmmap_guard_set_files,
)

import os

from ortmmap.errors import (
    InvalidArgument,
    MappingError,
    ModelChangedError,
    NoSuchFile,
    file_error,
    load_error,
)
from ortmmap.model.mapping import check_sources


cdef class ModelSource:
    """The bytes of a model: a mapped file, or a buffer of another object.

    Parameters
    ----------
    source : str, os.PathLike or buffer
        A model file, or an object that exports its C-contiguous bytes.
    prefault, lock : bool
        As for `Mapping`; for a file only.

    Attributes
    ----------
    path, real_path : str or None
        The file's absolute path, as given and without links; None for a buffer.
    mapping : Mapping or None
        The mapped file; None for a buffer, and once the bytes are released.
    identity : tuple or None
        `Mapping.identity` of the model file when it was opened; None for a buffer.
    files : list of (str, int, int)
        Absolute path, size in bytes and modification time in ns of the model's files.

    Raises
    ------
    TypeError
        If `source` is neither a path nor a buffer.
    InvalidArgument
        If the buffer is empty.
    MappingError
        If the file cannot be mapped.
    """

    def __cinit__(self):
        self.guard = take_guard()
        self.guarded = []
        self.external, self._identities = {}, {}

    def __init__(self, source, *, bint prefault=False, bint lock=False):
        self.prefault, self.lock = prefault, lock
        self.files = []
        if isinstance(source, (str, os.PathLike)):
            self.path = os.fsdecode(source)
            self._map_model()
            # The cache is filled, and a session opened again, when the folder may be another.
            if not os.path.isabs(self.path):
                self.path = self.mapping.path = os.path.join(os.getcwd(), self.path)
            self.real_path = os.path.realpath(self.path)
            self.identity = self.mapping.identity
            self.files.append(stamp(self.path, self.identity))
            return
        if prefault or lock:
            raise ValueError("prefault and lock go with a model file, not with a buffer")
        try:
            self.hold(source)
        except TypeError:
            raise TypeError(f"Unable to load from type '{type(source)}'") from None
        if self.bytes.len == 0:
            raise InvalidArgument(
                "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : No graph was found in the protobuf. "
                "(expected a model, found a buffer of 0 bytes)"
            )

    def __dealloc__(self):
        self.release()
        if self.guard != NULL:
            give_guard(self.guard)

    def __repr__(self):
        return self.path or "a buffer"

    def changed(self) -> bool:
        """Return whether a file has changed since the model was opened."""
        try:
            check_sources(self.files)
        except OSError:
            return True
        return False

    @property
    def nbytes(self) -> int:
        """Number of bytes held; 0 once they are released."""
        return self.bytes.len if self.bytes.buf != NULL else 0

    cdef ModelSource again(self):
        """Make a source for another session over the same mapping, with a guard of its own.

        The model's bytes must be held.
        """
        cdef ModelSource made = ModelSource.__new__(ModelSource)
        made.prefault, made.lock = self.prefault, self.lock
        made.path, made.real_path, made.mapping = self.path, self.real_path, self.mapping
        made.identity = self.identity
        made.files = list(self.files)
        made.external, made._identities = dict(self.external), dict(self._identities)
        made.hold(<object>self.bytes.obj)
        return made

    cdef ModelSource of_files(self):
        """Make a source of the same files, with a guard of its own, that holds no bytes."""
        cdef ModelSource made = ModelSource.__new__(ModelSource)
        made.path, made.real_path, made.identity = self.path, self.real_path, self.identity
        made.files, made._identities = list(self.files), dict(self._identities)
        made.guard_files([os.path.realpath(path) for path, _, _ in made.files])
        return made

    cdef object reopenable(self):
        """Return the path, or a buffer that is still held; None if the buffer was released."""
        if self.path is not None:
            return self.path
        return None if self.bytes.buf == NULL else <object>self.bytes.obj

    cdef str folder(self):
        """Return the folder of the file itself, which a link may lead to."""
        return os.path.dirname(self.real_path)

    cdef bytes file_name(self):
        """Return the file's name in `folder`."""
        return os.fsencode(os.path.basename(self.real_path))

    cdef const ortmmap_mapping *mapped_file(self) noexcept:
        """Return the mapping that the bytes are; NULL if they are a buffer's."""
        return NULL if self.mapping is None else &self.mapping._mapping

    cdef bint holds_model(self) noexcept:
        """Whether the bytes held are the model's, not those of a file mapped in its place."""
        if self.bytes.buf == NULL:
            return False
        return self.mapping is None or self.mapping.path == self.path

    cdef bint has_identifier(self, const char *identifier) noexcept:
        """Whether the bytes are a flatbuffer with this identifier of four characters."""
        cdef size_t size = strlen(identifier)
        return (
            self.nbytes >= 8 and memcmp(<char *>self.bytes.buf + 4, identifier, size) == 0
        )

    cdef int map(self, str path) except -1:
        """Map a file, and hold its bytes instead of those held before."""
        mapping = Mapping(path, prefault=self.prefault, lock=self.lock)
        self.release()
        self.mapping = mapping
        return self.hold(mapping)

    cdef Mapping mapping_of(self, str path):
        """Return the mapping of a file that holds weights, which is made at the first call.

        Raise ModelChangedError if the file is another one than note_files() has recorded.
        """
        cdef Mapping mapping
        if self.mapping is not None and self.mapping.path == path:
            return self.mapping
        if path not in self.external:
            mapping = Mapping(path, prefault=self.prefault, lock=self.lock)
            if self._identities.get(path, mapping.identity) != mapping.identity:
                raise file_error(ModelChangedError, "was written to meanwhile", path)
            self.external[path] = mapping
        return self.external[path]

    cdef list mappings(self):
        """Return the mappings of all files that are mapped."""
        return ([] if self.mapping is None else [self.mapping]) + list(self.external.values())

    cdef int _map_model(self) except -1:
        """Map the model file, with errors that begin as onnxruntime's."""
        cdef Reader reader
        try:
            self.map(self.path)
        except (MappingError, NoSuchFile) as error:
            raise load_error(error) from None
        begin_reading(&reader, <const unsigned char *>self.bytes.buf, self.mapped_file())
        request_pages(&reader, 0)   # the identifier is looked at before the model is scanned
        return 0

    cdef int hold(self, object exporter) except -1:
        """Hold an object's bytes, and guard them."""
        PyObject_GetBuffer(exporter, &self.bytes, PyBUF_SIMPLE)
        ortmmap_guard_set_data(
            self.guard, <const unsigned char *>self.bytes.buf, self.bytes.len
        )
        return 0

    cdef int release(self) except -1:
        """Release the bytes; ONNX Runtime must not point into them."""
        if self.guard != NULL:
            ortmmap_guard_set_data(self.guard, NULL, 0)
        self.mapping = None
        PyBuffer_Release(&self.bytes)
        self.bytes.buf = NULL
        return 0

    cdef int note_files(self, list paths) except -1:
        """Record files of external data with their present size and time, and guard them.

        Missing ones are left to ONNX Runtime, which reports them.
        """
        noted = {path for path, _, _ in self.files}
        for path in paths:
            if os.path.abspath(path) in noted:
                continue
            try:
                self._identities[path] = identity_of(path)
            except OSError:
                continue
            self.files.append(stamp(path, self._identities[path]))
        return self.guard_files([self.real_path, *map(os.path.realpath, paths)])

    cdef int guard_files(self, list paths) except -1:
        """Guard privately mapped files by their real paths.

        Earlier texts stay valid, because other threads may be using the model.
        """
        cdef bytes names = b"".join(os.fsencode(path) + b"\0" for path in paths)
        if self.guard.files != NULL:
            names = <bytes>self.guarded[len(self.guarded) - 1] + names
        self.guarded.append(names)   # a bytes object ends with one more NUL
        ortmmap_guard_set_files(self.guard, names)
        return 0

    cdef bint is_replaced(self) except -1:
        """Whether the path names another file than the one that was mapped.

        Raise ModelChangedError if it is that file, but was written to in place. A new hard link or
        mode counts as another file, since it looks like a file that was put back meanwhile.
        """
        found = identity_of(self.path)
        if found == self.identity:
            return False
        if found[:2] != self.identity[:2] or found[:4] == self.identity[:4]:
            return True
        raise file_error(
            ModelChangedError, "was written to while a session was created of it", self.path
        )

    cdef int check_whole(self) except -1:
        """Raise ModelChangedError if a file was found truncated."""
        if ortmmap_count_get(&self.guard.changed):
            raise self.gone()
        return 0

    cdef object gone(self):
        """Return the exception for a file that was found truncated."""
        for path, size, _ in self.files:
            try:
                found = os.stat(path).st_size
            except OSError:
                continue
            if found < size:
                return file_error(
                    ModelChangedError,
                    f"was truncated while it was in use: expected {size} bytes, found {found}",
                    path,
                )
        return file_error(
            ModelChangedError,
            "the file, or its entry in the cache, could not be read while it was in use",
            self.path or "a buffer",
        )
