"""NodeArg and ModelMetadata: a model's inputs and outputs, and its metadata."""

cimport cython
from libc.stdint cimport int64_t

from ortmmap.runtime.library cimport allocator, api, check
from ortmmap.values.native_tensor cimport MOST_DIMENSIONS
from ortmmap.values.value cimport tensor_element_type, type_name

ctypedef ort.OrtStatus *(*CountOf)(const ort.OrtSession *, size_t *) noexcept nogil
ctypedef ort.OrtStatus *(*NameOf)(
    const ort.OrtSession *, size_t, ort.OrtAllocator *, char **
) noexcept nogil
ctypedef ort.OrtStatus *(*TypeOf)(
    const ort.OrtSession *, size_t, ort.OrtTypeInfo **
) noexcept nogil
ctypedef ort.OrtStatus *(*TextOf)(
    const ort.OrtModelMetadata *, ort.OrtAllocator *, char **
) noexcept nogil


@cython.final
cdef class NodeArg:
    """An input, an output or an overridable initializer of a model.

    Attributes
    ----------
    name : str
    type : str
        In onnxruntime's notation: ``tensor(float)``, ``seq(map(int64,tensor(float)))`` …
    shape : list of int, str or None
        For each dimension its size, the name of a symbolic size, or None if the model gives
        neither. Empty for a scalar, for a tensor of unknown rank, and for other types.
    """

    @property
    def shape(self):
        return list(self._shape)

    def __repr__(self):
        return f"NodeArg(name={self.name!r}, type={self.type!r}, shape={self.shape!r})"


@cython.final
cdef class ModelMetadata:
    """The metadata of a model.

    Attributes
    ----------
    producer_name : str
        The tool that made the model.
    graph_name, graph_description : str
        Name and description of the graph.
    domain, description : str
        Namespace and description of the model.
    version : int
        The model's version.
    custom_metadata_map : dict of str to str
        Further entries.
    """

    def __repr__(self):
        return f"<ortmmap.ModelMetadata graph {self.graph_name!r} by {self.producer_name!r}>"


cdef str take_string(char *text):
    """Decode a string of ONNX Runtime's allocator, and free it."""
    if text == NULL:
        return ""
    try:
        return text.decode("utf-8", "replace")
    finally:
        check(api.AllocatorFree(allocator, text))


cdef list inputs_of(ort.OrtSession *session):
    cdef NodeArg arg
    args = node_args(
        session,
        api.SessionGetInputCount,
        api.SessionGetInputName,
        api.SessionGetInputTypeInfo,
    )
    for arg in args:
        arg.required = arg.kind != ort.ONNX_TYPE_OPTIONAL
    return args


cdef list outputs_of(ort.OrtSession *session):
    return node_args(
        session,
        api.SessionGetOutputCount,
        api.SessionGetOutputName,
        api.SessionGetOutputTypeInfo,
    )


cdef list overridable_initializers_of(ort.OrtSession *session):
    return node_args(
        session,
        api.SessionGetOverridableInitializerCount,
        api.SessionGetOverridableInitializerName,
        api.SessionGetOverridableInitializerTypeInfo,
    )


cdef list node_args(ort.OrtSession *session, CountOf count_of, NameOf name_of, TypeOf type_of):
    cdef size_t count = 0
    cdef size_t index
    check(count_of(session, &count))
    return [node_arg(session, index, name_of, type_of) for index in range(count)]


cdef NodeArg node_arg(ort.OrtSession *session, size_t index, NameOf name_of, TypeOf type_of):
    cdef NodeArg arg = NodeArg.__new__(NodeArg)
    cdef ort.OrtTypeInfo *info = NULL
    cdef char *name = NULL
    check(name_of(session, index, allocator, &name))
    arg.name = take_string(name)
    arg.encoded_name = arg.name.encode()
    check(type_of(session, index, &info))
    try:
        describe(arg, info)
    finally:
        api.ReleaseTypeInfo(info)
    return arg


cdef int describe(NodeArg arg, const ort.OrtTypeInfo *info) except -1:
    cdef ort.ONNXType kind = ort.ONNX_TYPE_UNKNOWN
    cdef const ort.OrtTensorTypeAndShapeInfo *tensor = NULL
    check(api.GetOnnxTypeFromTypeInfo(info, &kind))
    arg.kind = kind
    arg.type = type_name(info, kind)
    arg._shape = []
    if kind == ort.ONNX_TYPE_TENSOR or kind == ort.ONNX_TYPE_SPARSETENSOR:
        check(api.CastTypeInfoToTensorInfo(info, &tensor))
        arg.element_type = tensor_element_type(tensor)
        arg._shape = shape_of(tensor)
    if kind == ort.ONNX_TYPE_OPTIONAL:
        arg._shape = shape_of_optional(info)
    return 0


cdef list shape_of_optional(const ort.OrtTypeInfo *info):
    """Return the shape of the tensor that an optional may hold; empty for other types."""
    cdef const ort.OrtOptionalTypeInfo *optional = NULL
    cdef const ort.OrtTensorTypeAndShapeInfo *tensor = NULL
    cdef ort.OrtTypeInfo *inner = NULL
    check(api.CastTypeInfoToOptionalTypeInfo(info, &optional))
    check(api.GetOptionalContainedTypeInfo(optional, &inner))
    try:
        check(api.CastTypeInfoToTensorInfo(inner, &tensor))
        return [] if tensor == NULL else shape_of(tensor)
    finally:
        api.ReleaseTypeInfo(inner)


cdef list shape_of(const ort.OrtTensorTypeAndShapeInfo *info):
    cdef int64_t sizes[MOST_DIMENSIONS]
    cdef const char *symbols[MOST_DIMENSIONS]
    cdef size_t rank = 0
    cdef size_t index
    check(api.GetDimensionsCount(info, &rank))
    if rank > MOST_DIMENSIONS:
        return [None] * <Py_ssize_t>rank
    check(api.GetDimensions(info, sizes, rank))
    check(api.GetSymbolicDimensions(info, symbols, rank))
    return [
        sizes[index] if sizes[index] >= 0 else (symbols[index].decode("utf-8", "replace") or None)
        for index in range(rank)
    ]


cdef ModelMetadata metadata_of(ort.OrtSession *session):
    cdef ModelMetadata made = ModelMetadata.__new__(ModelMetadata)
    cdef ort.OrtModelMetadata *metadata = NULL
    check(api.SessionGetModelMetadata(session, &metadata))
    try:
        made.producer_name = text(metadata, api.ModelMetadataGetProducerName)
        made.graph_name = text(metadata, api.ModelMetadataGetGraphName)
        made.domain = text(metadata, api.ModelMetadataGetDomain)
        made.description = text(metadata, api.ModelMetadataGetDescription)
        made.graph_description = text(metadata, api.ModelMetadataGetGraphDescription)
        check(api.ModelMetadataGetVersion(metadata, &made.version))
        made.custom_metadata_map = custom_metadata(metadata)
    finally:
        api.ReleaseModelMetadata(metadata)
    return made


cdef str text(const ort.OrtModelMetadata *metadata, TextOf text_of):
    cdef char *value = NULL
    check(text_of(metadata, allocator, &value))
    return take_string(value)


cdef dict custom_metadata(const ort.OrtModelMetadata *metadata):
    cdef char **keys = NULL
    cdef char *value
    cdef int64_t count = 0
    cdef int64_t index
    cdef dict custom = {}
    check(api.ModelMetadataGetCustomMetadataMapKeys(metadata, allocator, &keys, &count))
    try:
        for index in range(count):
            value = NULL
            check(api.ModelMetadataLookupCustomMetadataMap(
                metadata, allocator, keys[index], &value
            ))
            custom[take_string(keys[index])] = take_string(value)
    finally:
        if keys != NULL:
            check(api.AllocatorFree(allocator, keys))
    return custom
