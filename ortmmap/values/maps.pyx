"""Maps, and sequences of maps, to dicts: the output of a classifier that ends in a ZipMap.

The C API has no view of a map: it copies each map out of the sequence, then the keys and the values
into a tensor each. docs/architecture.md has the cost. A run avoids it, if it can fetch the ZipMap's
input instead; see `values/row_dicts`.
"""

cimport cython
cimport numpy as cnp
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_SetItem
from cpython.list cimport PyList_GET_ITEM
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp

cimport ortmmap.abi.ort as ort
from ortmmap.runtime.library cimport api, check, cpu_memory
from ortmmap.values.element_types cimport element_type_name
from ortmmap.values.native_tensor cimport Layout, lies_in
from ortmmap.values.strings cimport string_array
from ortmmap.values.tensors cimport array_from_tensor, data_of, get_layout
from ortmmap.values.value cimport elements_of

from ortmmap.errors import NotImplemented

cnp.import_array()

cdef enum:
    SCRATCH_BYTES = 4096
    ALIGNMENT = 16
    ALLOCATOR_VERSION = 18    # has Alloc, Free, Info and Reserve

ctypedef struct Scratch:
    # An allocator for the two tensors of one map, which saves a quarter of the time of a map by
    # calling malloc for large tensors only.
    ort.OrtAllocator allocator    # the first member: ONNX Runtime passes its address
    size_t used
    char bytes[SCRATCH_BYTES]


cdef void *allocate(ort.OrtAllocator *allocator, size_t size) noexcept nogil:
    cdef Scratch *scratch = <Scratch *>allocator
    cdef size_t at = scratch.used
    if size >= SCRATCH_BYTES - at:
        return malloc(size)
    scratch.used = min(at + (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT, SCRATCH_BYTES)
    return scratch.bytes + at


cdef void release_block(ort.OrtAllocator *allocator, void *block) noexcept nogil:
    cdef Scratch *scratch = <Scratch *>allocator
    if not lies_in(block, scratch.bytes, SCRATCH_BYTES):
        free(block)


cdef const ort.OrtMemoryInfo *memory_info(const ort.OrtAllocator *allocator) noexcept nogil:
    return cpu_memory


cdef dict dict_of(Value map_):
    """Return a map of any type as a dict."""
    keys, values = elements_of(map_)
    return dict(zip(array_from_tensor(keys).tolist(), array_from_tensor(values).tolist()))


cdef list dicts_of(Value sequence, size_t count):
    """Return a sequence of `count` maps as a list of dicts."""
    cdef MapReader reader = MapReader.__new__(MapReader)
    cdef size_t index
    return [reader.read(sequence.value, <int>index) for index in range(count)]


@cython.final
@cython.internal
cdef class MapReader:
    """Reads the maps of a sequence, one after the other.

    All maps of a classifier have its labels as keys: if the bytes of a map's keys are those of the
    previous map's, the two dicts share the key objects.
    """

    # Of the map that is being read; released before the next one, or with the object. The tensors
    # of keys and values lie in `scratch`.
    cdef ort.OrtValue *map
    cdef ort.OrtValue *keys
    cdef ort.OrtValue *values
    cdef Scratch scratch
    # The keys of the previous map, and their bytes: int64, or as read_strings() reads them.
    cdef list known
    cdef bytes known_bytes
    # Room for the bytes of strings.
    cdef char *room
    cdef size_t room_size

    def __cinit__(self):
        self.known = []
        self.known_bytes = b""
        self.scratch.allocator.version = ALLOCATOR_VERSION
        self.scratch.allocator.Alloc = self.scratch.allocator.Reserve = allocate
        self.scratch.allocator.Free = release_block
        self.scratch.allocator.Info = memory_info

    def __dealloc__(self):
        self.release()
        free(self.room)

    cdef int release(self) noexcept:
        if self.values != NULL:
            api.ReleaseValue(self.values)
        if self.keys != NULL:
            api.ReleaseValue(self.keys)
        if self.map != NULL:
            api.ReleaseValue(self.map)
        self.map = self.keys = self.values = NULL
        self.scratch.used = 0
        return 0

    cdef dict read(self, ort.OrtValue *sequence, int index):
        cdef Layout layout
        cdef list keys
        cdef ort.OrtAllocator *allocator = &self.scratch.allocator
        self.release()
        check(api.GetValue(sequence, index, allocator, &self.map))
        check(api.GetValue(self.map, 0, allocator, &self.keys))
        check(api.GetValue(self.map, 1, allocator, &self.values))
        if index == 0:
            self.check_types()
        get_layout(self.keys, &layout)
        keys = self.read_keys(&layout)
        return self.with_values(keys)

    cdef int check_types(self) except -1:
        """Raise NotImplemented unless ONNX Runtime has sequences of maps of these types."""
        cdef Layout keys, values
        get_layout(self.keys, &keys)
        get_layout(self.values, &values)
        if values.element_type != ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT or (
            keys.element_type != ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64
            and keys.element_type != ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING
        ):
            raise NotImplemented(
                f"a sequence of maps from {element_type_name(keys.element_type)} "
                f"to {element_type_name(values.element_type)}"
            )
        return 0

    cdef list read_keys(self, const Layout *layout):
        cdef size_t count = layout.shape[0]
        cdef const char *content
        cdef size_t size
        if count == 0:
            return []
        if layout.element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
            size = self.read_strings(count)
            content = self.room
        else:
            size = count * sizeof(int64_t)
            content = <const char *>data_of(self.keys)
        if self.are_known(count, content, size):
            return self.known
        if layout.element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
            array = string_array(self.keys, 1, <cnp.npy_intp *>layout.shape)
            self.known = (<object>array).tolist()
        else:
            self.known = [(<const int64_t *>content)[index] for index in range(count)]
        self.known_bytes = PyBytes_FromStringAndSize(content, size)
        return self.known

    cdef bint are_known(self, size_t count, const char *content, size_t size) noexcept:
        """Whether the keys are those of the previous map."""
        if count != <size_t>len(self.known) or size != <size_t>len(self.known_bytes):
            return False
        return memcmp(content, PyBytes_AS_STRING(self.known_bytes), size) == 0

    cdef size_t read_strings(self, size_t count) except? 0:
        """Read the keys' offsets and texts into `room`; return their size in bytes."""
        cdef size_t length = 0
        cdef size_t size
        check(api.GetStringTensorDataLength(self.keys, &length))
        size = count * sizeof(size_t) + length
        if size > self.room_size:
            self.grow(size)
        check(api.GetStringTensorContent(
            self.keys, self.room + count * sizeof(size_t), length, <size_t *>self.room, count
        ))
        return size

    cdef int grow(self, size_t size) except -1:
        cdef void *room = realloc(self.room, size)
        if room == NULL:
            raise MemoryError(f"{size} bytes of keys")
        self.room, self.room_size = <char *>room, size
        return 0

    cdef dict with_values(self, list keys):
        cdef const float *values = <const float *>data_of(self.values)
        cdef dict made = {}
        cdef Py_ssize_t index
        for index in range(len(keys)):
            PyDict_SetItem(made, <object>PyList_GET_ITEM(keys, index), values[index])
        return made
