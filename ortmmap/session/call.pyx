"""Call: the arguments and results of one run.

An input is used where it lies if possible. An output is an array over ONNX Runtime's memory, which
the array keeps; an output that lies in the memory of an input is copied. The dicts of a ZipMap are
built from the node's input, which is fetched in place of the maps.
"""

cimport cython
cimport numpy as cnp
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdlib cimport calloc, free

from ortmmap.values.native_tensor cimport Layout, lies_in
from ortmmap.process.guard cimport ortmmap_count_get
from ortmmap.runtime.library cimport api, default_run_options, intact_since
from ortmmap.values.strings cimport StringTensor, new_string_tensor
from ortmmap.values.tensors cimport (
    array_from_tensor,
    as_tensor_array,
    get_layout,
    lies_in_value,
    tensor_from_array,
)
from ortmmap.values.value cimport check_holds, check_made, has_value, own, own_as

from ortmmap.errors import InvalidArgument

cnp.import_array()

cdef enum:
    KEPT_BYTES = 32 << 20    # limit of the memory that an input keeps
    STRING_BYTES = 32        # size of an empty std::string


cdef inline bint lies_in_array(cnp.ndarray array, const void *data) noexcept:
    return lies_in(data, cnp.PyArray_DATA(array), cnp.PyArray_NBYTES(array))


@cython.final
@cython.freelist(8)
@cython.no_gc
cdef class Call:
    """The arguments and results of one run, which are released with the object."""

    def __dealloc__(self):
        cdef PyObject *owner
        cdef size_t index
        if self.open is not None and self.open.forks < intact_since:
            return   # perhaps a run of the parent's, which goes on there
        for index in range(self.feeds):
            owner = self.owners[index]
            if owner == NULL:
                continue
            if not cnp.PyArray_Check(<object>owner):
                give_back(<object>owner)
            elif self.values[index] != NULL:
                api.ReleaseValue(self.values[index])
            Py_DECREF(<object>owner)
        for index in range(self.feeds, self.feeds + self.fetches):
            if self.values[index] != NULL:
                api.ReleaseValue(self.values[index])
        free(self._allocated)

    cdef int reserve(self, size_t feeds, size_t fetches) except -1:
        """Allocate zeroed room for pointers."""
        cdef size_t count = feeds + fetches
        cdef void **room = self._own_slots
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
        """Feed values by name; their conversion may run any code, and close the session."""
        cdef size_t index = 0
        cdef Py_ssize_t required = 0
        cdef NodeArg arg
        for name, data in feed.items():
            arg = self.find_input(name, feed)
            if arg.kind == ort.ONNX_TYPE_OPTIONAL and is_empty(data):
                continue   # an optional input that is not fed is empty
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
        """Find an input by name; raise InvalidArgument if there is none."""
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
        if isinstance(data, Value):
            return self.feed_value(
                index, arg, check_holds(check_made(<Value>data, arg.name), arg.name)
            )
        if arg.kind != ort.ONNX_TYPE_TENSOR:
            from ortmmap.values.containers import from_python

            return self.feed_value(
                index, arg, check_holds(from_python(data, arg.type, arg.name), arg.name)
            )
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

    cdef int name_fetches(self, bint as_python) noexcept:
        """Set the names of the outputs to fetch, after the names of the inputs."""
        cdef size_t index
        cdef NodeArg arg
        for index in range(self.fetches):
            arg = <NodeArg>self.args[index]
            if as_python and arg.rows is not None:
                arg = arg.rows
            self.names[self.feeds + index] = arg.encoded_name
        return 0

    cdef int run_with(self, RunOptions options) except -1:
        """Run with options; None stands for the default ones."""
        cdef RunOptions lent
        if options is None:
            return self.run(default_run_options)
        if not ortmmap_count_get(&options.shrinks) or self.open.held_recording() is None:
            return self.run(options.options)
        lent = options.lend_without_shrinkage()
        try:
            self.run(lent.options)
        finally:
            options.take_back(lent)
            self.open.shrink_arena()
        return 0

    cdef int run(self, const ort.OrtRunOptions *options) except -1:
        cdef ort.OrtStatus *status
        cdef OpenSession open_ = self.open
        open_.begin()   # the conversion of an input may have closed it
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
        """Return the results, each an array, or a list, dict, SparseTensor or None."""
        cdef list results = [None] * <Py_ssize_t>self.fetches
        cdef size_t index
        for index in range(self.fetches):
            results[index] = self.take(index, <NodeArg>self.args[index])
        if self.repeated:
            separate(results, self.args)
        return results

    cdef object take(self, size_t index, NodeArg arg):
        """Return the result of the fetch at `index`, which the Call then no longer owns."""
        cdef Value value = own(self.values[self.feeds + index])
        self.values[self.feeds + index] = NULL
        if arg.kind == ort.ONNX_TYPE_TENSOR:
            return self.own_memory(array_from_tensor(value))
        if arg.rows is not None:
            return arg.row_dicts.of(value)
        from ortmmap.values.containers import to_python

        return self.own_memory(to_python(value))

    cdef object own_memory(self, object result):
        """Copy a result that lies in a feed's memory, which a model may return as an output.

        The result must neither change with the input nor keep it alive.
        """
        if cnp.PyArray_Check(result):
            return result.copy() if self.is_fed(cnp.PyArray_DATA(result)) else result
        if isinstance(result, list):
            return [self.own_memory(item) for item in result]
        return result

    cdef Value take_value(self, size_t index, object cls):
        """Return the fetch at `index` as a `cls`, a class of values that keep the feeds.

        These are values all: the memory of an input's own StringTensor is written to again.
        """
        cdef ort.OrtValue *value = self.values[self.feeds + index]
        cdef size_t feed
        self.values[self.feeds + index] = NULL
        return own_as(cls, value, [<object>self.owners[feed] for feed in range(self.feeds)])

    cdef bint is_fed(self, void *data) except -1:
        """Whether an address lies in the memory of a feed."""
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


cdef bint is_empty(object data) except -1:
    """Whether a value for an optional input is an empty optional."""
    return data is None or (isinstance(data, Value) and not has_value(<Value>data))


cdef RunOptions run_options_of(object options):
    """Convert onnxruntime's RunOptions to ours; return None, and ours, as they are."""
    if options is None:
        return None
    if isinstance(options, RunOptions):
        if (<RunOptions>options)._adapters:
            (<RunOptions>options).check_adapters()
        return options
    from ortmmap.session.foreign_options import run_options_from

    return run_options_from(options)


cdef Call new_call(OpenSession open_, object output_names, object input_feed, bint as_python):
    """Make the call for these outputs, and feed it.

    Its results are taken by results() if they are fetched `as_python`, else by take_value().
    """
    cdef Call call = Call.__new__(Call)
    cdef dict feed
    call.open = open_
    if not output_names:
        call.args = open_.outputs
    else:
        call.args = find_outputs(open_, output_names)
        call.repeated = len(call.args) > 1 and len(set(call.args)) < len(call.args)
    feed = input_feed if type(input_feed) is dict else dict_of(input_feed)
    call.reserve(len(feed), len(call.args))
    call.feed_all(feed)
    call.name_fetches(as_python)
    return call


cdef list find_outputs(OpenSession open_, object names):
    if isinstance(names, str):
        raise TypeError(f"output_names should be a sequence of names, not {names!r}")
    return [find_output(open_, name) for name in names]


cdef NodeArg find_output(OpenSession open_, object name):
    """Find an output by name; raise InvalidArgument if there is none."""
    found = open_.fetches.get(name)
    if found is None:
        raise InvalidArgument(
            "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Invalid output name:"
            f"{name} (the model's outputs are {list(open_.fetches)})"
        )
    return <NodeArg>found


cdef dict dict_of(object input_feed):
    if not hasattr(input_feed, "keys"):
        raise TypeError(
            f"input_feed should map names to values; it is a {type(input_feed).__name__}"
        )
    return dict(input_feed)


cdef int raise_missing(OpenSession open_, dict feed) except -1:
    """Raise InvalidArgument if `feed` lacks an input."""
    missing = [
        arg.name for arg in open_.inputs if (<NodeArg>arg).required and arg.name not in feed
    ]
    if missing:
        raise InvalidArgument(
            f"Required inputs ({missing}) are missing from input feed ({list(feed)})."
        )
    return 0


cdef int separate(list results, list args) except -1:
    """Copy results of an output that is fetched twice: ONNX Runtime returns one value for both."""
    from copy import deepcopy

    first = {}
    for index, arg in enumerate(args):
        earlier = first.setdefault(arg, index)
        if earlier != index:
            results[index] = deepcopy(results[earlier])
    return 0


# --- strings ---
# Making and freeing a tensor's strings takes longer than filling them, so an input keeps its tensor
# for the next run.

cdef StringTensor string_feed(NodeArg arg, cnp.ndarray array):
    """Return a tensor with the texts of `array`, which give_back() returns to the input."""
    cdef StringTensor tensor = None
    with cython.critical_section(arg):
        tensor, arg.strings = arg.strings, None
    if tensor is None or not has_shape(tensor, array):
        tensor = new_string_tensor(array)
    tensor.fill(array)
    if is_small(tensor, cnp.PyArray_SIZE(array)):
        tensor.home = <PyObject *>arg
    return tensor


cdef int give_back(object owner) noexcept:
    """Return a feed's tensor to the input that it came from, which the Call still keeps."""
    cdef StringTensor tensor
    cdef NodeArg arg
    if not isinstance(owner, StringTensor) or (<StringTensor>owner).home == NULL:
        return 0
    tensor = <StringTensor>owner
    arg, tensor.home = <NodeArg>tensor.home, NULL
    with cython.critical_section(arg):   # the tensor of another run is dropped outside
        arg.strings, tensor = tensor, arg.strings
    return 0


cdef bint has_shape(StringTensor tensor, cnp.ndarray array) except -1:
    cdef Layout layout
    cdef size_t index
    get_layout(tensor.value, &layout)
    if layout.rank != <size_t>cnp.PyArray_NDIM(array):
        return False
    for index in range(layout.rank):
        if layout.shape[index] != cnp.PyArray_DIM(array, index):
            return False
    return True


cdef bint is_small(StringTensor tensor, size_t count) noexcept:
    """Whether to keep a tensor; each string may have room for the longest text it ever had."""
    cdef size_t room = min(tensor.strings.written, tensor.strings.longest * count)
    return count * STRING_BYTES + room <= KEPT_BYTES
