"""Session: an ONNX Runtime session over mapped bytes."""

from ortmmap.session.call cimport Call
from ortmmap.session.open_session cimport OpenSession
from ortmmap.session.reopenable cimport Reopenable

cdef class Session:
    cdef object __weakref__
    cdef dict __dict__        # attributes that users set
    cdef Reopenable _state    # set once, when the object is made

    cdef OpenSession _here(self)
    cdef Call _call(self, object output_names, object input_feed)
