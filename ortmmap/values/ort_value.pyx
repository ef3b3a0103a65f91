"""OrtValue: a value as users hold it."""

cimport cython
cimport numpy as cnp
from libc.stdint cimport int64_t, uint8_t

cimport ortmmap.abi.dlpack as dl
cimport ortmmap.abi.ort as ort
from ortmmap.runtime.library cimport check, load
from ortmmap.values.dlpack cimport array_from_dlpack, dlpack_capsule
from ortmmap.values.element_types cimport (
    bits_of,
    element_type_from,
    element_type_name,
    element_type_named,
    element_type_of,
    onnx_number,
    pack,
)
from ortmmap.values.native_tensor cimport Layout, allocated_tensor, nbytes_of
from ortmmap.values.sparse cimport SparseTensor
from ortmmap.values.tensors cimport (
    array_from_tensor,
    array_of,
    as_tensor_array,
    data_of,
    get_layout,
    new_tensor,
    shape_array,
)
from ortmmap.values.value cimport (
    check_made,
    has_value,
    kind_of,
    share,
    share_with,
    value_type_name,
)

import warnings

import numpy as np

from ortmmap.errors import Fail, InvalidArgument
from ortmmap.values.devices import check_cpu, check_cpu_memory

cnp.import_array()


@cython.no_gc
cdef class OrtValue(Value):
    """A value of ONNX Runtime: a tensor, a sparse tensor, a sequence, a map, or an optional.

    It lies in the CPU's memory. A tensor of an array or by DLPack lies over the memory of that,
    and keeps it. ``numpy.asarray`` and DLPack read a tensor's memory without a copy.
    """

    def __init__(self, ortvalue, numpy_obj=None, session=None):
        """Share the value of another OrtValue, as onnxruntime's constructor does.

        Parameters
        ----------
        ortvalue : OrtValue
            Such as the `_ortvalue` of another one.
        numpy_obj : ndarray, optional
            An array to keep.
        session
            Ignored: onnxruntime keeps the session whose device allocated the value.

        Raises
        ------
        ValueError
            If `ortvalue` is of another type.
        """
        if not isinstance(ortvalue, OrtValue):
            raise ValueError(
                "`Provided ortvalue` needs to be of type OrtValue: an OrtValue is made by "
                "ortvalue_from_numpy, from_dlpack and the like"
            )
        if self.value != NULL:
            raise RuntimeError("this OrtValue is made already")
        share_with(self, check_made(ortvalue, "ortvalue"))
        self._numpy_obj = numpy_obj

    @property
    def _ortvalue(self):
        """The C++ part, for packages that read ``onnxruntime.OrtValue._ortvalue``."""
        return share(_NativeOrtValue, self)

    def _get_c_value(self):
        return self._ortvalue

    @classmethod
    def ortvalue_from_numpy(cls, numpy_obj, /, device_type="cpu", device_id=0, vendor_id=-1):
        """Make a tensor over an array's memory; strings and non-contiguous arrays are copied.

        Parameters
        ----------
        numpy_obj : array_like
            Of any shape, and of a dtype that ONNX has an element type for.
        device_type, device_id, vendor_id
            Only the CPU is supported.

        Returns
        -------
        OrtValue

        Raises
        ------
        InvalidArgument
            If ONNX has no element type for the dtype.
        NotImplementedError
            If another device is named.
        """
        cdef cnp.ndarray array
        check_cpu(device_type, device_id)
        if cnp.PyArray_Check(numpy_obj):
            array = <cnp.ndarray>numpy_obj
        else:
            array = array_of(numpy_obj, ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED, "")
        return made_of(numpy_obj, value_over(cls, array, known_element_type(array)))

    @classmethod
    def ortvalue_from_numpy_with_onnx_type(cls, data, /, int onnx_element_type):
        """Make a tensor of any element type over an array's memory, whose bits are not converted.

        Parameters
        ----------
        data : array_like
            Elements of the type's size, such as uint16 for bfloat16. One smaller than a byte takes
            a byte of the array.
        onnx_element_type : int
            ``TensorProto.DataType``.

        Returns
        -------
        OrtValue

        Raises
        ------
        InvalidArgument
            If there is no such type, or its size is another.
        """
        cdef cnp.ndarray array = np.ascontiguousarray(data)
        cdef int element_type = element_type_from(onnx_element_type)
        if 8 * array.dtype.itemsize != max(bits_of(element_type), 8) or array.dtype.hasobject:
            raise InvalidArgument(
                f"elements of {array.dtype} have {8 * array.dtype.itemsize} bits, those of "
                f"tensor({element_type_name(element_type)}) {bits_of(element_type)}"
            )
        return made_of(data, value_over(cls, array, element_type))

    @classmethod
    def ortvalue_from_shape_and_type(
        cls, shape, element_type, device_type="cpu", device_id=0, vendor_id=-1, memory_info=None
    ):
        """Make a tensor whose elements are not initialized; strings are empty.

        Parameters
        ----------
        shape : sequence of int
        element_type : dtype_like or int
            A numpy type, or ``TensorProto.DataType``.
        device_type, device_id, vendor_id
            Only the CPU is supported.
        memory_info : OrtMemoryInfo, optional
            The CPU's memory, for which an allocator has been registered. The device is ignored if
            this is given.

        Returns
        -------
        OrtValue

        Raises
        ------
        InvalidArgument
            If there is no such element type, or a size is negative.
        TypeError
            If a size is no integer.
        NotImplementedError
            If another device, or another device's memory, is given.
        Fail
            If no allocator has been registered for `memory_info`.
        """
        if memory_info is None:
            check_cpu(device_type, device_id)
        else:
            check_cpu_memory(memory_info)
            if (device_type, device_id, vendor_id) != ("cpu", 0, -1):
                warnings.warn(
                    "device_type, device_id and vendor_id are ignored if memory_info is given",
                    stacklevel=2,
                )
        return allocated(cls, shape_array(shape), element_type_from(element_type))

    @classmethod
    def ort_value_from_sparse_tensor(cls, SparseTensor sparse_tensor not None):
        """Make a value that shares a sparse tensor with `sparse_tensor`."""
        return share(cls, sparse_tensor)

    @classmethod
    def from_dlpack(cls, data, /):
        """Make a tensor over the memory of another library's tensor, which it keeps.

        A tensor that is not contiguous is copied.

        Parameters
        ----------
        data : object with ``__dlpack__``, or a DLPack capsule

        Returns
        -------
        OrtValue

        Raises
        ------
        TypeError
            If `data` is neither.
        BufferError
            If ONNX has no element type for the tensor's.
        NotImplementedError
            If the tensor is not in the CPU's memory.
        """
        cdef cnp.ndarray array = array_from_dlpack(data)
        return value_over(cls, array, known_element_type(array))

    def __repr__(self):
        state = "empty" if self.value == NULL else self.data_type()
        return f"<ortmmap.OrtValue, {state}>"

    def as_sparse_tensor(self):
        """Return the sparse tensor as a `SparseTensor`; raise `Fail` if it is none."""
        if not self.is_sparse_tensor():
            raise Fail(f"This OrtValue does not contain SparseTensor, it is a {self.data_type()}")
        return share(SparseTensor, self)

    def data_ptr(self) -> int:
        """Return the address of a tensor's first element."""
        self._expect_tensor()
        return <size_t>data_of(self.value)

    def device_name(self) -> str:
        """Return ``cpu``."""
        if not self.is_tensor() and not self.is_sparse_tensor():
            raise Fail("Only OrtValues that are Tensors/SparseTensors have a device")
        return "cpu"

    def shape(self) -> list:
        """Return a tensor's shape; a sparse tensor's with its zeros."""
        cdef Layout layout
        if not self.is_sparse_tensor():
            self._expect_tensor()
        get_layout(self.value, &layout)
        return [layout.shape[index] for index in range(layout.rank)]

    def data_type(self) -> str:
        """Return the type as onnxruntime spells it: ``tensor(float)``, ``seq(tensor(int64))`` …

        The type of an empty optional is ``unknown``.
        """
        return value_type_name(self)

    def element_type(self) -> int:
        """Return ``TensorProto.DataType`` of a tensor, or of the tensors in a sequence."""
        cdef Layout layout
        if self.is_tensor_sequence():
            name = self.data_type().removeprefix("seq(tensor(").removesuffix("))")
            return onnx_number(element_type_named(name))
        if not self.is_sparse_tensor():
            self._expect_tensor()
        get_layout(self.value, &layout)
        return onnx_number(layout.element_type)

    def tensor_size_in_bytes(self) -> int:
        """Return the size of a numeric tensor's elements in bytes; 0 for strings."""
        cdef Layout layout
        self._expect_tensor()
        get_layout(self.value, &layout)
        return nbytes_of(layout.shape, layout.rank, layout.element_type)

    def has_value(self) -> bool:
        """Whether there is a value: an optional may be empty."""
        return bool(has_value(self))

    def is_tensor(self) -> bool:
        """Whether it is a tensor."""
        return bool(has_value(self) and kind_of(self) == ort.ONNX_TYPE_TENSOR)

    def is_sparse_tensor(self) -> bool:
        """Whether it is a sparse tensor."""
        return bool(has_value(self) and kind_of(self) == ort.ONNX_TYPE_SPARSETENSOR)

    def is_tensor_sequence(self) -> bool:
        """Whether it is a sequence of tensors."""
        return self.data_type().startswith("seq(tensor(")

    def numpy(self):
        """Return a copy of a tensor's elements, as onnxruntime does.

        The next run overwrites the memory of a bound output. ``numpy.asarray`` and
        ``numpy.from_dlpack`` share the memory.

        Returns
        -------
        ndarray
            Of the tensor's shape; strings are str objects.
        """
        cdef object array
        self._expect_tensor()
        array = array_from_tensor(self)
        return array if array.base is None else array.copy()

    def __array__(self, dtype=None, copy=None):
        """Return an array over a tensor's memory, or a copy if `dtype` or `copy` asks for one."""
        cdef object array
        self._expect_tensor()
        array = array_from_tensor(self)
        if copy:
            return array.astype(array.dtype if dtype is None else dtype)
        if dtype is None or array.dtype == dtype:
            return array
        if copy is not None:
            raise ValueError(f"elements of {array.dtype} cannot become {dtype} without a copy")
        return array.astype(dtype)

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        """Return a DLPack capsule, whose consumer shares a tensor's memory.

        Parameters
        ----------
        stream : object, optional
            Ignored: the CPU has no streams.
        max_version : (int, int), optional
            The newest version of DLPack that the consumer supports; from (1, 0) on, the capsule
            is a versioned one.
        dl_device : (int, int), optional
            Only the CPU, ``(1, 0)``, is supported.
        copy : bool, optional
            Whether to copy the memory.

        Raises
        ------
        BufferError
            If DLPack has no such element type, or another device is wanted.
        """
        cdef OrtValue value = self
        cdef Layout layout
        cdef bint versioned = False
        self._expect_tensor()
        if dl_device is not None and tuple(dl_device) != self.__dlpack_device__():
            raise BufferError(f"the tensor's memory is the CPU's, not DLPack device {dl_device}'s")
        if max_version is not None:
            major, _ = max_version
            versioned = major >= 1
        if copy:
            value = OrtValue.ortvalue_from_numpy(self.numpy())
        get_layout(value.value, &layout)
        return dlpack_capsule(
            value,
            data_of(value.value),
            layout.element_type,
            <int>layout.rank,
            layout.shape,
            versioned,
            dl.ORTMMAP_DL_COPIED if copy else 0,
        )

    def __dlpack_device__(self) -> tuple:
        """Return ``(1, 0)``: the CPU."""
        return (dl.ORTMMAP_DL_CPU, 0)

    def update_inplace(self, data) -> None:
        """Copy the elements of an array, or of another tensor, into this tensor's memory.

        Parameters
        ----------
        data : ndarray or OrtValue
            As many elements, of a type that numpy converts.

        Raises
        ------
        InvalidArgument
            If the number of elements differs, or this is no tensor.
        NotImplementedError
            If the elements are strings.
        TypeError
            If `data` is of another type.
        """
        cdef Layout layout
        if not cnp.PyArray_Check(data) and not isinstance(data, OrtValue):
            raise TypeError("data must be a numpy.ndarray or an OrtValue.")
        if not self.is_tensor():
            raise InvalidArgument(f"only a tensor is updated in place, not a {self.data_type()}")
        get_layout(self.value, &layout)
        if layout.element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
            raise NotImplementedError("a tensor of strings cannot be updated in place")
        update(self, &layout, np.asarray(data))

    cdef int _expect_tensor(self) except -1:
        if self.value == NULL or not self.is_tensor():
            raise Fail("Only OrtValues that are Tensors have elements in memory")
        return 0


class _NativeOrtValue(OrtValue):
    """The C++ part of an onnxruntime.OrtValue, as far as it differs from that."""

    def device_name(self) -> str:
        """Return ``Cpu``."""
        return super().device_name().capitalize()

    def as_sparse_tensor(self):
        """Return the sparse tensor as the C++ part of a SparseTensor."""
        return super().as_sparse_tensor()._tensor

    def to_dlpack(self):
        """Return a DLPack capsule, whose consumer shares the tensor's memory."""
        return self.__dlpack__()


cdef OrtValue made_of(object data, OrtValue value):
    """Note the array that `value` was made of."""
    if cnp.PyArray_Check(data):
        value._numpy_obj = data
    return value


cdef int known_element_type(cnp.ndarray array) except -1:
    """Return the element type for an array's dtype; raise InvalidArgument if there is none."""
    cdef int element_type = element_type_of(array)
    if element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED:
        raise InvalidArgument(f"ONNX has no type of tensor for numpy's {array.dtype}")
    return element_type


cdef OrtValue value_over(object cls, cnp.ndarray array, int element_type):
    """Make an OrtValue over `array`, or over a contiguous copy of it."""
    load()
    if element_type_of(array) == element_type:
        array = as_tensor_array(array, element_type, "")
    return <OrtValue>new_tensor(cls, array, element_type)


cdef OrtValue allocated(object cls, cnp.ndarray shape, int element_type):
    cdef OrtValue made = cls.__new__(cls)
    load()
    check(allocated_tensor(
        <const int64_t *>cnp.PyArray_DATA(shape),
        cnp.PyArray_SIZE(shape),
        element_type,
        &made.value,
    ))
    return made


cdef int update(OrtValue tensor, const Layout *layout, object array) except -1:
    cdef size_t count = 1
    cdef size_t index
    cdef cnp.ndarray target
    for index in range(layout.rank):
        count *= layout.shape[index]
    if <size_t>array.size != count:
        raise InvalidArgument(
            f"The input size of numpy arrays does not match the size of the OrtValue: "
            f"{array.size} elements for {count}"
        )
    target = array_from_tensor(tensor)
    (<object>target)[...] = array.reshape((<object>target).shape)
    if bits_of(layout.element_type) < 8:
        return pack(target, bits_of(layout.element_type), <uint8_t *>data_of(tensor.value))
    return 0
