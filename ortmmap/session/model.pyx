"""Model: the file or the buffer that a session is created from.

ONNX Runtime keeps pointers into the bytes of an ORT-format model, so these stay for as long as
the `Model` does.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memcmp

from ortmmap.model.mapping cimport give_guard, stamp, take_guard
from ortmmap.session.native_options cimport NativeOptions, make_session_options
from ortmmap.runtime.library cimport api, env, hold_forks, let_forks, native_path, raise_status
from ortmmap.process.guard cimport ortmmap_count_get

import os
from collections import namedtuple

from ortmmap.errors import InvalidArgument, ModelChangedError, file_error
from ortmmap.model.mapping import check_sources

# Keys of onnxruntime_session_options_config_keys.h.
LOAD_FORMAT = "session.load_model_format"
PARALLEL_PREPACKING = "session.prepack.enable_parallel"

Memory = namedtuple("Memory", "mapped resident shared private shared_blocks private_blocks")
Memory.__doc__ = """The memory of a session's weights, in bytes, and of how many blocks.

Attributes
----------
mapped, resident : int
    Of the file that is mapped, and of it what is in physical memory, shared with every process.
shared, private : int
    Of prepacked weights: in pages of the cache's file, which processes share, and in memory of
    this process. 0 where the session was created without a cache, which records nothing.
shared_blocks, private_blocks : int
    How many blocks these are.
"""


cdef class Model:
    """A model's bytes, mapped or lent by the object that they were given as."""

    def __cinit__(self):
        self.guard = take_guard()
        self._guarded = []

    def __init__(self, source, *, bint prefault=False, bint lock=False):
        self.prefault, self.lock = prefault, lock
        self.entries, self.sources = [], []
        if isinstance(source, (str, os.PathLike)):
            self.path = os.fsdecode(source)
            self.real_path = os.path.realpath(self.path)
            self.map(self.path)
            self.sources.append(stamp(self.path, self.mapping.identity))
            return
        if prefault or lock:
            raise ValueError("prefault and lock go with a model file, not with a buffer")
        try:
            self.hold(source)
        except TypeError:
            raise TypeError(f"Unable to load from type '{type(source)}'") from None
        if self.bytes.len == 0:
            raise InvalidArgument("expected a model, found a buffer of 0 bytes")

    def __dealloc__(self):
        self.release_bytes()
        if self.guard != NULL:
            give_guard(self.guard)

    def __repr__(self):
        return self.path or "a buffer"

    cdef object source(self):
        """Give what the model can be opened from again: a path, or a buffer that it still holds."""
        if self.path is not None:
            return self.path
        return None if self.bytes.buf == NULL else <object>self.bytes.obj

    cdef Model again(self):
        """Give a Model of the same bytes, for another session; they are mapped once.

        A copy that the cache keeps is found anew, by the model's file.
        """
        cdef Model model
        if self.bytes.buf != NULL and self.optimized is None:
            model = Model.__new__(Model)
            model.prefault, model.lock = self.prefault, self.lock
            model.path, model.real_path, model.mapping = self.path, self.real_path, self.mapping
            model.store, model.key = self.store, self.key
            model.inherited = True
            model.entries, model.sources = list(self.entries), list(self.sources)
            model.hold(<object>self.bytes.obj)
            return model
        if self.path is None:
            raise RuntimeError(
                "the session was made from a buffer in ONNX format, which it does not keep (only "
                "bytes objects): make another one"
            )
        check_sources(self.sources)
        return Model(self.path, prefault=self.prefault, lock=self.lock)

    def changed(self) -> bool:
        """Whether a file is no longer what it was when the model was opened."""
        try:
            check_sources(self.sources)
        except OSError:
            return True
        return False

    @property
    def nbytes(self) -> int:
        """Size of the bytes held; 0 where none are."""
        return self.bytes.len if self.bytes.buf != NULL else 0

    def memory(self):
        """Return the `Memory` of the model's weights."""
        mapping, recording = self.mapping, self.recording
        mapped, resident = (0, 0) if mapping is None else (mapping.nbytes, mapping.resident())
        shared = private = (0, 0)
        if recording is not None:
            shared, private = recording.shared_blocks(), recording.private_blocks()
        return Memory(mapped, resident, shared[1], private[1], shared[0], private[0])

    cdef bint is_ort_format(self, object options) except -1:
        """Whether the bytes are a flatbuffer with ONNX Runtime's identifier, or options say so."""
        named = options._config.get(LOAD_FORMAT)
        if named:
            return named == "ORT"
        return self.nbytes >= 8 and memcmp(<char *>self.bytes.buf + 4, b"ORTM", 4) == 0

    cdef int map(self, str path) except -1:
        """Hold the bytes of a file, instead of those held before."""
        mapping = Mapping(path, prefault=self.prefault, lock=self.lock)
        self.release_bytes()
        self.mapping = mapping
        return self.hold(mapping)

    cdef int hold(self, object exporter) except -1:
        """Hold an object's bytes, and guard them."""
        PyObject_GetBuffer(exporter, &self.bytes, PyBUF_SIMPLE)
        self.guard.data, self.guard.size = <const unsigned char *>self.bytes.buf, self.bytes.len
        return 0

    cdef int release_bytes(self) except -1:
        if self.guard != NULL:
            self.guard.data, self.guard.size = NULL, 0
        self.mapping = None
        PyBuffer_Release(&self.bytes)
        self.bytes.buf = NULL
        return 0

    cdef int guard_files(self, list paths) except -1:
        """Guard files, by their real paths, that ONNX Runtime maps too or that are shared pages."""
        cdef bytes names = b"".join(os.fsencode(path) + b"\0" for path in paths)
        if self.guard.files != NULL:
            names = <bytes>self._guarded[len(self._guarded) - 1] + names
        self._guarded.append(names)   # a bytes object ends with one more NUL
        self.guard.files = names
        return 0

    cdef int check_whole(self) except -1:
        """Raise where a file was found truncated."""
        if ortmmap_count_get(&self.guard.changed):
            raise self.gone()
        return 0

    cdef object gone(self):
        """Make the error for a file that was found truncated."""
        for path, size, _ in self.sources:
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
            "it, or what the cache keeps of it, could not be read while it was in use",
            self.path or "a buffer",
        )

    cdef ort.OrtSession *create_of_bytes(
        self, object options, dict config, list providers, const void *data, size_t size
    ) except NULL:
        """Create ONNX Runtime's session of a model in memory.

        `config` holds entries that `options` does not. The caller releases the session.
        """
        return self._create(options, config, providers, data, size, b"")

    cdef ort.OrtSession *create_of_file(
        self, object options, dict config, list providers, str path
    ) except NULL:
        """Create ONNX Runtime's session of a file that its own loader reads."""
        return self._create(options, config, providers, NULL, 0, native_path(path))

    cdef ort.OrtSession *_create(
        self,
        object options,
        dict config,
        list providers,
        const void *data,
        size_t size,
        bytes path,
    ) except NULL:
        cdef NativeOptions native = make_session_options(options, config, providers)
        cdef ort.OrtSession *session = NULL
        cdef ort.OrtStatus *status
        cdef const ort.ORTCHAR_T *file = <const ort.ORTCHAR_T *><const char *>path
        try:
            if self.recording is not None and options._config.get(PARALLEL_PREPACKING) == "1":
                self.recording.set_threads(native.options)
            with nogil:
                hold_forks()
                if data != NULL:
                    status = api.CreateSessionFromArray(env, data, size, native.options, &session)
                else:
                    status = api.CreateSession(env, file, native.options, &session)
                let_forks()
        finally:
            native.release()
        if status != NULL:
            raise_status(status, self.path)
        return session
