"""IOBinding: inputs and outputs bound once, for many runs.

A binding keeps the session's model and everything bound alive. An output that is bound without
memory is allocated by the first run, and each later run writes to that memory again.
"""

cimport cython
cimport numpy as cnp

from ortmmap.values.containers cimport from_python, to_python
from ortmmap.session.metadata cimport NodeArg
from ortmmap.session.open_session cimport OpenSession
from ortmmap.values.ort_value cimport OrtValue
from ortmmap.runtime.library cimport (
    allocator,
    api,
    check,
    cpu_memory,
    intact_since,
)
from ortmmap.values.tensors cimport tensor_at
from ortmmap.values.foreign cimport as_value, as_writable_value
from ortmmap.values.value cimport Value, check_holds, own_as

from ortmmap.values.devices import check_cpu
from ortmmap.errors import InvalidArgument
from ortmmap.values.ort_value_vector import OrtValueVector

cnp.import_array()


@cython.no_gc_clear   # the collector must not take memory away that `binding` points into
cdef class IOBinding(Binding):
    """Inputs and outputs of a session, bound for `Session.run_with_iobinding`.

    A binding serves one run at a time; give each thread its own.

    Parameters
    ----------
    session : Session

    Examples
    --------
    >>> binding = session.io_binding()
    >>> binding.bind_cpu_input("x", x)
    >>> binding.bind_output("y")
    >>> session.run_with_iobinding(binding)
    >>> (y,) = binding.copy_outputs_to_cpu()
    """

    def __init__(self, session):
        if self.binding != NULL:
            raise RuntimeError("this binding is made already")
        if not hasattr(session, "_opened"):
            raise TypeError(f"session should be a Session, not {type(session).__name__}")
        self.open = session._opened()
        self._bound_inputs, self._bound_outputs, self._cpu_inputs = {}, {}, {}
        self.open.begin()
        self.open.end(api.CreateIoBinding(self.open.session, &self.binding))

    def __dealloc__(self):
        if self.binding != NULL and self.open.forks >= intact_since:
            api.ReleaseIoBinding(self.binding)

    @property
    def _iobinding(self):
        """The binding with the methods of onnxruntime's C++ class, which packages read."""
        from ortmmap.session.inner_session import InnerBinding

        return InnerBinding(self)

    @property
    def _numpy_obj_references(self):
        """The values that inputs were bound to by `bind_cpu_input`, by name."""
        with cython.critical_section(self):
            return self._cpu_inputs

    def bind_cpu_input(self, str name, arr_on_cpu) -> None:
        """Bind a value to an input.

        A numeric array that is C-contiguous is used where it lies: later runs read what is written
        into it later.

        Parameters
        ----------
        name : str
        arr_on_cpu : array_like
            Any value that `Session.run` accepts for the input.

        Raises
        ------
        InvalidArgument
            If the model has no such input, or the value has another type.
        """
        cdef NodeArg arg
        cdef Value value
        self._check_idle()
        arg = find(self.open.feeds, name, "input")
        value = from_python(arr_on_cpu, arg.type, name)
        self._bind_input(name, value, value.value)
        with cython.critical_section(self):
            self._cpu_inputs[name] = arr_on_cpu

    def bind_input(
        self, str name, device_type, device_id, element_type, shape, buffer_ptr
    ) -> None:
        """Bind a tensor at an address to an input.

        Parameters
        ----------
        name : str
        device_type : str or OrtDevice
        device_id : int
            Only the CPU's memory is possible.
        element_type : dtype_like or int
            A numpy type, or the number of ONNX's type.
        shape : sequence of int
        buffer_ptr : int
            The address of the C-contiguous elements, which must stay valid while it is bound.
        """
        cdef Value value
        check_cpu(device_type, device_id)
        value = tensor_at(buffer_ptr, element_type, shape)
        self._bind_input(name, value, value.value)

    def bind_ortvalue_input(self, str name, ortvalue) -> None:
        """Bind an `OrtValue` to an input, whose memory is used where it lies.

        A tensor of onnxruntime's class ``OrtValue`` is accepted too.
        """
        cdef Value value = as_value(ortvalue, name)
        self._bind_input(name, value, value.value)

    def bind_output(
        self, str name, device_type="cpu", device_id=0, element_type=None, shape=None,
        buffer_ptr=None,
    ) -> None:
        """Bind an output, to memory that the first run allocates or to an address.

        Parameters
        ----------
        name : str
        device_type : str or OrtDevice
        device_id : int
            Only the CPU's memory is possible.
        element_type : dtype_like or int, optional
            A numpy type, or the number of ONNX's type, of the tensor at `buffer_ptr`.
        shape : sequence of int, optional
            Shape of the tensor at `buffer_ptr`.
        buffer_ptr : int, optional
            The address to write to, which must stay valid while it is bound.

        Raises
        ------
        InvalidArgument
            If the model has no such output.
        ValueError
            If `buffer_ptr` is given without `element_type` or `shape`.
        """
        cdef Value value
        cdef bytes encoded
        check_cpu(device_type, device_id)
        if buffer_ptr is not None:
            if element_type is None or shape is None:
                raise ValueError(
                    "`element_type` and `shape` are to be provided if pre-allocated memory is "
                    "provided"
                )
            value = tensor_at(buffer_ptr, element_type, shape)
            self._bind_output(name, value, value.value)
            return
        self._check_idle()
        encoded = (<NodeArg>find(self.open.fetches, name, "output")).encoded_name
        with cython.critical_section(self):
            self._check_mine()
            self.open.begin()
            self.open.end(api.BindOutputToDevice(self.binding, encoded, cpu_memory))
            self._memory = None
            self._bound_outputs[name] = None

    def bind_ortvalue_output(self, str name, ortvalue) -> None:
        """Bind an output to the memory of an `OrtValue`, ours or onnxruntime's."""
        cdef Value value = as_writable_value(ortvalue, name)
        self._bind_output(name, value, value.value)

    def get_outputs(self) -> list:
        """Return the outputs of the last run, each an `OrtValue`, in the order of binding.

        The next run writes to the same memory.
        """
        return self._values()

    def get_outputs_as_ortvaluevector(self):
        """Return the outputs of the last run, an `OrtValueVector`, as `get_outputs` does."""
        return OrtValueVector(self._values())

    def copy_outputs_to_cpu(self) -> list:
        """Return copies of the outputs of the last run, as `Session.run` returns them."""
        return [copied(to_python(value)) for value in self._values()]

    def clear_binding_inputs(self) -> None:
        """Unbind all inputs."""
        with cython.critical_section(self):
            self._check_mine()
            self.open.begin()
            api.ClearBoundInputs(self.binding)
            self.open.end(NULL)
            _dropped = self._bound_inputs, self._cpu_inputs, self._memory   # outside
            self._bound_inputs, self._cpu_inputs, self._memory = {}, {}, None

    def clear_binding_outputs(self) -> None:
        """Unbind all outputs."""
        with cython.critical_section(self):
            self._check_mine()
            self.open.begin()
            api.ClearBoundOutputs(self.binding)
            self.open.end(NULL)
            _dropped = self._bound_outputs, self._memory   # outside
            self._bound_outputs, self._memory = {}, None

    def synchronize_inputs(self) -> None:
        """Wait until inputs are copied to their device; on the CPU this returns at once."""
        cdef ort.OrtStatus *status
        self._begin()
        with nogil:
            status = api.SynchronizeBoundInputs(self.binding)
        self._end(status)

    def synchronize_outputs(self) -> None:
        """Wait until outputs are copied from their device; on the CPU this returns at once."""
        cdef ort.OrtStatus *status
        self._begin()
        with nogil:
            status = api.SynchronizeBoundOutputs(self.binding)
        self._end(status)

    cdef int run(self, const ort.OrtRunOptions *options) except -1:
        """Run the session that the binding was made for."""
        cdef ort.OrtStatus *status
        cdef OpenSession open_ = self.open
        self._begin()
        with nogil:
            status = api.RunWithBinding(open_.session, options, self.binding)
        return self._end(status)

    cdef int _begin(self) except -1:
        """Begin a use of the binding and of its session, or raise an exception."""
        with cython.critical_section(self):
            self._check_mine()
            self.open.begin()
            self.running += 1
        return 0

    cdef int _end(self, ort.OrtStatus *status) except -1:
        """End a use that _begin() began; raise if `status` is an error."""
        with cython.critical_section(self):
            self.running -= 1
        return self.open.end(status)

    cdef int _check_idle(self) except -1:
        with cython.critical_section(self):
            self._check_mine()
        return self.open.check_open()

    cdef int _check_mine(self) except -1:
        """Raise an exception if __init__ was not called, or another thread uses the binding."""
        if self.binding == NULL:
            raise ValueError("the binding was not made")
        if self.running:
            raise RuntimeError("the binding is in use by another thread; threads need one each")
        return 0

    cdef int _bind_input(self, str name, Value owner, ort.OrtValue *value) except -1:
        self._check_idle()
        encoded = (<NodeArg>find(self.open.feeds, name, "input")).encoded_name
        check_holds(owner, name)
        with cython.critical_section(self):
            self._check_mine()
            self.open.begin()
            self.open.end(api.BindInput(self.binding, <bytes>encoded, value))
            self._memory = None
            self._bound_inputs[name] = owner
        return 0

    cdef int _bind_output(self, str name, Value owner, ort.OrtValue *value) except -1:
        self._check_idle()
        encoded = (<NodeArg>find(self.open.fetches, name, "output")).encoded_name
        check_holds(owner, name)
        with cython.critical_section(self):
            self._check_mine()
            self.open.begin()
            self.open.end(api.BindOutput(self.binding, <bytes>encoded, value))
            self._memory = None
            self._bound_outputs[name] = owner
        return 0

    cdef list _values(self):
        """Return the outputs, which may lie in any memory that is bound, and keep all of it."""
        cdef ort.OrtValue **values = NULL
        cdef size_t count = 0
        cdef size_t index
        cdef tuple memory
        with cython.critical_section(self):
            self._check_mine()
            self.open.begin()
            if self._memory is None:
                self._memory = (*self._bound_inputs.values(), *self._bound_outputs.values())
            memory = self._memory
            self.open.end(api.GetBoundOutputValues(self.binding, allocator, &values, &count))
        if values == NULL:
            return []
        try:
            return [own_as(OrtValue, values[index], memory) for index in range(count)]
        finally:
            check(api.AllocatorFree(allocator, values))


def run_with_vector(session, options, feed_names, feeds, fetch_names, fetches, fetch_devices):
    """Implement `Session.run_with_ortvaluevector`; `options` is a RunOptions or None."""
    cdef IOBinding binding = IOBinding(session)
    if not isinstance(fetches, list):
        raise TypeError(f"fetches should be an OrtValueVector, not {type(fetches).__name__}")
    for device in fetch_devices or ():
        check_cpu(device)
    if len(feeds) != len(feed_names):
        raise InvalidArgument(f"{len(feeds)} values do not go with {len(feed_names)} inputs")
    if fetches and len(fetches) != len(fetch_names):
        raise InvalidArgument(f"{len(fetches)} values do not go with {len(fetch_names)} outputs")
    for name, value in zip(feed_names, feeds, strict=True):
        binding.bind_ortvalue_input(name, value)
    for index, name in enumerate(fetch_names):
        if fetches:
            binding.bind_ortvalue_output(name, fetches[index])
        else:
            binding.bind_output(name)
    binding.run_with(options)
    fetches[:] = binding.get_outputs()


cdef NodeArg find(dict args, str name, str kind):
    found = args.get(name)
    if found is None:
        raise InvalidArgument(
            f"[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Failed to find NodeArg with name: {name} "
            f"in the def list (the model's {kind}s are {list(args)})"
        )
    return found


cdef object copied(object result):
    """Copy arrays over memory that the next run writes to."""
    if cnp.PyArray_Check(result):
        return result if result.base is None else result.copy()
    if isinstance(result, list):
        return [copied(item) for item in result]
    return result
