"""Where ONNX Runtime has put a session's inputs, outputs and nodes."""

cimport ortmmap.abi.ort as ort
from ortmmap.runtime.environment cimport ep_device
from ortmmap.runtime.library cimport api, check, newer_api
from ortmmap.session.allocators cimport OrtMemoryInfo, copied_memory_info
from ortmmap.session.open_session cimport OpenSession

from cpython.mem cimport PyMem_Free, PyMem_Malloc

from ortmmap.runtime.ep_devices import OrtEpAssignedNode, OrtEpAssignedSubgraph

ctypedef ort.OrtStatus *(*MemoryOf)(
    const ort.OrtSession *, const ort.OrtMemoryInfo **, size_t
) noexcept nogil


def input_memory_infos(OpenSession open_ not None) -> list:
    """Return the `OrtMemoryInfo` of each input's memory."""
    return memory_infos(open_, api.SessionGetMemoryInfoForInputs, len(open_.inputs))


def output_memory_infos(OpenSession open_ not None) -> list:
    """Return the `OrtMemoryInfo` of each output's memory."""
    return memory_infos(open_, api.SessionGetMemoryInfoForOutputs, len(open_.outputs))


def input_ep_devices(OpenSession open_ not None) -> list:
    """Return the `OrtEpDevice` that each input is used on; None if ONNX Runtime names none."""
    cdef size_t count = len(open_.inputs)
    cdef size_t index
    cdef const ort.OrtEpDevice **devices
    if count == 0:   # which ONNX Runtime refuses
        return []
    devices = <const ort.OrtEpDevice **>room_for(count)
    try:
        open_.begin()
        open_.end(api.SessionGetEpDeviceForInputs(open_.session, devices, count))
        return [
            None if devices[index] == NULL else ep_device(devices[index]) for index in range(count)
        ]
    finally:
        PyMem_Free(devices)


def assigned_subgraphs(OpenSession open_ not None) -> list:
    """Return an `OrtEpAssignedSubgraph` for each part of the graph that a provider was given.

    Raises
    ------
    NotImplementedError
        If ONNX Runtime is older than 1.24.
    Fail
        If the session did not record it.
    """
    cdef const ort.OrtEpAssignedSubgraph *const *subgraphs = NULL
    cdef size_t count = 0
    cdef size_t index
    if newer_api.Session_GetEpGraphAssignmentInfo == NULL:
        raise NotImplementedError(
            "ONNX Runtime before 1.24 does not report which provider has a node"
        )
    open_.begin()
    try:
        check(newer_api.Session_GetEpGraphAssignmentInfo(open_.session, &subgraphs, &count))
        return [assigned_subgraph(subgraphs[index]) for index in range(count)]
    finally:
        open_.leave()


cdef list memory_infos(OpenSession open_, MemoryOf memory_of, size_t count):
    cdef size_t index
    cdef const ort.OrtMemoryInfo **infos
    if count == 0:
        return []
    infos = <const ort.OrtMemoryInfo **>room_for(count)
    try:
        open_.begin()
        try:
            check(memory_of(open_.session, infos, count))
            return [copied_memory_info(infos[index]) for index in range(count)]
        finally:
            open_.leave()
    finally:
        PyMem_Free(infos)


cdef void *room_for(size_t pointers) except NULL:
    cdef void *room = PyMem_Malloc(pointers * sizeof(void *))
    if room == NULL:
        raise MemoryError()
    return room


cdef object assigned_subgraph(const ort.OrtEpAssignedSubgraph *subgraph):
    cdef const ort.OrtEpAssignedNode *const *nodes = NULL
    cdef const char *name = NULL
    cdef size_t count = 0
    cdef size_t index
    check(newer_api.EpAssignedSubgraph_GetEpName(subgraph, &name))
    check(newer_api.EpAssignedSubgraph_GetNodes(subgraph, &nodes, &count))
    return OrtEpAssignedSubgraph(
        text(name), tuple([assigned_node(nodes[index]) for index in range(count)])
    )


cdef object assigned_node(const ort.OrtEpAssignedNode *node):
    cdef const char *name = NULL
    cdef const char *domain = NULL
    cdef const char *op_type = NULL
    check(newer_api.EpAssignedNode_GetName(node, &name))
    check(newer_api.EpAssignedNode_GetDomain(node, &domain))
    check(newer_api.EpAssignedNode_GetOperatorType(node, &op_type))
    return OrtEpAssignedNode(text(name), text(domain), text(op_type))


cdef str text(const char *found):
    return "" if found == NULL else found.decode("utf-8", "replace")
