"""OrtValue: a value that users hold."""

cimport cython
cimport numpy as cnp
from libc.stdint cimport int64_t, uint8_t

cimport ortmmap.abi.dlpack as dl
from ortmmap.values.dlpack cimport array_from_dlpack, dlpack_capsule
from ortmmap.session.metadata cimport take_type_name
from ortmmap.runtime.library cimport allocator, api, check, load
from ortmmap.values.sparse cimport SparseTensor
from ortmmap.values.tensors cimport (
    Layout,
    array_from_tensor,
    array_of,
    as_tensor_array,
    data_of,
    get_layout,
    nbytes_of,
    shape_array,
    tensor_from_array,
)
from ortmmap.values.element_types cimport (
    bits_of,
    element_type_from,
    element_type_name,
    element_type_named,
    element_type_of,
    onnx_number,
    pack,
)
from ortmmap.values.value cimport has_value, kind_of, share

import operator

import numpy as np

from ortmmap.values.devices import check_cpu
from ortmmap.errors import Fail, InvalidArgument

cnp.import_array()


@cython.no_gc
cdef class OrtValue(Value):
    """A value of ONNX Runtime: a tensor, a sparse tensor, a sequence, a map, or an optional.

    Its memory is the CPU's. A tensor made from an array or by DLPack lies over their memory, and
    keeps it; numpy and DLPack get at a tensor's memory without a copy.
    """

    def __init__(self, *args):
        raise ValueError("an OrtValue is made by ortvalue_from_numpy, from_dlpack and the like")

    @classmethod
    def ortvalue_from_numpy(cls, numpy_obj, /, device_type="cpu", device_id=0, vendor_id=-1):
        """Make a tensor over an array's memory; strings and non-contiguous arrays are copied.

        Parameters
        ----------
        numpy_obj : array_like
        device_type, device_id, vendor_id
            The CPU.
        """
        cdef cnp.ndarray array
        check_cpu(device_type, device_id)
        if cnp.PyArray_Check(numpy_obj):
            array = <cnp.ndarray>numpy_obj
        else:
            array = array_of(numpy_obj, ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED, "")
        return new_tensor(cls, array, known_element_type(array))

    @classmethod
    def ortvalue_from_numpy_with_onnx_type(cls, data, /, int onnx_element_type):
        """Make a tensor of ONNX's type number `onnx_element_type` over an array's memory.

        The array's elements are taken as they are, such as uint16 for bfloat16; they must have
        the type's size. An element smaller than a byte counts as one byte of the array.

        Raises
        ------
        InvalidArgument
            Where the sizes differ.
        """
        cdef cnp.ndarray array = np.ascontiguousarray(data)
        cdef int element_type = element_type_from(onnx_element_type)
        if 8 * array.dtype.itemsize != max(bits_of(element_type), 8) or array.dtype.hasobject:
            raise InvalidArgument(
                f"elements of {array.dtype} have {8 * array.dtype.itemsize} bits, those of "
                f"tensor({element_type_name(element_type)}) {bits_of(element_type)}"
            )
        return new_tensor(cls, array, element_type)

    @classmethod
    def ortvalue_from_shape_and_type(
        cls, shape, element_type, device_type="cpu", device_id=0, vendor_id=-1, memory_info=None
    ):
        """Make a tensor whose elements nobody has set yet; strings are empty.

        Parameters
        ----------
        shape : sequence of int
        element_type : dtype_like or int
            A numpy type, or ONNX's number.
        device_type, device_id, vendor_id, memory_info
            The CPU.
        """
        if memory_info is not None:
            raise NotImplementedError("ortmmap allocates values in the CPU's memory only")
        check_cpu(device_type, device_id)
        return allocated(cls, shape_array(shape), element_type_from(element_type))

    @classmethod
    def ort_value_from_sparse_tensor(cls, SparseTensor sparse_tensor not None):
        """Make a value of a sparse tensor, which both then share."""
        return share(cls, sparse_tensor)

    @classmethod
    def from_dlpack(cls, data, /):
        """Make a tensor over the memory of another library's.

        Only a tensor that is not contiguous is copied. The other library's is kept as long as
        this one.

        Parameters
        ----------
        data : object with ``__dlpack__``, or a DLPack capsule

        Raises
        ------
        TypeError
            Where `data` is neither.
        BufferError
            Where there is no such type of tensor.
        NotImplementedError
            Where it is not in the CPU's memory.
        """
        cdef cnp.ndarray array = array_from_dlpack(data)
        return new_tensor(cls, array, known_element_type(array))

    def __repr__(self):
        state = "empty" if self.value == NULL else self.data_type()
        return f"<ortmmap.OrtValue, {state}>"

    def as_sparse_tensor(self):
        """Return the `SparseTensor` in it; `Fail` where it is none."""
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
        """Return a tensor's shape, of a sparse one the dense shape."""
        cdef Layout layout
        if not self.is_sparse_tensor():
            self._expect_tensor()
        get_layout(self.value, &layout)
        return [layout.shape[index] for index in range(layout.rank)]

    def data_type(self) -> str:
        """Return the type as onnxruntime writes it: ``tensor(float)``, ``seq(tensor(int64))`` …

        Where there is no value, in an empty optional, it is ``unknown``.
        """
        cdef ort.OrtTypeInfo *info = NULL
        if not has_value(self):
            return "unknown"   # ONNX Runtime would look for the type in the value
        check(api.GetTypeInfo(self.value, &info))
        return "unknown" if info == NULL else take_type_name(info)

    def element_type(self) -> int:
        """Return ONNX's number of the type of a tensor's elements, or a sequence's tensors'."""
        cdef Layout layout
        if self.is_tensor_sequence():
            name = self.data_type().removeprefix("seq(tensor(").removesuffix("))")
            return onnx_number(element_type_named(name))
        if not self.is_sparse_tensor():
            self._expect_tensor()
        get_layout(self.value, &layout)
        return onnx_number(layout.element_type)

    def tensor_size_in_bytes(self) -> int:
        """Return the size of a numeric tensor's elements."""
        cdef Layout layout
        self._expect_tensor()
        get_layout(self.value, &layout)
        return nbytes_of(&layout)

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
        """Return a tensor's elements as an array of its own.

        As in onnxruntime it is a copy, since a bound output's memory is written again by the next
        run. ``numpy.asarray`` and ``numpy.from_dlpack`` share the memory.
        """
        cdef object array
        self._expect_tensor()
        array = array_from_tensor(self)
        return array if array.base is None else array.copy()

    def __array__(self, dtype=None, copy=None):
        """Return a tensor's elements as an array over its memory, unless `dtype` takes a copy."""
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
        """Return a DLPack capsule over a tensor's memory, which the taker shares.

        Parameters
        ----------
        stream : object, optional
            Has no meaning on the CPU.
        max_version : (int, int), optional
            The newest version of DLPack that the taker knows; from (1, 0) on the capsule is a
            versioned one.
        dl_device : (int, int), optional
            The CPU, ``(1, 0)``.
        copy : bool, optional
            True for a copy of the memory.

        Raises
        ------
        BufferError
            Where DLPack has no such type of elements, or another device is wanted.
        """
        cdef OrtValue value = self
        cdef Layout layout
        self._expect_tensor()
        if dl_device is not None and tuple(dl_device) != self.__dlpack_device__():
            raise BufferError(f"the tensor's memory is the CPU's, not DLPack device {dl_device}'s")
        if copy:
            value = OrtValue.ortvalue_from_numpy(self.numpy())
        get_layout(value.value, &layout)
        return dlpack_capsule(
            value,
            data_of(value.value),
            layout.element_type,
            <int>layout.rank,
            layout.shape,
            max_version is not None and max_version[0] >= 1,
            dl.ORTMMAP_DL_COPIED if copy else 0,
        )

    def __dlpack_device__(self) -> tuple:
        """Return ``(1, 0)``: the CPU."""
        return (dl.ORTMMAP_DL_CPU, 0)

    def update_inplace(self, data) -> None:
        """Copy the elements of an array, or of another tensor, into this tensor's memory.

        Raises
        ------
        InvalidArgument
            Where the number of elements differs or the type cannot be converted.
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


class OrtValueVector(list):
    """A list of `OrtValue`, with the methods of onnxruntime's."""

    def push_back(self, value, is_bool_tensor=False) -> None:
        """Append an OrtValue, or a tensor by DLPack."""
        self.append(value if isinstance(value, OrtValue) else OrtValue.from_dlpack(value))

    def reserve(self, count) -> None:
        """Do nothing: a list grows by itself."""
        if operator.index(count) < 0:
            raise ValueError(f"cannot reserve room for {count} values")

    def shrink_to_fit(self) -> None:
        """Do nothing."""

    def element_type_at(self, index) -> int:
        """Return ONNX's number of the type of a tensor's elements."""
        return self[index].element_type()

    def bool_tensor_indices(self) -> list:
        """Return where the tensors of bool are."""
        bool_type = ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL
        return [index for index, value in enumerate(self) if value.element_type() == bool_type]

    def dlpack_at(self, index):
        """Return a DLPack capsule over a tensor's memory."""
        return self[index].__dlpack__()

    def to_dlpacks(self, to_tensor) -> list:
        """Return what `to_tensor` makes of each tensor's DLPack capsule; None for the capsules."""
        capsules = [value.__dlpack__() for value in self]
        return capsules if to_tensor is None else [to_tensor(capsule) for capsule in capsules]


cdef OrtValue own_ort_value(ort.OrtValue *value, object memory):
    """Take over `value`, which may lie in memory that `memory` keeps."""
    cdef OrtValue owner = OrtValue.__new__(OrtValue)
    owner.value = value
    owner.memory = memory
    return owner


cdef int known_element_type(cnp.ndarray array) except -1:
    cdef int element_type = element_type_of(array)
    if element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED:
        raise InvalidArgument(f"ONNX has no type of tensor for numpy's {array.dtype}")
    return element_type


cdef OrtValue new_tensor(object cls, cnp.ndarray array, int element_type):
    """Make a tensor over `array`, or over a contiguous copy of it."""
    cdef OrtValue made = cls.__new__(cls)
    load()
    if element_type_of(array) == element_type:
        array = as_tensor_array(array, element_type, "")
    made.memory = array
    made.value = tensor_from_array(array, element_type)
    return made


cdef OrtValue allocated(object cls, cnp.ndarray shape, int element_type):
    cdef OrtValue made = cls.__new__(cls)
    load()
    check(api.CreateTensorAsOrtValue(
        allocator,
        <const int64_t *>cnp.PyArray_DATA(shape),
        cnp.PyArray_SIZE(shape),
        <ort.ONNXTensorElementDataType>element_type,
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
