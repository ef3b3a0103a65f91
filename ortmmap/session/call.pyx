"""Call: the arguments and results of one run."""

cimport cython
cimport numpy as cnp
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdlib cimport calloc, free

from ortmmap.values.containers cimport from_python, lies_in_value, to_python
from ortmmap.values.ort_value cimport own_ort_value
from ortmmap.runtime.library cimport api, forks
from ortmmap.session.string_feed cimport string_feed
from ortmmap.values.tensors cimport array_from_tensor, as_tensor_array, tensor_from_array
from ortmmap.values.value cimport own

from ortmmap.errors import InvalidArgument

cnp.import_array()


cdef inline bint lies_in_array(cnp.ndarray array, const void *data) noexcept:
    first = cnp.PyArray_BYTES(array)
    return first <= <const char *>data < first + cnp.PyArray_NBYTES(array)


@cython.final
@cython.freelist(8)
@cython.no_gc
cdef class Call:
    """The arguments and results of one run, released with the object whatever happens."""

    def __dealloc__(self):
        cdef size_t index
        if self.open is not None and self.open.forks != forks:
            return   # a parent's run was under way, and goes on there
        for index in range(self.feeds):
            if self.values[index] != NULL and cnp.PyArray_Check(<object>self.owners[index]):
                api.ReleaseValue(self.values[index])
            if self.owners[index] != NULL:
                Py_DECREF(<object>self.owners[index])
        for index in range(self.feeds, self.feeds + self.fetches):
            if self.values[index] != NULL:
                api.ReleaseValue(self.values[index])
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
        self.owners = <PyObject **>(room + 2 * count)
        self.feeds, self.fetches = feeds, fetches
        return 0

    cdef int feed_all(self, dict feed) except -1:
        """Feed what `feed` has by name; converting a value may run any code."""
        cdef size_t index = 0
        cdef Py_ssize_t required = 0
        cdef NodeArg arg
        for name, data in feed.items():
            arg = self.find_input(name, feed)
            if data is None and arg.kind == ort.ONNX_TYPE_OPTIONAL:
                continue   # left out, it is empty
            if index == self.feeds:
                raise RuntimeError("input_feed was changed while its values were converted")
            self.feed(index, arg, data)
            required += arg.required
            index += 1
        if required < self.open.required:
            raise_missing(self.open, feed)
        self.feeds = index
        return 0

    cdef NodeArg find_input(self, object name, dict feed):
        found = self.open.feeds.get(name)
        if found is None:
            raise_missing(self.open, feed)
            raise InvalidArgument(
                "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Invalid input name: "
                f"{name} (the model's inputs are {list(self.open.feeds)})"
            )
        return <NodeArg>found

    cdef int feed(self, size_t index, NodeArg arg, object data) except -1:
        cdef cnp.ndarray array
        if arg.kind != ort.ONNX_TYPE_TENSOR or isinstance(data, Value):
            return self.feed_value(index, arg, from_python(data, arg.type, arg.name))
        array = as_tensor_array(data, arg.element_type, arg.name)
        if arg.element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
            return self.feed_value(index, arg, string_feed(arg, array))
        Py_INCREF(array)
        self.owners[index] = <PyObject *>array
        self.names[index] = arg.encoded_name
        self.values[index] = tensor_from_array(array, arg.element_type)
        return 0

    cdef int feed_value(self, size_t index, NodeArg arg, Value value) except -1:
        Py_INCREF(value)
        self.owners[index] = <PyObject *>value
        self.names[index] = arg.encoded_name
        self.values[index] = value.value
        return 0

    cdef int name_fetches(self) noexcept:
        """Name the outputs, once the inputs are fed."""
        cdef size_t index
        for index in range(self.fetches):
            self.names[self.feeds + index] = (<NodeArg>self.args[index]).encoded_name
        return 0

    cdef int run(self, const ort.OrtRunOptions *options) except -1:
        cdef ort.OrtStatus *status
        cdef OpenSession open_ = self.open
        open_.begin()   # converting an input may have closed it
        with nogil:
            status = api.Run(
                open_.session,
                options,
                self.names,
                <const ort.OrtValue *const *>self.values,
                self.feeds,
                self.names + self.feeds,
                self.fetches,
                self.values + self.feeds,
            )
        return open_.end(status)

    cdef list results(self):
        """Give the results."""
        cdef list results = [None] * <Py_ssize_t>self.fetches
        cdef size_t index
        for index in range(self.fetches):
            results[index] = self.take(index, <NodeArg>self.args[index])
        if self.repeated:
            separate(results, self.args)
        return results

    cdef object take(self, size_t index, NodeArg arg):
        """Give the result for the fetch at `index`."""
        cdef Value value = own(self.values[self.feeds + index])
        self.values[self.feeds + index] = NULL
        if arg.kind == ort.ONNX_TYPE_TENSOR:
            return self.own_memory(array_from_tensor(value))
        return self.own_memory(to_python(value))

    cdef object own_memory(self, object result):
        """Copy what lies in a feed's memory.

        A model may hand an input through; the result must not change with it, nor outlive it.
        """
        if cnp.PyArray_Check(result):
            return result.copy() if self.is_fed(cnp.PyArray_DATA(result)) else result
        if isinstance(result, list):
            return [self.own_memory(item) for item in result]
        return result

    cdef OrtValue take_value(self, size_t index):
        """Give the result for the fetch at `index` as it is, keeping the feeds' memory for it."""
        cdef ort.OrtValue *value = self.values[self.feeds + index]
        cdef size_t feed
        self.values[self.feeds + index] = NULL
        return own_ort_value(value, [<object>self.owners[feed] for feed in range(self.feeds)])

    cdef bint is_fed(self, void *data) except -1:
        cdef size_t index
        cdef PyObject *owner
        for index in range(self.feeds):
            owner = self.owners[index]
            if cnp.PyArray_Check(<object>owner):
                if lies_in_array(<cnp.ndarray>owner, data):
                    return True
            elif lies_in_value(<Value>owner, data):
                return True
        return False


cdef int raise_missing(OpenSession open_, dict feed) except -1:
    """Raise where `feed` lacks an input."""
    missing = [
        arg.name for arg in open_.inputs if (<NodeArg>arg).required and arg.name not in feed
    ]
    if missing:
        raise InvalidArgument(
            f"Required inputs ({missing}) are missing from input feed ({list(feed)})."
        )
    return 0


cdef int separate(list results, list args) except -1:
    """Copy what was asked for before: ONNX Runtime gives one value for both."""
    from copy import deepcopy

    first = {}
    for index, arg in enumerate(args):
        earlier = first.setdefault(arg, index)
        if earlier != index:
            results[index] = deepcopy(results[earlier])
    return 0
