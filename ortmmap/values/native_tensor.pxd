"""ONNX Runtime's tensors, without Python: made, measured, and their layout read.

The functions return ONNX Runtime's status, for callers with and without the interpreter lock.
"""

from libc.stdint cimport int64_t

cimport ortmmap.abi.ort as ort
from ortmmap.runtime.library cimport allocator, api, cpu_memory, newer_api
from ortmmap.values.element_types cimport bits_of

cdef enum:
    MOST_DIMENSIONS = 64    # numpy 2's limit

cdef struct Layout:
    # A tensor's type and shape. `shape` is `room`, or the tensor's own and lives as long as it;
    # NULL if there are more sizes than there is room for.
    ort.ONNXTensorElementDataType element_type
    size_t rank
    const int64_t *shape
    int64_t room[MOST_DIMENSIONS]


cdef inline ort.OrtStatus *tensor_over(
    void *data, size_t nbytes, const int64_t *shape, size_t rank, int element_type,
    ort.OrtValue **tensor,
) noexcept nogil:
    """Make a tensor over memory that must outlive it."""
    return api.CreateTensorWithDataAsOrtValue(
        cpu_memory, data, nbytes, shape, rank, <ort.ONNXTensorElementDataType>element_type, tensor
    )


cdef inline ort.OrtStatus *allocated_tensor(
    const int64_t *shape, size_t rank, int element_type, ort.OrtValue **tensor
) noexcept nogil:
    """Make a tensor in memory of ONNX Runtime; numbers are not set, strings are empty."""
    return api.CreateTensorAsOrtValue(
        allocator, shape, rank, <ort.ONNXTensorElementDataType>element_type, tensor
    )


cdef inline int64_t nbytes_of(const int64_t *shape, size_t rank, int element_type) noexcept nogil:
    """Return the size of a tensor's elements in bytes, 0 for strings; -1 if it is no shape."""
    cdef size_t most = <size_t>1 << 48   # elements, so that their bits can be counted
    cdef size_t count = 1
    cdef size_t index
    for index in range(rank):
        if shape[index] < 0 or (shape[index] > 0 and count > most // <size_t>shape[index]):
            return -1
        count *= <size_t>shape[index]
    return (count * bits_of(element_type) + 7) // 8


cdef inline bint lies_in(const void *data, const void *memory, size_t size) noexcept nogil:
    """Whether `data` points into the `size` bytes at `memory`."""
    return <const char *>memory <= <const char *>data < <const char *>memory + size


# --- layouts ---

cdef inline ort.OrtStatus *read_layout(
    const ort.OrtValue *tensor, Layout *layout
) noexcept nogil:
    """Read the layout of a tensor, or of a sparse tensor with its zeros."""
    if newer_api.GetTensorElementTypeAndShapeDataReference == NULL:
        return copy_layout(tensor, layout, layout.room, MOST_DIMENSIONS)
    return newer_api.GetTensorElementTypeAndShapeDataReference(
        tensor, &layout.element_type, &layout.shape, &layout.rank
    )


cdef inline ort.OrtStatus *copy_layout(
    const ort.OrtValue *tensor, Layout *layout, int64_t *room, size_t most
) noexcept nogil:
    """Read a layout by version 23 of the API, the shape into `room` if it has `most` sizes."""
    cdef ort.OrtTensorTypeAndShapeInfo *info = NULL
    cdef ort.OrtStatus *status = api.GetTensorTypeAndShape(tensor, &info)
    if status == NULL:
        status = copy_info(info, layout, room, most)
        api.ReleaseTensorTypeAndShapeInfo(info)
    return status


cdef inline ort.OrtStatus *copy_info(
    const ort.OrtTensorTypeAndShapeInfo *info, Layout *layout, int64_t *room, size_t most
) noexcept nogil:
    """Copy a layout from `info`, the shape into `room` if it has no more than `most` sizes."""
    cdef ort.OrtStatus *status = api.GetTensorElementType(info, &layout.element_type)
    layout.shape = NULL
    if status == NULL:
        status = api.GetDimensionsCount(info, &layout.rank)
    if status != NULL or layout.rank > most:
        return status
    layout.shape = room
    return api.GetDimensions(info, room, layout.rank)
