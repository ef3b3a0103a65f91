"""Mistakes, each marked with the error that mypy must report in its line."""

import numpy as np

import ortmmap


def sessions(model: bytes) -> None:
    ortmmap.Session(3)  # error: arg-type
    ortmmap.Session(model, "options")  # error: arg-type
    ortmmap.Session(model, cahce=True)  # error: call-arg
    ortmmap.Session(model, prefault="yes")  # error: arg-type
    ortmmap.Session(model, providers=[("CUDAExecutionProvider", 0)])  # error: list-item
    ortmmap.Session(model, None, None, None, True)  # error: call-arg


def runs(session: ortmmap.Session, x: object) -> None:
    session.run(None, [x])  # error: arg-type
    session.run({1: "y"}, {"x": x})  # error: arg-type
    session.run(None, {"x": x}, "fast")  # error: arg-type
    session.run({"x": x})  # error: call-arg arg-type
    session.run_with_ort_values(None, {"x": x})  # error: dict-item
    session.run_async(None, {"x": x}, print_shape, None)  # error: arg-type
    session.run(None, {"x": x})[0].shpae  # error: union-attr
    session.run(None, {"x": x}).shape  # error: attr-defined
    session.predict({"x": x})  # error: attr-defined
    session.get_inputs()[0].shape = [1]  # error: misc


def print_shape(results: list[np.ndarray]) -> None:
    print(results[0].shape)


async def awaited(session: ortmmap.Session) -> int:
    results = session.run_awaitable(None, {})
    results[0]  # error: index
    return len(await results[0])  # error: index


def bindings(session: ortmmap.Session, value: ortmmap.OrtValue) -> None:
    binding = ortmmap.IOBinding("model.onnx")  # error: arg-type
    binding.bind_cpu_input(0, value)  # error: arg-type
    binding.bind_output("y", device_id="0")  # error: arg-type
    binding.bind_ortvalue_output("y", np.zeros(3))  # error: arg-type
    session.run_with_iobinding(value)  # error: arg-type
    ortmmap.OrtValue(np.zeros(3))  # error: arg-type
    value.numpy().shpae  # error: attr-defined
    value.update_inplace([1.0])  # error: arg-type


def options() -> None:
    chosen = ortmmap.SessionOptions()
    chosen.intra_op_num_threads = "4"  # error: assignment
    chosen.enable_profiling = "yes"  # error: assignment
    chosen.logid = None  # error: assignment
    chosen.graph_optimization_level = "all"  # error: assignment
    chosen.intra_op_threads = 4  # error: attr-defined
    chosen.add_session_config_entry("session.disable_prepacking", 1)  # error: arg-type
    ortmmap.RunOptions(3)  # error: arg-type
    ortmmap.RunOptions().log_severity_level = "high"  # error: assignment


def files(path: str) -> None:
    ortmmap.Mapping(path, "willneed")  # error: call-arg arg-type
    ortmmap.Mapping(path).advise("sometimes")  # error: arg-type
    ortmmap.inspect(path).size  # error: attr-defined
    ortmmap.convert(path, sess_options={})  # error: arg-type
    ortmmap.patch_onnxruntime("session")  # error: arg-type
    ortmmap.no_such_name  # error: attr-defined
