"""Creation: ONNX Runtime's sessions of one model, with one set of options."""

cimport ortmmap.abi.ort as ort
from ortmmap.model.source cimport ModelSource
from ortmmap.model.skeleton cimport Skeleton
from ortmmap.session.native_options cimport Initializers, NativeOptions

cdef class Attempt:
    # Constant.
    cdef object options
    cdef dict config
    cdef bytes data
    cdef str file
    cdef list weights

cdef class Creation:
    # Set once, when it is made.
    cdef ModelSource model
    cdef Skeleton skeleton           # None: ORT format, or a buffer
    cdef object options              # a SessionOptions
    cdef dict config                 # configuration entries that `options` does not have
    cdef list providers
    cdef Initializers initializers
    cdef int threads                 # of pools whose size `options` leave open; 0: not known
    # Objects that the session needs for as long as it is open.
    cdef object recording            # None unless its prepacked weights are recorded
    cdef list entries                # of the cache
    cdef bytes found_graph           # that create_found() has created the session of
    cdef object cached               # a Cached; None without cache
    cdef bint reads_model            # its weights, from the disk if need be
    cdef bint is_reading             # ahead

    cdef ort.OrtSession *create_found(self) except? NULL
    cdef ort.OrtSession *create(self, list attempts) except NULL
    cdef bint hand_out(self) except -1
    cdef int give_up(self) except -1
    cdef ort.OrtSession *try_each(self, list attempts) except NULL
    cdef tuple signature(self, list attempts)
    cdef list in_place(self, object options)
    cdef list in_memory(self, object options)
    cdef bint is_in_one_folder(self) except -1
    cdef Py_ssize_t nbytes(self) except -1
    cdef int use_entry(self, object entry) except -1
    cdef int _prepare(self, NativeOptions native) except -1
    cdef list _files_to_read(self)
    cdef ort.OrtSession *_create_of(self, Attempt attempt) except NULL
    cdef ort.OrtSession *_create_native(
        self, Attempt attempt, const void *data, size_t size, bytes path
    ) except NULL
    cdef bint _is_skeleton_usable(self, object options) except -1

cdef list external_files(ModelSource model, Skeleton skeleton)
