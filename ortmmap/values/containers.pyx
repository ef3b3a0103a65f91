"""Sequences, maps and optionals to values and back.

A Python object becomes a value of the type that the model declares, as onnxruntime spells it:
``seq(map(int64,tensor(float)))``.
"""

cimport numpy as cnp
from libc.stdlib cimport free, malloc

cimport ortmmap.abi.ort as ort
from ortmmap.runtime.library cimport api, check, env, hold_forks, let_forks
from ortmmap.values.element_types cimport element_type_named
from ortmmap.values.maps cimport dict_of, dicts_of
from ortmmap.values.sparse cimport SparseTensor
from ortmmap.values.tensors cimport array_from_tensor, as_tensor_array, new_tensor
from ortmmap.values.value cimport (
    Value,
    check_holds,
    check_made,
    element_of,
    has_value,
    kind_of,
    own,
    share,
)

from ortmmap.errors import InvalidArgument, NotImplemented

cnp.import_array()

# Empty sequences, by element type. Only added to; a dict has a lock of its own.
cdef dict _empty_sequences = {}

# AttributeProto.type, field 20, is INT (2); the field's number takes two bytes.
ATTRIBUTE_IS_INT = b"\xa0\x01\x02"


cpdef object to_python(Value value):
    """Return a value as a Python object: an array, a list, a dict, a SparseTensor, or None."""
    if not has_value(value):
        return None
    kind = kind_of(value)
    if kind == ort.ONNX_TYPE_TENSOR:
        return array_from_tensor(value)
    if kind == ort.ONNX_TYPE_SEQUENCE:
        return sequence_to_python(value)
    if kind == ort.ONNX_TYPE_MAP:
        return dict_of(value)
    if kind == ort.ONNX_TYPE_SPARSETENSOR:
        return share(SparseTensor, value)
    raise NotImplemented(f"no Python object for a value of ONNX type {<int>kind}")


cdef list sequence_to_python(Value sequence):
    cdef size_t count = 0
    check(api.GetValueCount(sequence.value, &count))
    if count and kind_of(element_of(sequence, 0)) == ort.ONNX_TYPE_MAP:
        return dicts_of(sequence, count)
    return [to_python(element_of(sequence, index)) for index in range(count)]


cpdef Value from_python(object data, str type_, str name):
    """Make a value of type `type_` for the input `name`; it holds the memory of its elements."""
    if isinstance(data, Value):
        return check_made(data, name)
    outer, _, inner = type_.partition("(")
    inner = inner.removesuffix(")")
    if outer == "optional":
        return from_python(data, inner, name)
    if outer == "tensor":
        return tensor_of(data, element_type_named(inner), name)
    if outer == "seq":
        return sequence_of(data, inner, name)
    if outer == "map":
        return map_of(data, inner, name)
    raise InvalidArgument(
        f"input {name} is a {type_}; it cannot be made from a {type(data).__name__}"
    )


cdef Value tensor_of(object data, int element_type, str name):
    return new_tensor(Value, as_tensor_array(data, element_type, name), element_type)


cdef Value sequence_of(object data, str element, str name):
    if not isinstance(data, (list, tuple)):
        raise InvalidArgument(
            "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : input with name: "
            f"{name} expected to be of type: seq({element}), a list, found a {type(data).__name__}"
        )
    if not data:
        return empty_sequence(element)
    return compose(
        [check_holds(from_python(item, element, name), name) for item in data],
        ort.ONNX_TYPE_SEQUENCE,
    )


cdef Value map_of(object data, str key_and_value, str name):
    key, _, value = key_and_value.partition(",")
    outer, _, element = value.partition("(")
    if not isinstance(data, dict) or outer != "tensor":
        raise InvalidArgument(
            f"input {name} should be a map({key_and_value}), a dict; found a {type(data).__name__}"
        )
    return compose(
        [
            tensor_of(list(data), element_type_named(key), name),
            tensor_of(list(data.values()), element_type_named(element.removesuffix(")")), name),
        ],
        ort.ONNX_TYPE_MAP,
    )


cdef Value compose(list elements, ort.ONNXType kind):
    """Make a sequence of elements, or a map of a tensor of keys and one of values."""
    cdef Value composed = Value.__new__(Value)
    cdef size_t count = len(elements)
    cdef size_t index
    cdef const ort.OrtValue **values = <const ort.OrtValue **>malloc(count * sizeof(void *))
    if values == NULL:
        raise MemoryError()
    try:
        for index in range(count):
            values[index] = (<Value>elements[index]).value
        check(api.CreateValue(values, count, kind, &composed.value))
    finally:
        free(values)
    composed.memory = elements
    return composed


cdef Value empty_sequence(str element):
    """Return an empty sequence: the output of a model, since the C API cannot make one."""
    outer, _, inner = element.partition("(")
    if outer != "tensor":
        raise NotImplemented(f"the C API cannot make an empty seq({element})")
    element_type = element_type_named(inner.removesuffix(")"))
    if element_type not in _empty_sequences:
        _empty_sequences[element_type] = run_model(sequence_empty(element_type))
    return _empty_sequences[element_type]


cdef Value run_model(bytes model):
    """Create a session of `model`, which has no input, and return its output ``y``."""
    cdef ort.OrtSessionOptions *options = NULL
    cdef ort.OrtSession *session = NULL
    cdef ort.OrtStatus *status
    cdef ort.OrtValue *output = NULL
    cdef const char *data = model
    cdef size_t size = len(model)
    cdef const char *name = b"y"
    check(api.CreateSessionOptions(&options))
    with nogil:
        hold_forks()
        status = api.SetIntraOpNumThreads(options, 1)
        if status == NULL:
            status = api.CreateSessionFromArray(env, data, size, options, &session)
        if status == NULL:
            status = api.Run(session, NULL, NULL, NULL, 0, &name, 1, &output)
        if session != NULL:
            api.ReleaseSession(session)
        api.ReleaseSessionOptions(options)
        let_forks()
    check(status)
    return own(output)


def field(number, content):
    """Encode a protobuf field: a number of less than 128, or bytes of less than 128."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    return bytes([number << 3 | 2, len(content)]) + content


def sequence_empty(element_type):
    """Encode an ONNX model of one SequenceEmpty node, by the field numbers of ``onnx.proto``."""
    tensor = field(1, field(1, element_type))
    output = field(1, b"y") + field(2, field(4, field(1, tensor)))
    dtype = field(1, b"dtype") + field(3, element_type) + ATTRIBUTE_IS_INT
    node = field(2, b"y") + field(4, b"SequenceEmpty") + field(5, dtype)
    graph = field(1, node) + field(2, b"g") + field(12, output)
    return field(1, 8) + field(8, field(2, 17)) + field(7, graph)
