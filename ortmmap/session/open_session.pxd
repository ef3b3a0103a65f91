"""OpenSession: ONNX Runtime's session, and the objects that it points into."""

cimport ortmmap.abi.ort as ort
from ortmmap.model.source cimport ModelSource
from ortmmap.session.metadata cimport ModelMetadata
from ortmmap.session.native_options cimport RunOptions
from ortmmap.process.guard cimport ortmmap_count, ortmmap_guard

# Whether a session may be used, and if not, why.
cdef enum Use:
    USABLE = 0
    CLOSED
    FORKED       # it was opened before a fork that it does not survive
    CHANGED      # a file of the model was found truncated

# Whether a session is open. While one thread decides whether it may be closed, others wait.
cdef enum State:
    SHUT = 0     # also before it is opened
    OPEN
    SHUTTING

cdef class OpenSession:
    # An enum State. A user is counted first and looks at `state` then; shut() changes `state` first
    # and looks at the counters then.
    cdef ortmmap_count state
    # Set once, by open_session(); released by release() or with the object. Constant while the
    # session has users, which use it without a lock; others take them by held_model() and the like,
    # within the object's critical section.
    cdef ort.OrtSession *session
    cdef ModelSource model
    cdef object recording        # a Recording, known to the session's threads; None without cache
    cdef object initializers     # Initializers, whose values the session points to
    # The cache's place for the model, for another session of it; None without cache.
    cdef object store
    cdef object key
    cdef list entries            # of the cache, held so that they are not removed to make room
    # Set once, before other threads have the object; constant from then on.
    cdef object cached           # a Cached; None without cache
    cdef str named               # the model's path, for people; None if never opened
    # Names and types, looked up once. `outputs` and `fetches` lack outputs that were added.
    cdef list inputs
    cdef list outputs
    cdef list overridable
    cdef dict feeds              # inputs and overridable initializers by name
    cdef dict fetches            # outputs by name
    cdef Py_ssize_t required     # number of inputs that must be fed
    cdef int forks               # of the process that opened it
    cdef bint inheritable        # it may survive clean forks; see is_inheritable()
    cdef bint is_large           # freed memory is given back to the system
    # The model's, which this owns too; its `users` counts calls of ONNX Runtime under way. NULL
    # if the session was never opened.
    cdef ortmmap_guard *guard
    cdef list guarded            # the model's texts that `guard.files` may point to
    cdef ortmmap_count handles   # of the C API; while there are any, close() refuses
    # Guarded by the object's critical section.
    cdef set _calling_back       # threads of the session's own that are in a callback; or None

    cdef ModelSource held_model(self)
    cdef object held_recording(self)
    cdef bint is_closed(self) noexcept nogil
    cdef ModelMetadata metadata(self)
    cdef object cached_state(self)
    cdef bint is_of_this_process(self) noexcept nogil
    cdef Use use(self) noexcept nogil
    cdef Use enter(self) noexcept nogil
    cdef Use leave(self) noexcept nogil
    cdef int begin(self) except -1
    cdef int end(self, ort.OrtStatus *status) except -1
    cdef int begin_callback(self) except -1
    cdef int end_callback(self) except -1
    cdef int check_idle(self, str purpose) except -1
    cdef bint _is_calling_back(self) except -1
    cdef int close(self) except -1
    cdef bint _shut(self) except -1
    cdef int check_open(self) except -1
    cdef int check_not_closed(self) except -1
    cdef int raise_unusable(self, Use use) except -1
    cdef long running(self) noexcept
    cdef int release(self) except -1
    cdef int _pass_on(self, ort.OrtSession *session, tuple held) except -1
    cdef int shrink_arena(self) except -1
    cdef int _release_memory(self, object recording) except -1
    cdef int give_back_freed(self) except -1
    cdef str end_profiling(self)
    cdef bint returns_maps(self) except -1
    cdef int use_zip_maps(self, list zip_maps) except -1
    cdef int _describe(self) except -1

cdef class Binding:
    # Set once, when it is made.
    cdef OpenSession open

    cdef int run_with(self, RunOptions options) except -1
    cdef int run(self, const ort.OrtRunOptions *options) except -1
    cdef int raise_unusable(self) except -1

cdef OpenSession open_session(
    ort.OrtSession *session,
    ModelSource model,
    object recording,
    object initializers,
    object store,
    object key,
    list entries,
    bint inheritable,
    Py_ssize_t nbytes,
)

cdef void leave_pool_thread() noexcept nogil

cdef bint is_inheritable(
    object options, dict config, list providers, int threads
) except -1
