"""Opening: how a session is opened."""

cimport ortmmap.abi.ort as ort
from ortmmap.model.skeleton cimport Skeleton
from ortmmap.model.source cimport ModelSource
from ortmmap.session.creation cimport Creation
from ortmmap.session.open_session cimport OpenSession

cdef class Opening:
    # What is asked for. Set once, when it is made.
    cdef ModelSource model
    cdef object options              # a SessionOptions
    cdef dict config                 # configuration entries that `options` does not have
    cdef list providers
    cdef object cache                # as `Session` was given it
    cdef OpenSession first           # an open session of the same bytes; else None
    cdef list entries                # its entries of the cache; None if it was closed meanwhile
    # What is found out.
    cdef list zip_maps               # nodes whose inputs are fetched in place of their outputs
    cdef bytes added                 # bytes that make these inputs outputs of the model
    cdef Skeleton skeleton           # of an ONNX file; else None. Empty until it is scanned
    cdef Py_ssize_t nbytes           # of the model with its external data
    cdef object store                # the cache; None without
    cdef object key
    cdef Creation creation
    cdef bint in_memory              # the file is replaced so often that its path is of no use

    cpdef OpenSession open(self)
    cpdef tuple cache_key(self)
    cdef int _look(self, bint ort_format) except -1
    cdef bint _is_replaced(self, object error) except -1
    cdef OpenSession _open(self)
    cdef OpenSession _create_open(self)
    cdef int _explain(self, object error) except -1
    cdef int _use_again(self, OpenSession first) except -1
    cdef ort.OrtSession *_create(self) except NULL
    cdef ort.OrtSession *_create_unscanned(self) except? NULL
    cdef ort.OrtSession *_create_in_place(self, bint ort_format) except NULL
    cdef ort.OrtSession *_create_of_onnx(self) except NULL
    cdef bint _is_ort_format(self) except -1
    cdef int _find_zip_maps(self, bint ort_format) except -1
    cdef bint _saves_model(self) except -1
    cdef int _scan(self) except -1
    cdef object _parsing_failed(self, str reason)
    cdef bint _uses_cache(self) except -1
    cdef bint _is_cpu_only(self) except -1
    cdef int _find_cache(self) except -1
    cdef object _key(self)
    cdef Creation _new_creation(self)
