"""OrtMemoryInfo, OrtArenaCfg, and allocators of the environment, against onnxruntime's."""

import models
import onnxruntime
import pytest
from support import ask_python, caught, class_names

import ortmmap

ENUMS = ["OrtAllocatorType", "OrtMemType", "OrtMemoryInfoDeviceType", "OrtDeviceMemoryType"]
MEMORY = [
    "name",
    "device_id",
    "mem_type",
    "allocator_type",
    "device_mem_type",
    "device_vendor_id",
]
ARENA = [
    "max_mem",
    "arena_extend_strategy",
    "initial_chunk_size_bytes",
    "max_dead_bytes_per_chunk",
    "initial_growth_chunk_size_bytes",
    "max_power_of_two_extend_bytes",
]

# A million floats, twice: more than an arena of 1 MiB holds.
BIG = models.build(
    [models.node("Relu", "x", "a"), models.node("Neg", "a", "y")],
    [models.tensor("x", shape=["n"])],
    [models.tensor("y", shape=["n"])],
)
USE = """
import json, sys
import numpy as np
import {module} as onnxruntime

def register(most):
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(most, -1, -1, -1))

def run(shared):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.use_env_allocators", shared)
    session = onnxruntime.InferenceSession(sys.argv[1], options)
    try:
        session.run(None, {{"x": np.ones(1 << 20, "f4")}})
    except Exception as error:
        return type(error).__name__
    return "ran"
"""


def both(function) -> list:
    """Return what `function` makes of each module, or the names of the classes raised."""
    results = []
    for module in (ortmmap, onnxruntime):
        error = caught(lambda module=module: results.append(function(module)))
        if error is not None:
            results.append(class_names(error))
    return results


@pytest.mark.parametrize("name", ENUMS)
def test_enums_have_onnxruntimes_members(name):
    ours, theirs = getattr(ortmmap, name).__members__, getattr(onnxruntime, name).__members__
    assert list(ours) == list(theirs)
    for member in ours:
        assert (ours[member].value, str(ours[member])) == (
            theirs[member].value,
            str(theirs[member]),
        )


def values_of(memory: object) -> list:
    """Give what a memory info tells, of enums the numbers."""
    found = [getattr(memory, name) for name in MEMORY]
    return [getattr(value, "value", value) for value in found]


@pytest.mark.parametrize("name", ["Cpu", "Cuda", "Nothing", "", "a\0b"])
@pytest.mark.parametrize("type_", ["INVALID", "ORT_DEVICE_ALLOCATOR", "ORT_ARENA_ALLOCATOR"])
@pytest.mark.parametrize("memory_type", ["CPU_INPUT", "CPU", "DEFAULT"])
def test_memory_is_described_as_by_onnxruntime(name, type_, memory_type):
    ours, theirs = both(
        lambda module: values_of(
            module.OrtMemoryInfo(
                name, module.OrtAllocatorType[type_], 3, module.OrtMemType[memory_type]
            )
            if module is ortmmap
            else module.OrtMemoryInfo(
                name,
                module.OrtAllocatorType.__members__[type_],
                3,
                module.OrtMemType.__members__[memory_type],
            )
        )
    )
    assert ours == theirs if isinstance(theirs, list) else theirs <= ours


@pytest.mark.parametrize("device", ["CPU", "GPU", "NPU", "FPGA"])
@pytest.mark.parametrize("memory_type", ["DEFAULT", "HOST_ACCESSIBLE"])
def test_memory_of_any_device_is_described_as_by_onnxruntime(device, memory_type):
    ours, theirs = both(
        lambda module: values_of(
            module.OrtMemoryInfo.create_v2(
                "any",
                getattr(module.OrtMemoryInfoDeviceType, device),
                0x8086,
                2,
                getattr(module.OrtDeviceMemoryType, memory_type),
                64,
                module.OrtAllocatorType.ORT_DEVICE_ALLOCATOR,
            )
        )
    )
    assert ours == theirs


@pytest.mark.parametrize(
    ("position", "bad"),
    [(0, 5), (1, 1), (1, None), (2, 0.5), (2, 2**40), (2, "0"), (3, 0), (3, "DEFAULT")],
)
def test_bad_descriptions_raise_as_onnxruntimes(position, bad):
    def make(module):
        arguments = [
            "Cpu",
            module.OrtAllocatorType.ORT_ARENA_ALLOCATOR,
            0,
            module.OrtMemType.DEFAULT,
        ]
        arguments[position] = bad
        return module.OrtMemoryInfo(*arguments)

    ours, theirs = both(make)
    assert "TypeError" in ours
    assert "TypeError" in theirs


def test_no_name_raises():
    """onnxruntime ends the process."""
    with pytest.raises(TypeError, match="name"):
        ortmmap.OrtMemoryInfo(None, ortmmap.OrtAllocatorType(1), 0, ortmmap.OrtMemType.DEFAULT)


def test_what_was_not_made_raises():
    empty = ortmmap.OrtMemoryInfo.__new__(ortmmap.OrtMemoryInfo)
    with pytest.raises(ValueError, match="not made"):
        _ = empty.name
    with pytest.raises(ValueError, match="not made"):
        ortmmap.create_and_register_allocator(empty, None)


def test_onnxruntimes_own_enums_are_taken():
    theirs = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    memory = ortmmap.OrtMemoryInfo("Cpu", theirs, 0, onnxruntime.OrtMemType.DEFAULT)
    assert memory.allocator_type is ortmmap.OrtAllocatorType.ORT_ARENA_ALLOCATOR


@pytest.mark.parametrize(
    "settings",
    [
        (1, 1, 3, 4),
        (0, -1, -1, -1),
        ({},),
        ({name: number for number, name in enumerate(ARENA)},),
    ],
)
def test_an_arena_tells_its_settings_as_onnxruntimes(settings):
    ours, theirs = both(
        lambda module: [getattr(module.OrtArenaCfg(*settings), name) for name in ARENA]
    )
    assert ours == theirs


@pytest.mark.parametrize(
    "settings",
    [(), (1, 2, 3), (-1, 0, 0, 0), (1.5, 0, 0, 0), ("1", 0, 0, 0), (1, 2**40, 0, 0), (None,)],
)
def test_bad_settings_raise_as_onnxruntimes(settings):
    ours, theirs = both(lambda module: module.OrtArenaCfg(*settings))
    assert "TypeError" in ours
    assert "TypeError" in theirs


def test_an_unknown_setting_is_named_as_by_onnxruntime():
    for module in (ortmmap, onnxruntime):
        with pytest.raises(RuntimeError, match="Invalid OrtArenaCfg option: most"):
            module.OrtArenaCfg({"most": 1})


def test_a_setting_may_be_changed():
    arena = ortmmap.OrtArenaCfg(0, -1, -1, -1)
    arena.max_mem = 1 << 20
    assert arena.max_mem == 1 << 20
    with pytest.raises(TypeError, match="max_mem"):
        arena.max_mem = "1"
    with pytest.raises(AttributeError):
        arena.nothing = 1


@pytest.mark.parametrize("settings", [(0, 7, -1, -1), (0, -5, -1, -1), (0, 0, -2, -1)])
def test_a_setting_without_meaning_is_refused_when_it_is_used(settings):
    """onnxruntime ends the process at the first, where no allocator was registered before."""
    with pytest.raises(ortmmap.errors.InvalidArgument, match="no meaning"):
        ortmmap.create_and_register_allocator(cpu(ortmmap), ortmmap.OrtArenaCfg(*settings))


def cpu(module: object, name: str = "Cpu") -> object:
    type_ = module.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    return module.OrtMemoryInfo(name, type_, 0, module.OrtMemType.DEFAULT)


@pytest.mark.parametrize(
    "call",
    [
        lambda module: module.create_and_register_allocator(cpu(module, "Cuda"), None),
        lambda module: module.create_and_register_allocator(None, None),
        lambda module: module.create_and_register_allocator(cpu(module), 5),
        lambda module: module.create_and_register_allocator_v2("No", cpu(module), {}, None),
        lambda module: module.create_and_register_allocator_v2(5, cpu(module), {}, None),
        lambda module: module.create_and_register_allocator_v2("No", cpu(module), {"a": 5}, None),
        lambda module: module.create_and_register_allocator_v2("No", cpu(module), None, None),
        lambda module: module.create_and_register_allocator_v2("No", None, {}, None),
    ],
)
def test_what_cannot_be_registered_raises_as_onnxruntimes(call):
    """In this process nothing is registered."""
    ours, theirs = both(call)
    assert ours & theirs & {"TypeError", "RuntimeError"}


@pytest.mark.parametrize("module", ["ortmmap", "onnxruntime"])
def test_sessions_share_the_arena_that_is_registered(module, tmp_path):
    """One of 1 MiB has no room for the run; other sessions have arenas of their own."""
    path = tmp_path / "big.onnx"
    path.write_bytes(BIG)
    outcomes = ask_python(
        USE.format(module=module)
        + "before = run('1')\nregister(1 << 20)\nafter = [run('1'), run('0')]\nregister(1 << 30)\n"
        "print(json.dumps([before, *after, run('1')]))",
        path,
    )
    assert outcomes[0] == outcomes[2] == outcomes[3] == "ran"
    assert outcomes[1] in ("RuntimeException", "Fail")


def test_the_arena_takes_the_place_of_the_one_that_is_recorded(tmp_path):
    """And a session whose weights' pages were shared lives on; later ones share none, and run."""
    path, cached = tmp_path / "big.onnx", tmp_path / "deep.onnx"
    path.write_bytes(BIG)
    cached.write_bytes(models.weights(2, 256))
    outcomes = ask_python(
        USE.format(module="ortmmap") + "deep = {'h0': np.ones((1, 256), 'f4')}\n"
        "def opened():\n"
        "    return onnxruntime.InferenceSession(sys.argv[2], cache=sys.argv[3])\n"
        "first, second = opened(), opened()\n"
        "expected = first.run(None, deep)[0].tolist()\n"
        "register(1 << 20)\n"
        "third = opened()\n"
        "same = [s.run(None, deep)[0].tolist() == expected for s in (first, second, third)]\n"
        "print(json.dumps([run('1'), run('0'), same]))",
        path,
        cached,
        tmp_path / "cache",
    )
    assert outcomes[0] in ("RuntimeException", "Fail")
    assert outcomes[1:] == ["ran", [True, True, True]]
    assert list((tmp_path / "cache").rglob("pages"))  # they were recorded


# Opens a session of a cached model; the expression is what is asked of it.
OPENED = """
def opened():
    session = onnxruntime.InferenceSession(sys.argv[1], cache=sys.argv[2])
    assert session.cached.wait(60)
    return session.{}
"""


@pytest.fixture
def deep(tmp_path):
    path = tmp_path / "deep.onnx"
    path.write_bytes(models.weights(2, 256))
    return path


@pytest.mark.parametrize("before", ["", "opened()"])
def test_a_session_says_that_an_arena_was_registered(before, deep, tmp_path):
    reason = ask_python(
        USE.format(module="ortmmap") + OPENED.format("cached.reason") + f"{before}\n"
        "register(1 << 20)\n"
        "opened()   # fills the cache, if it is the first\n"
        "print(json.dumps(opened()))",
        deep,
        tmp_path / "cache",
    )
    assert reason == "another allocator is registered for the CPU"


def test_a_refused_registration_leaves_weights_shared(deep, tmp_path):
    shared = ask_python(
        USE.format(module="ortmmap")
        + OPENED.format("memory().shared_blocks")
        + "counts = [opened(), opened()]\n"
        "memory = onnxruntime.OrtMemoryInfo('Cpu', onnxruntime.OrtAllocatorType(1), 0,"
        " onnxruntime.OrtMemType(0))\n"
        "try:\n"
        "    onnxruntime.create_and_register_allocator_v2('No', memory, {}, None)\n"
        "except onnxruntime.errors.OrtError:\n"
        "    counts.append(opened())\n"
        "register(1 << 20)\n"
        "print(json.dumps([*counts, opened()]))",
        deep,
        tmp_path / "cache",
    )
    first, second, third, last = shared
    assert first == second == third > 0
    assert last == 0


def test_another_providers_way_registers_the_cpus_too(tmp_path):
    path = tmp_path / "big.onnx"
    path.write_bytes(BIG)
    code = USE.format(module="ortmmap") + (
        "memory = onnxruntime.OrtMemoryInfo('Cpu', onnxruntime.OrtAllocatorType(1), 0,"
        " onnxruntime.OrtMemType(0))\n"
        "onnxruntime.create_and_register_allocator_v2('CPUExecutionProvider', memory, {},"
        " onnxruntime.OrtArenaCfg({'max_mem': 1 << 20}))\n"
        "print(json.dumps(run('1')))"
    )
    assert ask_python(code, path) in ("RuntimeException", "Fail")


def test_a_plain_session_imports_none_of_it(ort_file):
    loaded = ask_python(
        "import json, sys, ortmmap\nimport numpy as np\n"
        "ortmmap.Session(sys.argv[1]).run(None, {'x': np.ones((1, 8), 'f4')})\n"
        "print(json.dumps(sorted(name for name in sys.modules if name.startswith('ortmmap.'))))",
        ort_file,
    )
    unwanted = {"ortmmap.session.allocators", "ortmmap.values.memory", "ortmmap.compat.parity"}
    assert not unwanted & set(loaded)
