"""Session: an ONNX Runtime session over mapped bytes."""

cimport ortmmap.abi.ort as ort
from ortmmap.session.call cimport Call
from ortmmap.session.open_session cimport OpenSession
from ortmmap.session.native_options cimport RunOptions

cdef class Session:
    cdef object __weakref__
    cdef dict __dict__   # what users set
    # Never None. Replaced by set_providers(). Guarded by the interpreter lock.
    cdef OpenSession _open
    # What the model was opened from, and how; `_source` is None where nothing holds it any more.
    cdef object _source
    cdef dict _opening
    cdef object _cache
    cdef dict _config

    cdef object _options
    cdef list _providers

    cdef OpenSession _here(self)
    cdef OpenSession _create(self, object source, list providers)
    cdef OpenSession _create_with(self, object source, list providers, bint fallback)
    cdef int _use(self, OpenSession open_, list providers) except -1
    cdef int _check_idle(self, str purpose) except -1
    cdef Call _new_call(self, object output_names, object input_feed)
