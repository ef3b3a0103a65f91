"""Functions of ONNX Runtime's environment."""

cimport ortmmap.abi.ort as ort

cdef object ep_device(const ort.OrtEpDevice *device)
cdef const ort.OrtEpDevice *native_ep_device(object device) except NULL
cdef dict pairs_of(const ort.OrtKeyValuePairs *pairs)
