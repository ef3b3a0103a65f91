"""DLPack: tensors handed to and taken from other libraries, without a copy.

A capsule holds a structure whose `deleter` is called exactly once: by whoever took the tensor, or
by the capsule that nobody took it from.
"""

cimport cython
from cpython.object cimport PyTypeObject
from cpython.pycapsule cimport (
    PyCapsule_CheckExact,
    PyCapsule_GetPointer,
    PyCapsule_IsValid,
    PyCapsule_New,
    PyCapsule_SetName,
)
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cimport ortmmap.abi.dlpack as dl
cimport ortmmap.abi.ort as ort
from ortmmap.values.element_types cimport dtype_of, element_type_name

cnp.import_array()

cdef extern from "Python.h":
    bint Py_IsInitialized() noexcept nogil

cdef extern from "numpy/arrayobject.h":
    PyTypeObject PyArray_Type
    object PyArray_NewFromDescr(
        PyTypeObject *, cnp.dtype, int, const cnp.npy_intp *, const cnp.npy_intp *, void *, int,
        object
    )

cdef const char *PLAIN = "dltensor"
cdef const char *PLAIN_USED = "used_dltensor"
cdef const char *VERSIONED = "dltensor_versioned"
cdef const char *VERSIONED_USED = "used_dltensor_versioned"

MOST_DIMENSIONS = 64

# DLPack's code and bits, by element type.
TYPES = {
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT: (dl.ORTMMAP_DL_FLOAT, 32),
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8: (dl.ORTMMAP_DL_UINT, 8),
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8: (dl.ORTMMAP_DL_INT, 8),
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16: (dl.ORTMMAP_DL_UINT, 16),
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16: (dl.ORTMMAP_DL_INT, 16),
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32: (dl.ORTMMAP_DL_INT, 32),
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64: (dl.ORTMMAP_DL_INT, 64),
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL: (dl.ORTMMAP_DL_BOOL, 8),
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16: (dl.ORTMMAP_DL_FLOAT, 16),
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE: (dl.ORTMMAP_DL_FLOAT, 64),
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32: (dl.ORTMMAP_DL_UINT, 32),
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64: (dl.ORTMMAP_DL_UINT, 64),
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX64: (dl.ORTMMAP_DL_COMPLEX, 64),
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX128: (dl.ORTMMAP_DL_COMPLEX, 128),
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16: (dl.ORTMMAP_DL_BFLOAT, 16),
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FN: (dl.ORTMMAP_DL_FLOAT8_E4M3FN, 8),
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FNUZ: (dl.ORTMMAP_DL_FLOAT8_E4M3FNUZ, 8),
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2: (dl.ORTMMAP_DL_FLOAT8_E5M2, 8),
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2FNUZ: (dl.ORTMMAP_DL_FLOAT8_E5M2FNUZ, 8),
}
ELEMENT_TYPES = {code_and_bits: element_type for element_type, code_and_bits in TYPES.items()}


@cython.final
@cython.no_gc
cdef class Imported:
    """A tensor of another library's, which is told once when it is no longer needed."""

    # One of the two is set, when the object is made.
    cdef dl.ortmmap_dl_managed *plain
    cdef dl.ortmmap_dl_versioned *versioned

    def __dealloc__(self):
        if self.plain != NULL and self.plain.deleter != NULL:
            self.plain.deleter(self.plain)
        if self.versioned != NULL and self.versioned.deleter != NULL:
            self.versioned.deleter(self.versioned)

    cdef dl.ortmmap_dl_tensor *tensor(self) noexcept:
        return &self.plain.tensor if self.plain != NULL else &self.versioned.tensor

    cdef bint writable(self) noexcept:
        return self.versioned == NULL or not self.versioned.flags & dl.ORTMMAP_DL_READ_ONLY


cdef cnp.ndarray array_from_dlpack(object source):
    """Give a tensor of another library's, or a DLPack capsule, as an array over its memory.

    Raises BufferError where the tensor is not in the CPU's memory or its type has no dtype.
    """
    return view_of(take(capsule_of(source)))


cdef object capsule_of(object source):
    """Ask for a capsule, of the newest version that the other library has."""
    if PyCapsule_CheckExact(source):
        return source
    export = getattr(source, "__dlpack__", None)
    if export is None:
        raise TypeError(f"{type(source).__name__} has no __dlpack__ and is no DLPack capsule")
    device = getattr(source, "__dlpack_device__", None)
    if device is not None:
        check_device(device()[0])
    try:
        return export(max_version=(dl.ORTMMAP_DLPACK_MAJOR, dl.ORTMMAP_DLPACK_MINOR))
    except TypeError:   # a library older than version 1
        return export()


cdef int check_device(int32_t device) except -1:
    if device != dl.ORTMMAP_DL_CPU and device != dl.ORTMMAP_DL_CUDA_HOST:
        raise NotImplementedError(
            f"only tensors in the CPU's memory can be taken; this one is on DLPack device {device}"
        )
    return 0


cdef Imported take(object capsule):
    """Take the tensor out of its capsule, which is marked as used."""
    cdef Imported taken = Imported.__new__(Imported)
    if PyCapsule_IsValid(capsule, VERSIONED):
        taken.versioned = <dl.ortmmap_dl_versioned *>PyCapsule_GetPointer(capsule, VERSIONED)
        PyCapsule_SetName(capsule, VERSIONED_USED)
        if taken.versioned.major > dl.ORTMMAP_DLPACK_MAJOR:
            raise BufferError(f"DLPack version {taken.versioned.major} is not known")
        return taken
    if PyCapsule_IsValid(capsule, PLAIN):
        taken.plain = <dl.ortmmap_dl_managed *>PyCapsule_GetPointer(capsule, PLAIN)
        PyCapsule_SetName(capsule, PLAIN_USED)
        return taken
    raise TypeError("expected a DLPack capsule that nobody has taken the tensor from yet")


cdef cnp.ndarray view_of(Imported taken):
    """Give the tensor as an array over its memory, which keeps it."""
    cdef dl.ortmmap_dl_tensor *tensor = taken.tensor()
    cdef cnp.npy_intp strides[64]
    cdef cnp.npy_intp *used = NULL
    cdef object dtype = dtype_of_dlpack(tensor.type)
    cdef Py_ssize_t itemsize = dtype.itemsize
    cdef int index
    check_device(tensor.device.type)
    if tensor.rank > MOST_DIMENSIONS:
        raise BufferError(f"a tensor of rank {tensor.rank}: numpy has at most {MOST_DIMENSIONS}")
    if tensor.strides != NULL:
        for index in range(tensor.rank):
            strides[index] = tensor.strides[index] * itemsize
        used = strides
    Py_INCREF(dtype)   # PyArray_NewFromDescr takes it over
    array = PyArray_NewFromDescr(
        &PyArray_Type,
        <cnp.dtype>dtype,
        tensor.rank,
        <const cnp.npy_intp *>tensor.shape,
        used,
        <char *>tensor.data + tensor.byte_offset,
        cnp.NPY_ARRAY_WRITEABLE if taken.writable() else 0,
        None,
    )
    cnp.set_array_base(array, taken)
    return array


cdef object dtype_of_dlpack(dl.ortmmap_dl_type type_):
    element_type = ELEMENT_TYPES.get((type_.code, type_.bits))
    if element_type is None or type_.lanes != 1:
        raise BufferError(
            f"no tensor has elements of DLPack's type code {type_.code} with {type_.bits} bits "
            f"and {type_.lanes} lanes"
        )
    return dtype_of(element_type)


cdef object dlpack_capsule(
    object owner, void *data, int element_type, int rank, const int64_t *shape,
    bint versioned, int flags,
):
    """Make a capsule for a compact tensor in memory that lives as long as `owner`."""
    cdef dl.ortmmap_dl_tensor tensor
    if element_type not in TYPES:
        raise BufferError(f"DLPack has no type for tensor({element_type_name(element_type)})")
    tensor.data, tensor.byte_offset, tensor.rank = data, 0, rank
    tensor.device.type, tensor.device.id = dl.ORTMMAP_DL_CPU, 0
    tensor.type.code, tensor.type.bits = TYPES[element_type]
    tensor.type.lanes = 1
    if versioned:
        return versioned_capsule(owner, &tensor, shape, flags)
    return plain_capsule(owner, &tensor, shape)


cdef object versioned_capsule(
    object owner, const dl.ortmmap_dl_tensor *tensor, const int64_t *shape, int flags
):
    cdef dl.ortmmap_dl_versioned *made = <dl.ortmmap_dl_versioned *>allocate(
        sizeof(dl.ortmmap_dl_versioned), tensor.rank
    )
    made.major, made.minor = dl.ORTMMAP_DLPACK_MAJOR, dl.ORTMMAP_DLPACK_MINOR
    made.flags, made.deleter, made.context = flags, delete_versioned, <void *>owner
    made.tensor = tensor[0]
    set_layout(&made.tensor, <int64_t *>(made + 1), shape)
    Py_INCREF(owner)
    return PyCapsule_New(made, VERSIONED, destroy_versioned)


cdef object plain_capsule(object owner, const dl.ortmmap_dl_tensor *tensor, const int64_t *shape):
    cdef dl.ortmmap_dl_managed *made = <dl.ortmmap_dl_managed *>allocate(
        sizeof(dl.ortmmap_dl_managed), tensor.rank
    )
    made.deleter, made.context = delete_plain, <void *>owner
    made.tensor = tensor[0]
    set_layout(&made.tensor, <int64_t *>(made + 1), shape)
    Py_INCREF(owner)
    return PyCapsule_New(made, PLAIN, destroy_plain)


cdef void *allocate(size_t size, int rank) except NULL:
    """Take room for a structure, and a shape and strides behind it."""
    cdef void *room = malloc(size + 2 * rank * sizeof(int64_t))
    if room == NULL:
        raise MemoryError()
    return room


cdef void set_layout(
    dl.ortmmap_dl_tensor *tensor, int64_t *room, const int64_t *shape
) noexcept:
    cdef int64_t stride = 1
    cdef int index
    tensor.shape, tensor.strides = room, room + tensor.rank
    memcpy(tensor.shape, shape, tensor.rank * sizeof(int64_t))
    for index in range(tensor.rank - 1, -1, -1):
        tensor.strides[index] = stride
        stride *= tensor.shape[index]


cdef void delete_plain(dl.ortmmap_dl_managed *made) noexcept nogil:
    release(made.context)
    free(made)


cdef void delete_versioned(dl.ortmmap_dl_versioned *made) noexcept nogil:
    release(made.context)
    free(made)


cdef void release(void *owner) noexcept nogil:
    """Drop an owner, from any thread; after Python has ended there is none to drop."""
    if not Py_IsInitialized():
        return
    with gil:
        Py_DECREF(<object>owner)


cdef void destroy_plain(object capsule) noexcept:
    cdef dl.ortmmap_dl_managed *made
    if PyCapsule_IsValid(capsule, PLAIN):
        made = <dl.ortmmap_dl_managed *>PyCapsule_GetPointer(capsule, PLAIN)
        made.deleter(made)


cdef void destroy_versioned(object capsule) noexcept:
    cdef dl.ortmmap_dl_versioned *made
    if PyCapsule_IsValid(capsule, VERSIONED):
        made = <dl.ortmmap_dl_versioned *>PyCapsule_GetPointer(capsule, VERSIONED)
        made.deleter(made)
