"""Recorded creations: sessions of the cache's graph, whose prepacked weights are its pages."""

cimport ortmmap.abi.ort as ort
from ortmmap.cache.prepack cimport Pages, StandIns
from ortmmap.session.creation cimport Attempt, Creation

cdef class RecordedCreation(Creation):
    # Set once, when it is made.
    cdef object store
    cdef object key
    # Changed in the thread that creates the session only.
    cdef bint prepacked   # whether prepacked weights are to be shared
    cdef object unshared  # why they are not; None if they are, or if kernels prepack nothing
    cdef list graph       # attempts for a session of the saved graph; None if there is no entry
    cdef Pages pages      # None if there is no entry
    cdef bint mistaken    # whether the blocks of stand-ins were not what is known of them
    cdef str folder       # the cache folder of the entries that were found; else None

    cdef bint _check_sharing(self) except -1
    cdef bint _find(self) except -1
    cdef int _find_graph(self) except -1
    cdef list _attempts_of(self, object entry)
    cdef int _note_folder(self, object entry) except -1
    cdef bint _lacks_graph(self) noexcept
    cdef bint _lacks_pages(self) noexcept
    cdef Pages _open(self, object entry)
    cdef ort.OrtSession *_create_recorded(self, list attempts) except NULL
    cdef ort.OrtSession *_create_of_stand_ins(self, list attempts) except? NULL
    cdef list _packings(self)
    cdef ort.OrtSession *_recognized(self, list attempts, list weights) except? NULL
    cdef bint _may_stand_in(self) except -1
    cdef bint _may_blocks_change(self) except -1
    cdef bint _is_recognized(self) except -1
    cdef int _read_single_pages(self, list stood_for) except -1
    cdef list stood_for(self, list names)
    cdef ort.OrtSession *record(
        self, list attempts, StandIns stand_ins, bint learning
    ) except? NULL
    cdef int release(self, ort.OrtSession *session) except -1
    cdef int _use_pages(self) except -1
    cdef int _drop_weights(self) except -1

cdef int advise(list weights, str advice) except -1
cdef Attempt with_weights(Attempt attempt, list weights)
cdef list recorded_attempts(list attempts, dict more)
cpdef bint is_prepacked(object options) except -1
cdef Pages open_pages(object entry)
cpdef object read_recognition(object entry, int blocks)
