"""Model: the file or the buffer that a session is created from.

ONNX Runtime keeps pointers into the bytes of an ORT-format model, so these stay for as long as
the `Model` does.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memcmp

from ortmmap._options cimport make_session_options
from ortmmap._runtime cimport api, env, native_path, raise_status

import os

from ortmmap.errors import InvalidArgument

# Keys of onnxruntime_session_options_config_keys.h.
LOAD_FORMAT = "session.load_model_format"
IN_PLACE = {
    LOAD_FORMAT: "ORT",
    "session.use_ort_model_bytes_directly": "1",
    "session.use_ort_model_bytes_for_initializers": "1",
}


cdef class Model:
    """A model's bytes, mapped or lent by the object that they were given as."""

    def __init__(self, source, *, bint prefault=False, bint lock=False):
        self._open(source, prefault, lock)

    def __dealloc__(self):
        self._release()

    def __repr__(self):
        return self.path or "a buffer"

    cdef ort.OrtSession *create_session(
        self, object options, dict config, list providers
    ) except NULL:
        """Create ONNX Runtime's session; the caller releases it before it drops the Model."""
        cdef ort.OrtSession *session
        if self._is_ort_format(options):
            return self._create(options, {**IN_PLACE, **config}, providers)
        if self.path is not None:
            self._release()   # ONNX Runtime's loader reads the file itself
        session = self._create(options, {LOAD_FORMAT: "ONNX", **config}, providers)
        self._release()       # it has parsed the bytes, and keeps no pointer into them
        return session

    cdef int _open(self, object source, bint prefault, bint lock) except -1:
        if isinstance(source, (str, os.PathLike)):
            self.path = os.fsdecode(source)
            self.mapping = Mapping(self.path, prefault=prefault, lock=lock)
            PyObject_GetBuffer(self.mapping, &self._bytes, PyBUF_SIMPLE)
            return 0
        if prefault or lock:
            raise ValueError("prefault and lock go with a model file, not with a buffer")
        try:
            PyObject_GetBuffer(source, &self._bytes, PyBUF_SIMPLE)
        except TypeError:
            raise TypeError(f"Unable to load from type '{type(source)}'") from None
        if self._bytes.len == 0:
            raise InvalidArgument("expected a model, found a buffer of 0 bytes")
        return 0

    cdef bint _is_ort_format(self, object options) except -1:
        """Whether the bytes are a flatbuffer with ONNX Runtime's identifier, or options say so."""
        named = options._config.get(LOAD_FORMAT)
        if named:
            return named == "ORT"
        return self._bytes.len >= 8 and memcmp(<char *>self._bytes.buf + 4, b"ORTM", 4) == 0

    cdef ort.OrtSession *_create(
        self, object options, dict config, list providers
    ) except NULL:
        """Create ONNX Runtime's session, of the bytes held or else of the file."""
        cdef ort.OrtSessionOptions *native = make_session_options(options, config, providers)
        cdef ort.OrtSession *session = NULL
        cdef ort.OrtStatus *status
        cdef bytes path = b"" if self.path is None else native_path(self.path)
        cdef const ort.ORTCHAR_T *file = <const ort.ORTCHAR_T *><const char *>path
        with nogil:
            if self._bytes.buf != NULL:
                status = api.CreateSessionFromArray(
                    env, self._bytes.buf, self._bytes.len, native, &session
                )
            else:
                status = api.CreateSession(env, file, native, &session)
            api.ReleaseSessionOptions(native)
        if status != NULL:
            raise_status(status, self.path)
        return session

    cdef int _release(self) except -1:
        self.mapping = None
        PyBuffer_Release(&self._bytes)
        self._bytes.buf = NULL
        return 0
