"""Skeleton: an ONNX model without the weights that its file keeps for it.

A copy of the file's bytes with the edits that the scan has noted: in place of their data, tensors
get the file's name, an offset and a length, and the messages around them get new lengths.

The skeleton of a graph that the cache has saved is *relocated*: all large initializers are handed
to ONNX Runtime as values (see weights), so their references need only name some file that exists.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy

from ortmmap.model.mapping cimport Mapping
from ortmmap.model.scan cimport (
    EXTERNAL, INLINE, MAPPED, Edit, Name, Scan, begin_scan, free_scan, scan_model,
)
from ortmmap.model.tensor_proto cimport DATA_LOCATION, EXTERNAL_DATA
from ortmmap.model.wire cimport (
    LENGTH, LONGEST, VARINT, Span, describe_error, string_size, varint_size, write_string,
    write_varint,
)

import sys

from ortmmap.errors import from_status

DEFAULT_THRESHOLD = 4096   # a page: mapping less takes longer and saves next to nothing

cdef enum:
    MOST_COPIED = 64 << 20   # bytes; runs of larger models spend little of their time on dicts

cdef enum:                 # ONNX Runtime's codes
    INVALID_PROTOBUF = 7
    INVALID_GRAPH = 10

cdef tuple PLACES = ("mapped", "inline", "external")
# The location that ONNX Runtime gives tensors at an address; a file could name any address.
cdef bytes MEMORY_MARKER = b"*/_ORT_"


@cython.final
@cython.auto_pickle(False)
cdef class TensorBytes:
    """A tensor of a model, and its data.

    Attributes
    ----------
    place : {"mapped", "inline", "external"}
        In the file, and the skeleton refers to it; in the file and the skeleton; in another file.
    start, stop : int
        The TensorProto, in bytes from the file's beginning.
    data : int
        Offset of its ``raw_data`` in bytes; 0 if it has none.
    nbytes : int
        Bytes of its data.
    """

    def __repr__(self):
        return f"<TensorBytes {self.start} to {self.stop}, {self.nbytes} bytes {self.place}>"


cdef class Skeleton:
    """An ONNX model without the weights that its file keeps for it.

    Attributes
    ----------
    model : bytes or None
        A ModelProto to create a session of; None if no tensor of the file can be a reference and
        no output is added, so that the file's own bytes serve.
    externalized : int
        Number of tensors that refer into the file.
    mapped_bytes, inline_bytes, external_bytes : int
        Bytes of tensors' data: referred to in the file, kept in `model`, in other files.
    nodes, convolutions : int
        Number of nodes in all graphs and functions, and of those of type ``Conv``.
    external_locations : tuple of bytes
        The other files, as the model names them, relative to its folder.
    oversized : bool
        Whether the file is beyond the 2 GiB that protobuf, and so ONNX Runtime, reads.
    """

    def __cinit__(self):
        self.external_locations = ()

    def __dealloc__(self):
        free(self._tensors)

    @property
    def tensors(self) -> list:
        """`TensorBytes` of every tensor of the model, in the file's order."""
        cdef size_t index
        return [describe(&self._tensors[index]) for index in range(self._count)]


cdef TensorBytes describe(const Tensor *tensor):
    cdef TensorBytes described = TensorBytes.__new__(TensorBytes)
    described.place = PLACES[tensor.place]
    described.start, described.stop = tensor.start, tensor.stop
    described.data, described.nbytes = tensor.data, tensor.nbytes
    return described


def scan(data, bytes location not None, str path=None, size_t threshold=DEFAULT_THRESHOLD):
    """Find the weights in an ONNX model's bytes, and make the skeleton of the model.

    Parameters
    ----------
    data : buffer
        A serialized ModelProto. Of a `Mapping`, or a memoryview of one, no weights are read from
        the disk.
    location : bytes
        The name, within its folder, of the file that holds `data`.
    path : str, optional
        The file's name in errors.
    threshold : int, default 4096
        Tensors of fewer bytes stay in the model.

    Returns
    -------
    Skeleton

    Raises
    ------
    InvalidProtobuf
        If the bytes are not a message; the text names the offset.
    InvalidGraph
        If a tensor refers to a file outside the model's folder.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return scan_onnx(
            <const uint8_t *>view.buf,
            view.len,
            path,
            location,
            threshold,
            b"",
            mapping_behind(data, &view),
        )
    finally:
        PyBuffer_Release(&view)


cdef const ortmmap_mapping *mapping_behind(object data, const Py_buffer *view) except? NULL:
    """Return the mapping that a buffer is all of; NULL if there is none."""
    owner = data.obj if isinstance(data, memoryview) else data
    if not isinstance(owner, Mapping) or view.len != owner.nbytes:
        return NULL
    return &(<Mapping>owner)._mapping


cdef Skeleton scan_onnx(
    const unsigned char *data,
    size_t size,
    str path,
    bytes location,
    size_t threshold,
    bytes added,
    const ortmmap_mapping *mapping,
):
    """Scan bytes, and make their skeleton, to which `added` is appended.

    The mapping is that of the file that the bytes are; NULL: they are in memory.
    """
    cdef Scan scan
    begin_scan(&scan, data, size, threshold, False, mapping)
    try:
        return skeleton_of(&scan, path, location, added)
    finally:
        free_scan(&scan)


cdef Skeleton relocated(const unsigned char *data, size_t size, str path, bytes location):
    """Make the skeleton of a saved graph, whose references all name the file `location`.

    References to other files keep their offset and length. Tensors of inner graphs stay in the
    skeleton if they are in the file.
    """
    cdef Scan scan
    begin_scan(&scan, data, size, DEFAULT_THRESHOLD, True, NULL)
    try:
        return skeleton_of(&scan, path, location, b"")
    finally:
        free_scan(&scan)


cdef Skeleton skeleton_of(Scan *scan, str path, bytes location, bytes added):
    cdef Skeleton skeleton = Skeleton.__new__(Skeleton)
    cdef int status
    with nogil:
        status = scan_model(scan)
    if status < 0:
        raise_error(scan, path)
    if scan.relocating:
        unname_ambiguous(scan)
    elif scan.references and has_duplicate_names(scan):
        keep_all(scan)
    count_bytes(skeleton, scan)
    skeleton.external_locations = external_locations(scan, path)
    skeleton.oversized = scan.reader.oversized or scan.size > LONGEST
    if skeleton.externalized or (scan.relocating and scan.edit_count):
        skeleton.model = apply_edits(scan, location) + added
    elif added:
        skeleton.model = extended(scan.reader.data, scan.size, added)
    skeleton._tensors, scan.tensors = scan.tensors, NULL
    return skeleton


cdef bytes extended(const unsigned char *data, size_t size, bytes added):
    """Return a copy of a model with `added` appended; None if that is empty, or it is too large.
    """
    if not added or size > MOST_COPIED:
        return None
    return (<const char *>data)[:size] + added


cdef int raise_error(const Scan *scan, str path) except -1:
    if scan.reader.reason == NULL:
        raise MemoryError("the places of a model's tensors")
    raise from_status(INVALID_PROTOBUF, describe_error(&scan.reader), path)


cdef bint has_duplicate_names(const Scan *scan) except -1:
    """Whether two initializers of a graph have one name.

    ONNX Runtime takes the first of two that the model holds, but the last of two references.
    """
    cdef set names = set()
    cdef size_t index
    cdef const Name *noted
    for index in range(scan.name_count):
        noted = &scan.names[index]
        name = bytes_of(scan, noted.name)
        names.add((noted.graph, name) if noted.graph else name)
    return len(names) != <Py_ssize_t>scan.name_count


cdef int unname_ambiguous(Scan *scan) except -1:
    """Remove the names of initializers that have the name of another one, in any graph.

    ONNX Runtime puts a value that is given by name into every graph that has the name.
    """
    cdef size_t index
    cdef Tensor *tensor
    cdef set once = set()
    cdef set twice = set()
    for index in range(scan.name_count):
        name = bytes_of(scan, scan.names[index].name)
        (twice if name in once else once).add(name)
    if not twice:
        return 0
    for index in range(scan.tensor_count):
        tensor = &scan.tensors[index]
        if bytes_of(scan, tensor.name) in twice:
            tensor.name = Span(0, 0)
    return 0


cdef bytes bytes_of(const Scan *scan, Span span):
    return PyBytes_FromStringAndSize(
        <const char *>scan.reader.data + span.start, span.stop - span.start
    )


cdef void keep_all(Scan *scan) noexcept:
    cdef size_t index
    for index in range(scan.tensor_count):
        if scan.tensors[index].place == MAPPED:
            scan.tensors[index].place = INLINE


cdef void count_bytes(Skeleton skeleton, const Scan *scan) noexcept:
    cdef size_t index
    cdef const Tensor *tensor
    skeleton._count = scan.tensor_count
    skeleton.nodes, skeleton.convolutions = scan.node_count, scan.convolution_count
    for index in range(scan.tensor_count):
        tensor = &scan.tensors[index]
        if tensor.place == MAPPED:
            skeleton.externalized += 1
            skeleton.mapped_bytes += tensor.nbytes
        elif tensor.place == EXTERNAL:
            skeleton.external_bytes += tensor.nbytes
        else:
            skeleton.inline_bytes += tensor.nbytes


cdef tuple external_locations(const Scan *scan, str path):
    """List the files that tensors refer to; raise InvalidGraph for one outside the folder."""
    cdef dict found = {}
    cdef size_t index
    for index in range(scan.location_count):
        found.setdefault(bytes_of(scan, scan.locations[index]), scan.locations[index].start)
    for name, at in found.items():
        reason = refusal(name)
        if reason:
            raise from_status(
                INVALID_GRAPH,
                f"External data {reason}: {name.decode('utf-8', 'replace')!r} at byte {at}",
                path,
            )
    return tuple(found)


cdef str refusal(bytes location):
    """Return why a location is refused, by the rules of onnxruntime 1.24 and later; else None."""
    cdef int depth = 0
    name = location.replace(b"\\", b"/") if sys.platform == "win32" else location
    if name.startswith(MEMORY_MARKER):
        return "in memory"
    if name.startswith(b"/") or (sys.platform == "win32" and name[1:2] == b":"):
        return "at an absolute path"
    for part in name.split(b"/"):
        if part == b"..":
            depth -= 1
        elif part not in (b"", b"."):
            depth += 1
        if depth < 0:
            return "outside the model's folder"
    return None


# --- The skeleton's bytes ---

cdef bytes apply_edits(Scan *scan, bytes location):
    cdef const char *name = location
    cdef size_t name_size = len(location)
    cdef bytes model
    cdef uint8_t *target
    size_edits(scan, name_size)
    model = PyBytes_FromStringAndSize(NULL, <int64_t>scan.size + growth_from(scan, 0))
    target = <uint8_t *>PyBytes_AS_STRING(model)
    with nogil:
        write_skeleton(scan, target, name, name_size)
    return model


cdef void size_edits(Scan *scan, size_t name_size) noexcept nogil:
    """Compute the new lengths of messages, and the growth by each edit and those after it."""
    cdef size_t index = scan.edit_count
    cdef Edit *edit
    cdef int64_t after, size
    while index > 0:   # backwards, since a message's length follows from the edits in it
        index -= 1
        edit = &scan.edits[index]
        after = growth_from(scan, index + 1)
        if edit.inner_stop:
            size = edit.content.stop - edit.content.start
            edit.new_length = size + after - growth_from(scan, edit.inner_stop)
            size = varint_size(edit.new_length)
        else:
            size = reference_size(edit, name_size)
        edit.growth = after + size - <int64_t>(edit.stop - edit.at)


cdef int64_t growth_from(const Scan *scan, size_t index) noexcept nogil:
    """Bytes that the edits from `index` on add to the file."""
    return scan.edits[index].growth if index < scan.edit_count else 0


cdef void write_skeleton(
    const Scan *scan, uint8_t *target, const char *name, size_t name_size
) noexcept nogil:
    cdef const uint8_t *data = scan.reader.data
    cdef size_t done = 0
    cdef size_t index
    cdef const Edit *edit
    for index in range(scan.edit_count):
        edit = &scan.edits[index]
        memcpy(target, data + done, edit.at - done)
        target += edit.at - done
        if edit.inner_stop:
            target = write_varint(target, edit.new_length)
        else:
            target = write_reference(target, edit.content, name, name_size)
        done = edit.stop
    memcpy(target, data + done, scan.size - done)


cdef size_t reference_size(const Edit *edit, size_t name_size) noexcept nogil:
    cdef char[20] digits
    if edit.content.stop == 0:
        return entry_size(8, name_size)
    return (
        entry_size(8, name_size)
        + entry_size(6, write_decimal(digits, edit.content.start))
        + entry_size(6, write_decimal(digits, edit.content.stop - edit.content.start))
        + 2
    )


cdef uint8_t *write_reference(
    uint8_t *target, Span content, const char *name, size_t name_size
) noexcept nogil:
    """Write external_data with the location, offset and length, and data_location.

    Without content, write the location alone.
    """
    cdef char[20] digits
    cdef size_t size
    target = write_entry(target, b"location", 8, name, name_size)
    if content.stop == 0:
        return target
    size = write_decimal(digits, content.start)
    target = write_entry(target, b"offset", 6, digits, size)
    size = write_decimal(digits, content.stop - content.start)
    target = write_entry(target, b"length", 6, digits, size)
    target[0], target[1] = DATA_LOCATION << 3 | VARINT, 1   # 1: EXTERNAL
    return target + 2


cdef size_t entry_size(size_t key_size, size_t value_size) noexcept nogil:
    return string_size(string_size(key_size) + string_size(value_size))


cdef uint8_t *write_entry(
    uint8_t *target, const char *key, size_t key_size, const char *value, size_t value_size
) noexcept nogil:
    """Write an entry of external_data."""
    target[0] = EXTERNAL_DATA << 3 | LENGTH
    target = write_varint(target + 1, string_size(key_size) + string_size(value_size))
    target = write_string(target, 1, key, key_size)
    return write_string(target, 2, value, value_size)


cdef size_t write_decimal(char *digits, uint64_t value) noexcept nogil:
    """Write a number into `digits`, which has room for 20, and return how many it takes."""
    cdef size_t size = 1
    cdef size_t index
    cdef uint64_t rest = value
    while rest >= 10:
        rest //= 10
        size += 1
    for index in range(size):
        digits[size - 1 - index] = <char>(c'0' + value % 10)
        value //= 10
    return size
