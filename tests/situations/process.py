"""What is set or asked for the whole process: logging, telemetry, memory, devices."""

from types import ModuleType

from situations import attempt, natives, situation, warned
from situations.opening import CPU, X, scaled


@situation()
def version_and_build_are_reported(ort):
    return ort.get_version_string(), "Build Info" in ort.get_build_info(), ort.get_device()


@situation()
def telemetry_is_switched_off_and_on(ort):
    return ort.disable_telemetry_events(), ort.enable_telemetry_events()


def open_and_run(ort: ModuleType) -> object:
    session = ort.InferenceSession(scaled(), providers=CPU)
    return session.run(["Y"], {"X": X})


@situation(needs="set_default_logger_callback")
def logged_texts_reach_a_function(ort):
    records = []
    ort.set_default_logger_callback(lambda *record: records.append(record), severity=0)
    try:
        result = open_and_run(ort)
        types = {tuple(type(item).__name__ for item in record) for record in records}
    finally:
        ort.set_default_logger_callback(None)
        ort.set_default_logger_severity(2)
    count = len(records)
    return result, count > 0, sorted(types), open_and_run(ort), len(records) - count


@situation(needs="set_default_logger_callback")
def a_function_that_logging_calls_may_raise(ort):
    def raising(*_: object) -> None:
        raise ZeroDivisionError

    ort.set_default_logger_callback(raising, severity=0)
    try:
        return open_and_run(ort)
    finally:
        ort.set_default_logger_callback(None)
        ort.set_default_logger_severity(2)


@situation(needs="set_default_logger_callback")
def what_logging_cannot_call_is_refused(ort):
    def log(*_: object) -> None:
        pass

    try:
        accepted = [attempt(ort.set_default_logger_callback, log, severity=n) for n in (0, 4)]
        refused = [attempt(ort.set_default_logger_callback, log, severity=n) for n in (5, -1)]
        return accepted, refused, attempt(ort.set_default_logger_callback, "no function")
    finally:
        ort.set_default_logger_callback(None)
        ort.set_default_logger_severity(2)


@situation()
def levels_of_logging_are_bounded(ort):
    try:
        return [attempt(ort.set_default_logger_severity, level) for level in (-1, 0, 4, 5)]
    finally:
        ort.set_default_logger_severity(2)


# Devices and memory


@situation(needs="OrtDeviceVendorId")
def devices_have_vendors(ort):
    devices = [ort.OrtDevice.make(name, 0) for name in ("cpu", "cuda", "dml", "webgpu")]
    return [
        [d.device_id(), d.device_type(), d.device_mem_type(), int(d.device_vendor_id())]
        for d in devices
    ], int(ort.OrtDeviceVendorId.NVIDIA)


@situation()
def devices_are_made_by_name(ort):
    names = ["cpu", "cuda", "gpu", "npu", "dml", "cann", "webgpu", "nothing"]
    return [attempt(lambda n=name: ort.OrtDevice.make(n, 1).device_type()) for name in names]


def fields_of(info: object) -> list:
    names = ["name", "device_id", "mem_type", "allocator_type", "device_mem_type"]
    return [getattr(info, name) for name in names] + [int(info.device_vendor_id)]


@situation(needs="OrtMemoryInfo.device_vendor_id")
def a_kind_of_memory_is_described(ort):
    arena, default = ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, ort.OrtMemType.DEFAULT
    info = ort.OrtMemoryInfo("Cpu", arena, 0, default)
    return fields_of(info), info.allocator_type == arena, info.mem_type == default


@situation(needs="OrtMemoryInfo.create_v2")
def a_kind_of_memory_is_described_by_vendor_and_alignment(ort):
    return fields_of(
        ort.OrtMemoryInfo.create_v2(
            "Mine",
            ort.OrtMemoryInfoDeviceType.CPU,
            0,
            0,
            ort.OrtDeviceMemoryType.DEFAULT,
            128,
            ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR,
        )
    )


@situation()
def an_allocator_is_shared_by_sessions_that_ask_for_it(ort):
    info = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    registered = attempt(ort.create_and_register_allocator, info, None)
    found = []
    for wanted in ("1", "0"):
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry("session.use_env_allocators", wanted)
        session = ort.InferenceSession(scaled(), sess_options=options, providers=CPU)
        found.append(session.run(None, {"X": X}))
    return registered, found


ARENA = (
    "max_mem",
    "arena_extend_strategy",
    "initial_chunk_size_bytes",
    "max_dead_bytes_per_chunk",
    "initial_growth_chunk_size_bytes",
    "max_power_of_two_extend_bytes",
)


@situation()
def an_arena_is_configured_in_order_or_by_name(ort):
    settings = [
        (8, 0, 4, 2),
        ({"max_mem": 16, "arena_extend_strategy": 1, "initial_chunk_size_bytes": 8},),
        (dict(zip(ARENA, (32, 11, 18, 14, 12, 17), strict=True)),),
        ({},),
    ]
    known = [name for name in ARENA if hasattr(ort.OrtArenaCfg, name)]
    made = [ort.OrtArenaCfg(*each) for each in settings]
    refused = [attempt(ort.OrtArenaCfg, *each) for each in ((1,), ({"nothing": 1},), ("text",))]
    return [[getattr(config, name) for name in known] for config in made], refused


# Arguments that name providers


@situation()
def providers_are_paired_with_their_options(ort):
    normalize = ort.capi.onnxruntime_inference_collection.check_and_normalize_provider_args
    known = ["a", "b", "c"]
    good = [
        (None, None),
        (["a"], None),
        (["a", "b"], None),
        ([("a", {1: 2}), "b"], None),
        (["a", "b"], [{1: 2}, {}]),
        (["a", "b", "a"], [{"x": 1}, {}, {"y": 2}]),
        (["d"], None),
    ]
    bad = [(3, None), ([3], None), (["a"], 3), (["a"], ["text"]), (["a", "b"], [{1: 2}])]
    bad.append(([("a", {1: 2})], [{3: 4}]))
    return [warned(normalize, *each, known) for each in (*good, *bad)]


@situation()
def programs_find_the_native_module_by_either_name(ort):
    state = natives(ort)
    names = [
        "Fail",
        "InvalidArgument",
        "OrtValueVector",
        "RunOptions",
        "OrtValue",
        "SessionOptions",
    ]
    return [hasattr(state, name) for name in names], hasattr(ort.capi, "_pybind_state")


@situation(needs="capi.onnxruntime_pybind11_state.get_default_session_options")
def default_options_open_a_session(ort):
    options = natives(ort).get_default_session_options()
    return ort.InferenceSession(scaled(), options, providers=CPU).run(None, {"X": X})
