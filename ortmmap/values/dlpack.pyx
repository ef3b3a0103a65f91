"""DLPack: tensors handed to and taken from other libraries, without a copy.

A capsule holds a structure whose `deleter` is called exactly once: by the consumer that took the
tensor, or by the capsule if no consumer took it.
"""

cimport cython
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
from ortmmap.values.array_over cimport array_over
from ortmmap.values.element_types cimport ElementType, dtype_of, element_type_name
from ortmmap.values.native_tensor cimport MOST_DIMENSIONS

from ortmmap.values.element_types import ELEMENT_TYPES

cnp.import_array()

cdef extern from "Python.h":
    bint Py_IsInitialized() noexcept nogil

cdef const char *PLAIN = "dltensor"
cdef const char *PLAIN_USED = "used_dltensor"
cdef const char *VERSIONED = "dltensor_versioned"
cdef const char *VERSIONED_USED = "used_dltensor_versioned"

# DLPack's code and bits by element type, and back.
cdef dict _types = {}
cdef dict _element_types = {}


cdef int _fill_types() except -1:
    cdef ElementType type_
    for type_ in ELEMENT_TYPES:
        if type_.dlpack_code is not None:
            _types[type_.ort_number] = type_.dlpack_code, type_.bits
            _element_types[type_.dlpack_code, type_.bits] = type_.ort_number
    return 0


_fill_types()


# --- from other libraries ---

@cython.final
@cython.no_gc
cdef class Imported:
    """A tensor of another library, whose deleter is called when the object goes."""

    # take() sets one of the two.
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


cpdef cnp.ndarray array_from_dlpack(object source):
    """Return an array over the memory of another library's tensor, or of a DLPack capsule's.

    Raise BufferError if its type has no dtype, NotImplementedError if it is on another device.
    """
    return view_of(take(capsule_of(source)))


cdef object capsule_of(object source):
    """Request a capsule of the newest version that the other library supports."""
    if PyCapsule_CheckExact(source):
        return source
    export = getattr(source, "__dlpack__", None)
    if export is None:
        raise TypeError(f"{type(source).__name__} has no __dlpack__ and is no DLPack capsule")
    device = getattr(source, "__dlpack_device__", None)
    if device is not None:
        device_type, _ = device()
        check_device(device_type)
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
    """Take the tensor out of its capsule, and mark that as used."""
    cdef Imported taken = Imported.__new__(Imported)
    with cython.critical_section(capsule):
        if PyCapsule_IsValid(capsule, VERSIONED):
            taken.versioned = <dl.ortmmap_dl_versioned *>PyCapsule_GetPointer(capsule, VERSIONED)
            PyCapsule_SetName(capsule, VERSIONED_USED)
        elif PyCapsule_IsValid(capsule, PLAIN):
            taken.plain = <dl.ortmmap_dl_managed *>PyCapsule_GetPointer(capsule, PLAIN)
            PyCapsule_SetName(capsule, PLAIN_USED)
    if taken.versioned != NULL and taken.versioned.major > dl.ORTMMAP_DLPACK_MAJOR:
        raise BufferError(f"DLPack version {taken.versioned.major} is not supported")
    if taken.versioned != NULL or taken.plain != NULL:
        return taken
    raise TypeError("expected a DLPack capsule whose tensor has not been taken yet")


cdef cnp.ndarray view_of(Imported taken):
    """Return an array over the tensor's memory, which keeps the tensor."""
    cdef dl.ortmmap_dl_tensor *tensor = taken.tensor()
    cdef cnp.npy_intp strides[MOST_DIMENSIONS]
    cdef object dtype = dtype_of_dlpack(tensor.type)
    cdef Py_ssize_t itemsize = dtype.itemsize
    cdef int index
    check_device(tensor.device.type)
    if tensor.rank > MOST_DIMENSIONS:
        raise BufferError(f"a tensor of rank {tensor.rank}: numpy has at most {MOST_DIMENSIONS}")
    if tensor.strides != NULL:
        for index in range(tensor.rank):
            strides[index] = tensor.strides[index] * itemsize
    return array_over(
        <char *>tensor.data + tensor.byte_offset,
        dtype,
        tensor.rank,
        <const cnp.npy_intp *>tensor.shape,
        NULL if tensor.strides == NULL else strides,
        taken.writable(),
        taken,
    )


cdef object dtype_of_dlpack(dl.ortmmap_dl_type type_):
    element_type = _element_types.get((type_.code, type_.bits))
    if element_type is None or type_.lanes != 1:
        raise BufferError(
            f"ONNX has no element type for DLPack's type code {type_.code} with {type_.bits} bits "
            f"and {type_.lanes} lanes"
        )
    return dtype_of(element_type)


# --- to other libraries ---

cdef object dlpack_capsule(
    object owner, void *data, int element_type, int rank, const int64_t *shape,
    bint versioned, int flags,
):
    """Make a capsule for a compact tensor in memory that lives as long as `owner`."""
    cdef dl.ortmmap_dl_tensor tensor
    if element_type not in _types:
        raise BufferError(f"DLPack has no type for tensor({element_type_name(element_type)})")
    tensor.data, tensor.byte_offset, tensor.rank = data, 0, rank
    tensor.device.type, tensor.device.id = dl.ORTMMAP_DL_CPU, 0
    tensor.type.code, tensor.type.bits = _types[element_type]
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
    """Allocate a structure, with a shape and strides behind it."""
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
    """Drop a reference, from any thread; after Python has ended there is nothing to drop."""
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
