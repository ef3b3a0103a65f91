"""Values: tensors, DLPack, numpy's protocols, sparse tensors, bindings."""

import gc

import models
import numpy as np

from situations import attempt, natives, situation
from situations.opening import CPU, X, scaled

SHAPE = [9, 9]
VALUES = np.array([1.5, 2, 3], "f4")
TEXTS = np.array(["one", "two", "three"])
LINEAR = np.array([3, 5, 15])
ROWS = np.array([0, 1, 2, 3, 3, 3, 3, 3, 3, 3])
COLUMNS = np.array([1, 1, 1])


def described(value: object) -> list:
    return [
        value.device_name(),
        value.shape(),
        value.data_type(),
        value.is_tensor(),
        value.is_sparse_tensor(),
        value.is_tensor_sequence(),
        value.has_value(),
        value.element_type(),
        value.numpy(),
    ]


@situation()
def a_value_is_made_of_an_array(ort):
    value = ort.OrtValue.ortvalue_from_numpy(X)
    typed = ort.OrtValue.ortvalue_from_numpy_with_onnx_type(X, 1)
    return described(value), value.tensor_size_in_bytes(), described(typed)


@situation()
def a_value_of_a_type_that_numpy_lacks_is_made(ort):
    halves = np.array([0x3F80, 0x4000], np.uint16)
    value = ort.OrtValue.ortvalue_from_numpy_with_onnx_type(halves, 16)
    return value.data_type(), value.element_type(), value.shape(), value.tensor_size_in_bytes()


@situation()
def a_value_is_made_of_a_shape_and_a_type(ort):
    values = [
        ort.OrtValue.ortvalue_from_shape_and_type([3, 2], kind, "cpu", 0)
        for kind in (np.float32, np.int64, bool, 1, 16)
    ]
    return [[value.shape(), value.data_type(), value.device_name()] for value in values]


@situation()
def a_value_is_fed_and_stays_valid(ort):
    value = ort.OrtValue.ortvalue_from_numpy(X)
    session = ort.InferenceSession(scaled(), providers=CPU)
    results = session.run(["Y"], {"X": value}), session.run_with_ort_values(["Y"], {"X": value})
    return results[0], [described(result) for result in results[1]], described(value)


@situation()
def the_inner_session_runs_values(ort):
    value = ort.OrtValue.ortvalue_from_numpy(X)
    session = ort.InferenceSession(scaled(), providers=CPU)
    options = natives(ort).RunOptions()
    vector = session._sess.run_with_ort_values({"X": value._get_c_value()}, ["Y"], options)
    return type(vector).__name__, len(vector), vector[0].numpy()


@situation()
def a_values_memory_is_updated(ort):
    value = ort.OrtValue.ortvalue_from_numpy(X.copy())
    value.update_inplace(X * 2)
    # A copy, since onnxruntime's array does not keep the memory that it lies in.
    return value.numpy().copy(), attempt(value.update_inplace, X[:2])


@situation()
def values_are_bound_and_run(ort):
    session = ort.InferenceSession(scaled(), providers=CPU)
    target = ort.OrtValue.ortvalue_from_shape_and_type([3, 2], np.float32)
    binding = session.io_binding()
    binding.bind_cpu_input("X", X)
    binding.bind_output("Y")
    session.run_with_iobinding(binding)
    first = binding.copy_outputs_to_cpu()
    binding.clear_binding_outputs()
    binding.bind_ortvalue_input("X", ort.OrtValue.ortvalue_from_numpy(X * 2))
    binding.bind_ortvalue_output("Y", target)
    binding.synchronize_inputs()
    session.run_with_iobinding(binding)
    binding.synchronize_outputs()
    return first, target.numpy(), [described(value) for value in binding.get_outputs()]


# DLPack


@situation(needs="capi.onnxruntime_pybind11_state.OrtValue.from_dlpack")
def a_tensor_travels_by_dlpack_and_keeps_its_address(ort):
    state = natives(ort)
    outer = ort.OrtValue.ortvalue_from_numpy(X)
    value = outer._ortvalue
    found = []
    for capsule in (value.to_dlpack(), value.__dlpack__()):
        taken = state.OrtValue.from_dlpack(capsule)
        found.append([taken.data_ptr() == value.data_ptr(), taken.numpy()])
    return found, list(value.__dlpack_device__())


@situation(needs="capi.onnxruntime_pybind11_state.is_dlpack_uint8_tensor")
def a_capsule_of_bytes_is_recognized(ort):
    state = natives(ort)
    arrays = [X, np.ones(3, "u1"), np.ones(3, bool)]
    values = [ort.OrtValue.ortvalue_from_numpy(array)._ortvalue for array in arrays]
    return [state.is_dlpack_uint8_tensor(value.to_dlpack()) for value in values]


@situation(since=(1, 32))
def tensors_of_no_elements_travel_by_dlpack(ort):
    state = natives(ort)
    found = []
    for shape in ((1, 8, 0, 128), (0,), (0, 4), (4, 0)):
        array = np.zeros(shape, "f4")
        taken = state.OrtValue.from_dlpack(array.__dlpack__())
        value = ort.OrtValue.ortvalue_from_numpy(array)
        back = state.OrtValue.from_dlpack(value._ortvalue.to_dlpack())
        found.append([taken.shape(), back.shape()])
    return found


@situation(needs="OrtValue.from_dlpack")
def a_value_is_taken_from_a_capsule_or_from_an_object(ort):
    value = ort.OrtValue.ortvalue_from_numpy(X)
    copies = [ort.OrtValue.from_dlpack(source) for source in (value.__dlpack__(), value, X)]
    same = [copy.data_ptr() == value.data_ptr() for copy in copies[:2]]
    return [list(copy.shape()) for copy in copies], same, copies, list(value.__dlpack_device__())


@situation(needs="OrtValue.from_dlpack")
def booleans_stay_booleans_by_dlpack(ort):
    arrays = [np.array([True, False, True]), np.array([1, 2, 255], "u1")]
    values = [ort.OrtValue.ortvalue_from_numpy(array) for array in arrays]
    return [ort.OrtValue.from_dlpack(value).numpy().copy() for value in values]


@situation(needs="OrtValue.__array__")
def numpy_makes_arrays_of_values(ort):
    found = []
    for array in (X, np.arange(3), np.array([True, False])):
        value = ort.OrtValue.ortvalue_from_numpy(array)
        views = np.asarray(value), np.asarray(value, dtype=array.dtype)
        found.append(
            [
                [view.ctypes.data == value.data_ptr() for view in views],
                np.array(value),
                np.asarray(value, dtype="f8"),
            ]
        )
    return found


# Sparse tensors


def sparse(tensor: object) -> list:
    return [
        tensor.format().name,
        tensor.dense_shape(),
        tensor.data_type(),
        tensor.device_name(),
        tensor.values(),
    ]


def indices(array: np.ndarray) -> list:
    gc.collect()  # nothing but the array keeps the tensor
    return [array.flags.writeable, array]


@situation()
def a_sparse_tensor_in_coo_format_is_read_only(ort):
    device = ort.OrtDevice.make("cpu", 0)
    tensor = ort.SparseTensor.sparse_coo_from_numpy(SHAPE, VALUES, LINEAR, device)
    value = ort.OrtValue.ort_value_from_sparse_tensor(tensor)
    again = value.as_sparse_tensor()
    return [
        sparse(tensor),
        tensor.format() == ort.OrtSparseFormat.ORT_SPARSE_COO,
        indices(tensor.values()),
        indices(tensor.as_coo_view().indices()),
        sparse(again),
        indices(again.values()),
        indices(again.as_coo_view().indices()),
        attempt(tensor.as_csrc_view),
        attempt(tensor.as_blocksparse_view),
    ]


@situation()
def a_sparse_tensor_of_strings_is_read_back(ort):
    device = ort.OrtDevice.make("cpu", 0)
    tensor = ort.SparseTensor.sparse_coo_from_numpy(SHAPE, TEXTS, LINEAR, device)
    return sparse(tensor), indices(tensor.as_coo_view().indices())


@situation()
def a_sparse_tensor_in_csr_format_is_read_only(ort):
    device = ort.OrtDevice.make("cpu", 0)
    tensor = ort.SparseTensor.sparse_csr_from_numpy(SHAPE, VALUES, COLUMNS, ROWS, device)
    texts = ort.SparseTensor.sparse_csr_from_numpy(SHAPE, TEXTS, COLUMNS, ROWS, device)
    return [
        sparse(tensor),
        tensor.format() == ort.OrtSparseFormat.ORT_SPARSE_CSRC,
        indices(tensor.values()),
        indices(tensor.as_csrc_view().inner()),
        indices(tensor.as_csrc_view().outer()),
        sparse(texts),
    ]


@situation()
def a_sparse_tensor_cannot_move_to_a_device_that_is_not_there(ort):
    device = ort.OrtDevice.make("cpu", 0)
    tensor = ort.SparseTensor.sparse_coo_from_numpy(SHAPE, VALUES, LINEAR, device)
    return attempt(tensor.to_cuda, ort.OrtDevice.make("cuda", 0))


@situation()
def a_result_may_be_a_sequence(ort):
    model = models.build(
        [
            models.node("SequenceConstruct", "x x", "list"),
            models.node("SequenceLength", "list", "n"),
        ],
        [models.tensor("x", shape=[3])],
        [models.sequence("list"), models.tensor("n", "int64", [])],
    )
    session = ort.InferenceSession(model, providers=CPU)
    value = ort.OrtValue.ortvalue_from_numpy(np.ones(3, "f4"))
    results = session.run_with_ort_values(None, {"x": value})
    return [[r.data_type(), r.is_tensor_sequence(), r.is_tensor(), r.has_value()] for r in results]


@situation()
def a_result_may_be_a_map(ort):
    session = ort.InferenceSession(models.zip_map(strings=True), providers=CPU)
    value = ort.OrtValue.ortvalue_from_numpy(np.ones((2, 3), "f4"))
    (result,) = session.run_with_ort_values(None, {"x": value})
    return result.data_type(), result.is_tensor_sequence(), result.is_tensor(), result.has_value()
