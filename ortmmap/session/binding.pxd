"""IOBinding: inputs and outputs bound once, for many runs."""

cimport ortmmap.abi.ort as ort
from ortmmap.values.value cimport Value
from ortmmap.session.open_session cimport Binding

cdef class IOBinding(Binding):
    cdef object __weakref__
    # Set once, by __init__, and released with the object.
    cdef ort.OrtIoBinding *binding
    # Guarded by the object's critical section; constant while `running` is not 0.
    cdef dict _bound_inputs       # owner of each bound input's memory, by name
    cdef dict _bound_outputs
    cdef dict _cpu_inputs         # the values given to bind_cpu_input, by name
    cdef tuple _memory            # all these owners; None: to be gathered again
    cdef Py_ssize_t running

    cdef int _begin(self) except -1
    cdef int _end(self, ort.OrtStatus *status) except -1
    cdef int _check_idle(self) except -1
    cdef int _check_mine(self) except -1
    cdef int _bind_input(self, str name, Value owner, ort.OrtValue *value) except -1
    cdef int _bind_output(self, str name, Value owner, ort.OrtValue *value) except -1
    cdef list _values(self)
