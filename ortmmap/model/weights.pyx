"""Weights: initializers that lie in mapped files, as values that ONNX Runtime uses in place.

ONNX Runtime takes a value that is given by the name of an initializer instead of the data that the
model has or refers to. It does so after graph optimization, also if an optimizer has transposed
the initializer under its name. So only graphs that are not optimized any more may get weights in
this way.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint64_t

cimport cython

cimport ortmmap.abi.ort as ort
from ortmmap.model.scan cimport EXTERNAL, INLINE, Tensor
from ortmmap.model.tensor_proto cimport DIMS, TensorProto, data_size, read_decimal, read_tensor
from ortmmap.model.wire cimport (
    DEEPEST, VARINT, Reader, Span, Token, begin_reading, read_token, read_varint,
)
from ortmmap.runtime.library cimport check
from ortmmap.values.element_types cimport element_type_numbered, onnx_bits
from ortmmap.values.native_tensor cimport MOST_DIMENSIONS, Layout, read_layout, tensor_over
from ortmmap.values.value cimport own_as, Value


@cython.final
cdef class Weight:
    """An initializer that lies in a mapped file.

    Attributes
    ----------
    name : bytes
    value : Value
    mapping : Mapping
        The file.
    offset, nbytes : int
        Where its data lies in the file.
    """


cdef list weights_of(Skeleton skeleton, Mapping graph, dict files, bint every):
    """Make values of the initializers that the skeleton of a graph refers to.

    A value can stand for an initializer of the model's own graph, if the file has all of its data.

    Parameters
    ----------
    skeleton : Skeleton
        As relocated() makes it.
    graph : Mapping
        The file that the skeleton was made of.
    files : dict of bytes to Mapping
        The other files, by the locations that the graph names; that of None has all other names.
    every : bool
        Whether there must be a value for every reference.

    Returns
    -------
    list of Weight, or None
        None if `every` reference must have a value, and one has none.
    """
    cdef list weights = []
    cdef Py_buffer view
    cdef Reader reader
    cdef size_t index
    PyObject_GetBuffer(graph, &view, PyBUF_SIMPLE)
    begin_reading(&reader, <const unsigned char *>view.buf, NULL)
    try:
        for index in range(skeleton._count):
            if skeleton._tensors[index].place == INLINE:
                continue
            if not add(weights, &reader, &skeleton._tensors[index], graph, files) and every:
                return None
        return weights
    finally:
        PyBuffer_Release(&view)


cdef bint add(
    list weights, Reader *reader, const Tensor *noted, Mapping graph, dict files
) except -1:
    """Add the value of a tensor whose data is in a file; return False if it can have none."""
    cdef TensorProto tensor
    cdef int64_t offset = <int64_t>noted.data
    cdef Mapping mapping = graph
    cdef Weight weight
    if noted.name.stop == 0:
        return False
    if read_tensor(reader, Span(noted.start, noted.stop), DEEPEST, &tensor) < 0:
        return False
    if noted.place == EXTERNAL:
        location = text_of(reader, tensor.location)
        mapping = files[location] if location in files else files.get(None)
        offset = 0 if tensor.offset.stop == 0 else read_decimal(reader, tensor.offset)
    if mapping is None or not fits(&tensor, noted.nbytes, offset, mapping.nbytes):
        return False
    weight = Weight.__new__(Weight)
    weight.value = value_at(mapping, offset, noted.nbytes, reader, &tensor)
    if weight.value is None:
        return False
    weight.name = text_of(reader, tensor.name)
    weight.mapping, weight.offset, weight.nbytes = mapping, offset, noted.nbytes
    weights.append(weight)
    return True


cdef bint fits(
    const TensorProto *tensor, uint64_t size, int64_t offset, uint64_t file_size
) noexcept:
    """Whether the data is complete, and within its file."""
    if offset < 0 or <uint64_t>offset > file_size or size > file_size - <uint64_t>offset:
        return False
    return 0 < size == data_size(tensor, onnx_bits(tensor.data_type))


cdef Value value_at(
    Mapping mapping, size_t offset, size_t size, Reader *reader, const TensorProto *tensor
):
    """Make a value over mapped data; return None if ONNX Runtime has no such type or rank."""
    cdef int64_t[MOST_DIMENSIONS] shape
    cdef ort.OrtValue *value = NULL
    cdef int element_type = element_type_numbered(tensor.data_type)
    if element_type == 0 or tensor.rank > MOST_DIMENSIONS:
        return None
    read_shape(reader, tensor.body, shape)
    check(tensor_over(
        <void *>(mapping._mapping.data + offset), size, shape, tensor.rank, element_type, &value
    ))
    return own_as(Value, value, memoryview(mapping))


cdef Weight placed_at(Weight weight, unsigned char *data, object memory):
    """Make a weight whose value lies at `data`, which `memory` keeps mapped."""
    cdef Layout layout
    cdef ort.OrtValue *value = NULL
    cdef Weight placed = Weight.__new__(Weight)
    check(read_layout(weight.value.value, &layout))
    check(tensor_over(
        data, weight.nbytes, layout.shape, layout.rank, layout.element_type, &value
    ))
    placed.value = own_as(Value, value, memory)
    placed.name, placed.mapping = weight.name, weight.mapping
    placed.offset, placed.nbytes = weight.offset, weight.nbytes
    return placed


cdef void read_shape(Reader *reader, Span body, int64_t *shape) noexcept:
    """Read the dimensions of a TensorProto that read_tensor() has accepted."""
    cdef Token token
    cdef uint64_t size = 0
    cdef size_t rank = 0
    while body.start < body.stop:
        read_token(reader, body.start, body.stop, DEEPEST, &token)
        body.start = token.body.stop
        if token.number != DIMS:
            continue
        if token.wire == VARINT:
            shape[rank] = <int64_t>token.value
            rank += 1
            continue
        while token.body.start < token.body.stop:
            read_varint(reader, &token.body.start, token.body.stop, &size)
            shape[rank] = <int64_t>size
            rank += 1


cdef bytes text_of(const Reader *reader, Span span):
    return PyBytes_FromStringAndSize(
        <const char *>reader.data + span.start, span.stop - span.start
    )
