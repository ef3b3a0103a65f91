"""The C API: its table of functions, the capsule, and its handles for Cython."""

cimport cython
from cpython.pycapsule cimport PyCapsule_New

from ortmmap._core cimport Session
from ortmmap.abi.capi cimport (
    ORTMMAP_CAPI_CAPSULE,
    ORTMMAP_CAPI_VERSION_MAJOR,
    ORTMMAP_CAPI_VERSION_MINOR,
    ortmmap_capi,
)
from ortmmap.embed cimport handle, lifetime, prepared, runs
from ortmmap.embed.errors cimport raise_error


@cython.final
@cython.no_gc
cdef class SessionHandle:
    """A handle of a session, for Cython: released with the object.

    Parameters
    ----------
    session : Session
        It cannot be closed while the object lives.
    """

    def __cinit__(self, Session session not None):
        self.session = handle.new_handle(session)

    def __dealloc__(self):
        lifetime.release(self.session)

    cdef int run(
        self,
        const ortmmap_input *inputs,
        size_t input_count,
        ortmmap_output *outputs,
        size_t output_count,
    ) except -1 nogil:
        cdef ortmmap_error error
        runs.run(self.session, inputs, input_count, outputs, output_count, NULL, &error)
        return raise_error(&error)

    cdef PreparedRun prepare(
        self,
        const ortmmap_input *inputs,
        size_t input_count,
        const ortmmap_output *outputs,
        size_t output_count,
    ):
        cdef PreparedRun made = PreparedRun.__new__(PreparedRun)
        cdef ortmmap_error error
        prepared.prepare(
            self.session, inputs, input_count, outputs, output_count, &made.prepared, &error
        )
        raise_error(&error)
        return made


@cython.final
@cython.no_gc
cdef class PreparedRun:
    """Inputs and outputs bound once, for Cython; made by `SessionHandle.prepare`."""

    def __dealloc__(self):
        prepared.release_prepared(self.prepared)

    cdef int run(self) except -1 nogil:
        cdef ortmmap_error error
        prepared.run_prepared(self.prepared, NULL, &error)
        return raise_error(&error)

    cdef int try_run(self, ortmmap_error *error) noexcept nogil:
        return prepared.run_prepared(self.prepared, NULL, error)


# --- the table ---

cdef ortmmap_capi _functions

_functions.version_major = ORTMMAP_CAPI_VERSION_MAJOR
_functions.version_minor = ORTMMAP_CAPI_VERSION_MINOR
_functions.size = sizeof(_functions)
_functions.session_open = lifetime.open_path
_functions.session_open_memory = lifetime.open_memory
_functions.session_from_python = lifetime.from_python
_functions.session_to_python = lifetime.to_python
_functions.session_retain = lifetime.retain
_functions.session_release = lifetime.release
_functions.session_input_count = handle.input_count
_functions.session_output_count = handle.output_count
_functions.session_input = handle.input_at
_functions.session_output = handle.output_at
_functions.session_ort = handle.ort_session
_functions.session_ort_api = handle.ort_api
_functions.session_mapping = handle.mapping
_functions.session_check = handle.check
_functions.run = runs.run
_functions.release_outputs = runs.release_outputs
_functions.prepare = prepared.prepare
_functions.prepared_run = prepared.run_prepared
_functions.prepared_release = prepared.release_prepared

_C_API = PyCapsule_New(&_functions, ORTMMAP_CAPI_CAPSULE, NULL)


def get_capi() -> int:
    """Return the address of the C API's table of functions, a ``const ortmmap_capi *``.

    For cffi, ctypes, and native libraries that do not import Python modules. ``ortmmap/capi.h``
    declares the table, which lives as long as the process.
    """
    return <size_t>&_functions
