"""Call: the arguments and results of one run."""

cimport cython
cimport numpy as cnp
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdlib cimport calloc, free

from ortmmap._runtime cimport api
from ortmmap._values cimport (
    OrtValue,
    array_from_tensor,
    as_tensor_array,
    own,
    tensor_from_array,
    to_python,
)

from ortmmap.errors import NotImplemented

cnp.import_array()


@cython.final
@cython.freelist(8)
@cython.no_gc
cdef class Call:
    """The arguments and results of one run, released with the object whatever happens."""

    def __dealloc__(self):
        cdef size_t index
        for index in range(self.feeds + self.fetches):
            if self.values[index] != NULL:
                api.ReleaseValue(self.values[index])
        for index in range(self.feeds):
            if self.arrays[index] != NULL:
                Py_DECREF(<object>self.arrays[index])
        free(self._allocated)

    cdef int reserve(self, size_t feeds, size_t fetches) except -1:
        """Make room, all zero."""
        cdef size_t count = feeds + fetches
        cdef void **room = self._inline
        if 2 * count + feeds > INLINE:
            room = self._allocated = <void **>calloc(2 * count + feeds, sizeof(void *))
            if room == NULL:
                raise MemoryError(f"{feeds} inputs and {fetches} outputs")
        self.names = <const char **>room
        self.values = <ort.OrtValue **>(room + count)
        self.arrays = <PyObject **>(room + 2 * count)
        self.feeds, self.fetches = feeds, fetches
        return 0

    cdef int feed(self, size_t index, NodeArg arg, object data) except -1:
        cdef cnp.ndarray array
        if arg.kind != ort.ONNX_TYPE_TENSOR:
            raise NotImplemented(f"input {arg.name} is a {arg.type}: only tensors can be fed")
        array = as_tensor_array(data, arg.element_type, arg.name)
        Py_INCREF(array)
        self.arrays[index] = <PyObject *>array
        self.names[index] = arg.encoded_name
        self.values[index] = tensor_from_array(array, arg.element_type)
        return 0

    cdef list results(self, list fetches):
        """Give the results, for a NodeArg each."""
        cdef list results = [None] * <Py_ssize_t>self.fetches
        cdef size_t index
        for index in range(self.fetches):
            results[index] = self.take(index, <NodeArg>fetches[index])
        return results

    cdef object take(self, size_t index, NodeArg arg):
        """Give the result for the fetch at `index`."""
        cdef OrtValue value = own(self.values[self.feeds + index])
        cdef cnp.ndarray array
        self.values[self.feeds + index] = NULL
        if arg.kind != ort.ONNX_TYPE_TENSOR:
            return to_python(value)
        array = array_from_tensor(value)
        # A model may hand an input through; the result must not change with it, nor outlive it.
        return array.copy() if self.is_fed(cnp.PyArray_DATA(array)) else array

    cdef bint is_fed(self, void *data) noexcept:
        cdef size_t index
        cdef cnp.ndarray array
        for index in range(self.feeds):
            array = <cnp.ndarray>self.arrays[index]
            first = cnp.PyArray_BYTES(array)
            if first <= <char *>data < first + cnp.PyArray_NBYTES(array):
                return True
        return False
