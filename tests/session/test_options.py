"""SessionOptions and RunOptions: every attribute does what onnxruntime's does."""

import copy
import json
from collections import Counter
from pathlib import Path

import models
import numpy as np
import onnx
import onnxruntime
import pytest
from support import (
    ask_python,
    assert_same,
    caught,
    class_names,
    onnxruntime_session,
    ortmmap_session,
    run_python,
    to_ort,
)

import ortmmap
from ortmmap import ExecutionMode, GraphOptimizationLevel

FEED = {"x": np.random.default_rng(2).standard_normal((3, 8), "f4")}
THEIRS = onnxruntime.SessionOptions()
ATTRIBUTES = [
    name for name in dir(THEIRS) if not name.startswith("_") and not callable(getattr(THEIRS, name))
]
FLAGS = [name for name in ATTRIBUTES if isinstance(getattr(THEIRS, name), bool)]
NUMBERS = [name for name in ATTRIBUTES if type(getattr(THEIRS, name)) is int]
TEXTS = [name for name in ATTRIBUTES if isinstance(getattr(THEIRS, name), str)]
ENUMS = [name for name in ATTRIBUTES if name not in FLAGS + NUMBERS + TEXTS]
# What the C API has no function for.
FIXED = {"enable_mem_reuse": True, "execution_order": 0}
THREADS = (
    "import json, sys\nfrom pathlib import Path\nimport numpy as np\nimport {module} as module\n"
    "def count():\n    return len(list(Path('/proc/self/task').iterdir()))\n"
    "settings = json.loads(sys.argv[2])\n"
    "options = module.SessionOptions()\n"
    "for name, value in settings.pop('config', {{}}).items():\n"
    "    options.add_session_config_entry(name, value)\n"
    "for name, value in settings.items():\n"
    "    setattr(options, name, module.ExecutionMode(value) if 'mode' in name else value)\n"
    "module.InferenceSession(sys.argv[1]).run(None, {{'x': np.ones((1, 8), 'f4')}})\n"
    "before = count()\n"
    "sessions = [module.InferenceSession(sys.argv[1], options)]\n"
    "during = count()\n"
    "sessions.clear()\n"
    "print(json.dumps([during - before, count() - before]))\n"
)


def test_there_are_all_kinds_of_attributes():
    assert len(ATTRIBUTES) >= 16
    assert all((FLAGS, NUMBERS, TEXTS, ENUMS))


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_the_default_is_onnxruntimes(name):
    ours = getattr(ortmmap.SessionOptions(), name)
    theirs = getattr(THEIRS, name)
    assert ours == getattr(theirs, "value", theirs)
    assert getattr(ours, "name", "") == getattr(theirs, "name", "")


@pytest.mark.parametrize(
    "method",
    [
        "add_free_dimension_override_by_denotation",
        "add_free_dimension_override_by_name",
        "add_session_config_entry",
        "get_session_config_entry",
        "register_custom_ops_library",
    ],
)
def test_it_has_onnxruntimes_methods(method):
    assert callable(getattr(ortmmap.SessionOptions(), method))
    assert callable(getattr(THEIRS, method))


@pytest.mark.parametrize("name", [*FLAGS, *NUMBERS, *TEXTS])
def test_what_is_set_is_got_back(name):
    options = ortmmap.SessionOptions()
    default = getattr(options, name)
    for value in {bool: [True, False], int: [0, 3, 1], str: ["", "text", "größe"]}[type(default)]:
        if FIXED.get(name, value) != value:
            with pytest.warns(UserWarning, match=name):
                setattr(options, name, value)
        else:
            setattr(options, name, value)
            assert getattr(options, name) == value
            assert type(getattr(options, name)) is type(value)
    assert getattr(ortmmap.SessionOptions(), name) == default


@pytest.mark.parametrize("enum", ["GraphOptimizationLevel", "ExecutionMode", "ExecutionOrder"])
def test_enumerations_are_those_of_onnxruntime(enum):
    ours, theirs = getattr(ortmmap, enum), getattr(onnxruntime, enum)
    assert {member.name: member.value for member in ours} == {
        name: member.value for name, member in theirs.__members__.items()
    }


@pytest.mark.parametrize("level", GraphOptimizationLevel)
def test_a_member_may_be_given_as_ours_as_onnxruntimes_or_as_a_number(level):
    for given in (level, getattr(onnxruntime.GraphOptimizationLevel, level.name), level.value):
        options = ortmmap.SessionOptions()
        options.graph_optimization_level = given
        assert options.graph_optimization_level is level


def test_an_unknown_attribute_raises():
    options = ortmmap.SessionOptions()
    with pytest.raises(AttributeError):
        options.intra_op_threads = 3
    with pytest.raises(AttributeError):
        _ = options.nothing


WRONG = [
    *((name, bad) for name in FLAGS for bad in ("1", None, [], 2, b"")),
    *((name, bad) for name in NUMBERS for bad in ("1", None, 1.5, [])),
    *((name, bad) for name in TEXTS for bad in (1, None, [])),
    *((name, bad) for name in ENUMS for bad in ("ORT_ENABLE_ALL", None, 77, 1.0)),
]


@pytest.mark.parametrize(("name", "bad"), WRONG)
def test_a_value_of_a_wrong_type_raises_names_the_attribute_and_changes_nothing(name, bad):
    options = ortmmap.SessionOptions()
    before = getattr(options, name)
    with pytest.raises((TypeError, ValueError), match=name):
        setattr(options, name, bad)
    assert getattr(options, name) == before


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("bad", [2**31, -(2**31) - 1, 2**80])
def test_a_number_that_c_does_not_have_raises_here_or_at_the_session(affine, name, bad):
    with pytest.raises((OverflowError, ValueError, TypeError, RuntimeError)):
        ortmmap_session(affine, **{name: bad})


def test_negative_threads_raise_as_in_onnxruntime(affine):
    for name in ("intra_op_num_threads", "inter_op_num_threads"):
        ours, theirs = (
            caught(make, affine, **{name: -5}) for make in (ortmmap_session, onnxruntime_session)
        )
        assert (ours is None) == (theirs is None)


@pytest.mark.parametrize("name", ["optimized_model_filepath", "profile_file_prefix"])
def test_a_null_in_a_path_raises_here_or_at_the_session(affine, name):
    with pytest.raises((ValueError, RuntimeError)):
        ortmmap_session(affine, **{"enable_profiling": True, name: "a\0b"})


# Configuration entries


def test_an_entry_is_got_back():
    options = ortmmap.SessionOptions()
    for value in ("1", "", "größe", "v" * 4096, "0"):
        options.add_session_config_entry("my.key", value)
        assert options.get_session_config_entry("my.key") == value


@pytest.mark.parametrize(
    ("key", "value"), [("", "v"), ("k" * 1025, "v"), ("k", "v" * 8193), ("é" * 600, "v")]
)
def test_an_entry_out_of_bounds_raises_as_in_onnxruntime(key, value):
    ours = caught(ortmmap.SessionOptions().add_session_config_entry, key, value)
    theirs = caught(onnxruntime.SessionOptions().add_session_config_entry, key, value)
    assert type(theirs).__name__ in class_names(ours)


@pytest.mark.parametrize(("key", "value"), [("k" * 1024, "v"), ("k", "v" * 4096), ("k", "")])
def test_an_entry_at_its_bounds_is_taken_by_the_session(affine, key, value):
    options = ortmmap.SessionOptions()
    options.add_session_config_entry(key, value)
    ortmmap.Session(affine, options)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        (1, "v", "the key should be a str, not int"),
        ("k", 1, "the value of 'k' should be a str, not int"),
        (None, "v", "the key should be a str, not NoneType"),
        ("k", None, "the value of 'k' should be a str, not NoneType"),
        (b"k", "v", "the key should be a str, not bytes"),
    ],
)
def test_an_entry_that_is_no_text_is_a_type_error(key, value, text):
    with pytest.raises(TypeError, match=text):
        ortmmap.SessionOptions().add_session_config_entry(key, value)


def test_an_entry_that_is_not_there_raises_as_in_onnxruntime():
    ours, theirs = (
        caught(module.SessionOptions().get_session_config_entry, "nothing")
        for module in (ortmmap, onnxruntime)
    )
    assert isinstance(ours, RuntimeError)
    assert isinstance(theirs, RuntimeError)
    assert str(theirs) in str(ours)


def test_an_entry_does_what_it_says(big_ort_file):
    """Prepacking makes a private copy of the weights."""
    code = (
        "import sys, ortmmap\nfrom support import smaps_rollup\n"
        "ortmmap.get_version_string()\n"
        "options = ortmmap.SessionOptions()\n"
        "options.add_session_config_entry('session.disable_prepacking', sys.argv[2])\n"
        "before = smaps_rollup()['Anonymous']\n"
        "session = ortmmap.Session(sys.argv[1], options)\n"
        "print(smaps_rollup()['Anonymous'] - before)\n"
    )
    packed, unpacked = (ask_python(code, big_ort_file, value) for value in "01")
    assert unpacked < packed / 4


def test_a_copy_is_independent():
    options = ortmmap.SessionOptions()
    options.intra_op_num_threads = 3
    options.add_session_config_entry("key", "value")
    options.add_free_dimension_override_by_name("n", 3)
    other = options.copy()
    other.intra_op_num_threads = 4
    other.add_session_config_entry("key", "another")
    assert options.intra_op_num_threads == 3
    assert options.get_session_config_entry("key") == "value"
    assert other.intra_op_num_threads == 4
    assert other.get_session_config_entry("key") == "another"


def test_copy_copy_and_pickle_keep_the_settings():
    import pickle

    options = ortmmap.SessionOptions()
    options.logid = "größe"
    options.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.add_session_config_entry("key", "value")
    for other in (copy.deepcopy(options), pickle.loads(pickle.dumps(options))):
        assert other.logid == "größe"
        assert other.graph_optimization_level is GraphOptimizationLevel.ORT_ENABLE_BASIC
        assert other.get_session_config_entry("key") == "value"


def test_changing_options_later_changes_no_session(affine):
    options = ortmmap.SessionOptions()
    session = ortmmap.Session(affine, options)
    (before,) = session.run(None, FEED)
    options.intra_op_num_threads = 2
    options.add_session_config_entry("session.load_model_format", "ONNX")
    np.testing.assert_array_equal(session.run(None, FEED)[0], before)
    assert ortmmap.Session(affine).run(None, FEED)[0].tolist() == before.tolist()


def test_one_options_object_serves_many_sessions(affine, onnx_file):
    options = ortmmap.SessionOptions()
    for source in (affine, onnx_file, affine):
        assert ortmmap.Session(source, options).run(None, FEED)[0].shape == (3, 4)
    assert caught(options.get_session_config_entry, "session.load_model_format")


def test_a_session_tells_its_options(affine):
    options = ortmmap.SessionOptions()
    options.logid = "mine"
    assert ortmmap.Session(affine, options).get_session_options().logid == "mine"
    assert ortmmap.Session(affine).get_session_options().logid == ""


def test_options_of_onnxruntimes_own_class_are_accepted(onnx_file, tmp_path):
    """DESIGN: an instance of onnxruntime.SessionOptions is accepted too."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ortmmap.Session(onnx_file, options)
    assert session.run(None, FEED)[0].shape == (3, 4)
    assert operators(tmp_path / "optimized.onnx") == ["Gemm", "Relu"]


@pytest.mark.parametrize("bad", [{}, "options", 3, object()])
def test_what_is_no_session_options_raises_before_the_model_is_opened(affine, bad):
    with pytest.raises((TypeError, AttributeError)):
        ortmmap.Session(affine, bad)


# What the attributes do


@pytest.mark.parametrize(
    "settings",
    [
        {"intra_op_num_threads": 1},
        {"intra_op_num_threads": 2},
        {"intra_op_num_threads": 5},
        {"intra_op_num_threads": 2, "inter_op_num_threads": 4},
        {"intra_op_num_threads": 2, "inter_op_num_threads": 4, "execution_mode": 1},
        {"intra_op_num_threads": 1, "inter_op_num_threads": 3, "execution_mode": 1},
        {"intra_op_num_threads": 4, "config": {"session.intra_op.allow_spinning": "0"}},
    ],
    ids=str,
)
def test_threads_are_as_many_as_in_onnxruntime(ort_file, settings):
    ours, theirs = (
        ask_python(THREADS.format(module=module), ort_file, json.dumps(settings))
        for module in ("ortmmap", "onnxruntime")
    )
    assert ours == theirs
    assert ours[1] == 0, "threads outlived their session"
    if "execution_mode" not in settings:
        assert ours[0] == settings["intra_op_num_threads"] - 1


def test_threads_of_the_process_need_an_environment_that_has_them(affine):
    """onnxruntime's own environment has none either, unless it is set up so."""
    ours = caught(ortmmap_session, affine, use_per_session_threads=False)
    theirs = caught(onnxruntime_session, affine, use_per_session_threads=False)
    assert (ours is None) == (theirs is None)
    assert ours is None or type(theirs).__name__ in class_names(ours)


def operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


@pytest.mark.parametrize("level", GraphOptimizationLevel)
@pytest.mark.parametrize("name", ["affine", "convolution", "transformer"])
def test_the_optimized_model_is_saved_as_by_onnxruntime(tmp_path, level, name):
    model, feed = models.catalogue()[name]
    theirs_level = getattr(onnxruntime.GraphOptimizationLevel, level.name)
    paths = [tmp_path / "zoë ours.onnx", tmp_path / "theirs.onnx"]
    for make, value, path in (
        (ortmmap_session, level, paths[0]),
        (onnxruntime_session, theirs_level, paths[1]),
    ):
        make(model, graph_optimization_level=value, optimized_model_filepath=str(path))
    ours, theirs = map(operators, paths)
    assert ours == theirs
    original = [node.op_type for node in onnx.load_from_string(model).graph.node]
    if level == 0:
        assert ours == original
    elif level == 99:
        assert ours != original
    assert_same(
        ortmmap_session(paths[0]).run(None, feed), onnxruntime_session(paths[1]).run(None, feed)
    )


def test_a_file_is_saved_where_its_path_says(onnx_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ortmmap_session(onnx_file, optimized_model_filepath="relative.onnx")
    assert operators(tmp_path / "relative.onnx") == ["FusedGemm"]
    ortmmap_session(onnx_file, optimized_model_filepath=tmp_path / "pathlike.onnx")
    assert operators(tmp_path / "pathlike.onnx") == ["FusedGemm"]


def test_ort_format_may_be_saved(onnx_file, tmp_path):
    path = tmp_path / "saved"
    ortmmap_session(
        onnx_file, optimized_model_filepath=path, config={"session.save_model_format": "ORT"}
    )
    assert path.read_bytes()[4:8] == b"ORTM"
    assert ortmmap_session(path).mapping is not None


def test_a_profile_is_written_only_when_it_is_enabled(ort_file, tmp_path):
    prefix = str(tmp_path / "profile")
    for enabled in (False, True):
        session = ortmmap_session(ort_file, enable_profiling=enabled, profile_file_prefix=prefix)
        session.run(None, FEED)
        session.end_profiling()
        assert len(list(tmp_path.glob("profile*"))) == enabled
    (profile,) = tmp_path.glob("profile*")
    events = json.loads(profile.read_text())
    assert "model_run" in {event["name"] for event in events}


LOG = (
    "import json, sys\nimport numpy as np\nimport {module} as module\n"
    "options = module.SessionOptions()\n"
    "for name, value in json.loads(sys.argv[2]).items():\n"
    "    setattr(options, name, value)\n"
    "session = module.InferenceSession(sys.argv[1], options)\n"
    "print('created', file=sys.stderr, flush=True)\n"
    "run = module.RunOptions()\n"
    "for name, value in json.loads(sys.argv[3]).items():\n"
    "    setattr(run, name, value)\n"
    "try:\n"
    "    session.run(None, {{'x': np.ones(3, 'f4'), 'i': np.array([99])}}, run)\n"
    "except Exception:\n    pass\n"
)


@pytest.fixture(scope="module")
def failing_file(tmp_path_factory) -> Path:
    """A model whose run logs an error."""
    model = models.build(
        [models.node("Gather", "x i", "y")],
        [models.tensor("x", shape=["n"]), models.tensor("i", "int64", ["m"])],
        [models.tensor("y")],
    )
    path = tmp_path_factory.mktemp("failing") / "failing.ort"
    path.write_bytes(to_ort(model))
    return path


def logged(module: str, path: Path, session: dict, run: dict | None = None) -> list[Counter]:
    """Count the lines by severity that are logged while a session is created, and run."""
    code = LOG.format(module=module)
    text = run_python(code, path, json.dumps(session), json.dumps(run or {})).stderr
    severities = [f"[{letter}:" for letter in "VIWEF"]
    return [
        Counter(mark for line in part.splitlines() for mark in severities if mark in line)
        for part in text.split("created\n")
    ]


@pytest.mark.parametrize("level", [0, 1, 2, 3, 4, -1])
def test_the_log_severity_decides_what_is_logged(failing_file, level):
    created, run = logged("ortmmap", failing_file, {"log_severity_level": level})
    lowest = 2 if level < 0 else level
    seen = {
        index
        for index, mark in enumerate(["[V:", "[I:", "[W:", "[E:", "[F:"])
        if (created + run)[mark]
    }
    assert all(index >= lowest for index in seen)
    if lowest <= 1:
        assert created["[I:"] > 0
    assert (run["[E:"] > 0) == (lowest <= 3)


@pytest.mark.parametrize("level", [0, 2, 4])
def test_a_run_may_log_more_or_less_than_its_session(failing_file, level):
    settings = {"log_severity_level": 4}, {"log_severity_level": level}
    created, run = logged("ortmmap", failing_file, *settings)
    assert not created
    assert bool(run) == (level < 4)
    assert run == logged("onnxruntime", failing_file, *settings)[1]


def test_the_names_of_session_and_run_are_logged(failing_file):
    code = LOG.format(module="ortmmap")
    session, run = (
        {"log_severity_level": 0, "logid": "sessión"},
        {"logid": "the-run", "log_severity_level": 0},
    )
    text = run_python(code, failing_file, json.dumps(session), json.dumps(run)).stderr
    before, after = text.split("created\n")
    assert "sessión" in before
    assert "the-run" in after


def test_verbosity_is_accepted_as_by_onnxruntime(failing_file):
    settings = {"log_severity_level": 0, "log_verbosity_level": 4}
    ours, theirs = (
        logged(module, failing_file, settings)[0] for module in ("ortmmap", "onnxruntime")
    )
    assert ours["[V:"] >= theirs["[V:"] > 0


@pytest.mark.parametrize("format_", ["ort", "onnx"])
def test_free_dimensions_are_fixed_by_name(format_):
    model = models.affine() if format_ == "onnx" else to_ort(models.affine())
    shapes = []
    for make, module in ((ortmmap.Session, ortmmap), (onnxruntime.InferenceSession, onnxruntime)):
        options = module.SessionOptions()
        options.add_free_dimension_override_by_name("batch", 3)
        options.add_free_dimension_override_by_name("nobody has it", 9)
        session = make(model, options)
        shapes.append([arg.shape for arg in session.get_inputs() + session.get_outputs()])
        assert session.run(None, FEED)[0].shape == (3, 4)
        if format_ == "onnx":
            assert caught(session.run, None, {"x": FEED["x"][:2]})
    assert shapes[0] == shapes[1]
    if format_ == "onnx":
        assert shapes[0][0] == [3, 8]


def test_free_dimensions_are_fixed_by_denotation():
    model = onnx.load_from_string(models.affine())
    model.graph.input[0].type.tensor_type.shape.dim[0].denotation = "DATA_BATCH"
    options = ortmmap.SessionOptions()
    options.add_free_dimension_override_by_denotation("DATA_BATCH", 2)
    session = ortmmap.Session(model.SerializeToString(), options)
    assert session.get_inputs()[0].shape == [2, 8]


@pytest.mark.parametrize(("name", "size"), [(1, 2), ("n", "2"), ("n", 1.5), (None, 1)])
def test_a_free_dimension_of_a_wrong_type_is_a_type_error(name, size):
    with pytest.raises(TypeError):
        ortmmap.SessionOptions().add_free_dimension_override_by_name(name, size)


@pytest.mark.parametrize(
    "settings",
    [
        {"execution_mode": ExecutionMode.ORT_PARALLEL, "inter_op_num_threads": 2},
        {"enable_cpu_mem_arena": False},
        {"enable_mem_pattern": False},
        {"use_deterministic_compute": True},
        {"intra_op_num_threads": 2},
        {"graph_optimization_level": GraphOptimizationLevel.ORT_DISABLE_ALL},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["convolution", "lstm", "quantized", "many"])
def test_results_do_not_depend_on_how_they_are_computed(settings, name):
    model, feed = models.catalogue()[name]
    theirs = {
        key: getattr(getattr(onnxruntime, type(value).__name__), value.name)
        if hasattr(value, "name")
        else value
        for key, value in settings.items()
    }
    for content in (model, to_ort(model)):
        ours_outputs = ortmmap_session(content, **settings).run(None, feed)
        assert_same(ours_outputs, onnxruntime_session(content, **theirs).run(None, feed))


ARENA = (
    "import sys, numpy as np, {module} as module\nfrom support import smaps_rollup\n"
    "options = module.SessionOptions()\n"
    "options.intra_op_num_threads = 1\n"
    "options.enable_cpu_mem_arena = sys.argv[2] == '1'\n"
    "options.add_session_config_entry('session.disable_prepacking', '1')\n"
    "session = module.InferenceSession(sys.argv[1], options)\n"
    "before = smaps_rollup()['Anonymous']\n"
    "session.run(None, {{'x': np.ones(8 << 20, 'f4')}})\n"
    "print(smaps_rollup()['Anonymous'] - before)\n"
)


def test_the_arena_keeps_memory_and_without_it_none_is_kept(write):
    nodes = [models.node("Sin", "x", "a"), models.node("ReduceMax", "a", "y", keepdims=0)]
    path = write(
        to_ort(models.build(nodes, [models.tensor("x", shape=["n"])], [models.tensor("y")]))
    )
    kept, freed = (ask_python(ARENA.format(module="ortmmap"), path, value) for value in "10")
    assert kept > 24 << 20
    assert freed < 8 << 20


def test_custom_operators_that_are_not_there_raise(affine):
    options = ortmmap.SessionOptions()
    options.register_custom_ops_library("/nowhere/library.so")
    with pytest.raises(RuntimeError, match=r"/nowhere/library\.so"):
        ortmmap.Session(affine, options)


# RunOptions


@pytest.mark.parametrize(
    "name",
    [
        "log_severity_level",
        "log_verbosity_level",
        "logid",
        "terminate",
        "only_execute_path_to_fetches",
    ],
)
def test_the_defaults_of_run_options_are_onnxruntimes(name):
    assert getattr(ortmmap.RunOptions(), name) == getattr(onnxruntime.RunOptions(), name)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("log_severity_level", [0, 3, -1]),
        ("log_verbosity_level", [0, 7]),
        ("logid", ["", "run", "größe"]),
        ("terminate", [True, False]),
    ],
)
def test_run_options_are_got_back(name, values):
    options = ortmmap.RunOptions()
    for value in values:
        setattr(options, name, value)
        assert getattr(options, name) == value


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("log_severity_level", "1"),
        ("log_verbosity_level", None),
        ("logid", 1),
        ("logid", None),
        ("nothing", 1),
        ("terminate", "x"),
        ("terminate", None),
        ("log_severity_level", 2**40),
    ],
)
def test_a_wrong_run_option_raises(name, bad):
    with pytest.raises((TypeError, AttributeError, OverflowError)):
        setattr(ortmmap.RunOptions(), name, bad)


def test_run_config_entries_are_got_back_and_bounded():
    ours, theirs = ortmmap.RunOptions(), onnxruntime.RunOptions()
    for options in (ours, theirs):
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        assert options.get_run_config_entry("memory.enable_memory_arena_shrinkage") == "cpu:0"
        assert isinstance(caught(options.get_run_config_entry, "nothing"), RuntimeError)
        for key, value in (("", "v"), ("k" * 1025, "v"), ("k", "v" * 8193)):
            assert isinstance(caught(options.add_run_config_entry, key, value), RuntimeError)
            assert caught(options.get_run_config_entry, key) is not None


def test_a_run_config_entry_reaches_the_run(affine):
    errors = []
    for module, make in ((ortmmap, ortmmap_session), (onnxruntime, onnxruntime_session)):
        options = module.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "nonsense")
        errors.append(caught(make(affine).run, None, FEED, options))
    assert type(errors[0]).__name__ == type(errors[1]).__name__
    assert str(errors[0]) == str(errors[1])


def test_a_run_that_is_terminated_already_fails_at_once(affine):
    options = ortmmap.RunOptions()
    options.terminate = True
    session = ortmmap_session(affine)
    ours = caught(session.run, None, FEED, options)
    theirs_options = onnxruntime.RunOptions()
    theirs_options.terminate = True
    theirs = caught(onnxruntime_session(affine).run, None, FEED, theirs_options)
    assert type(ours).__name__ == type(theirs).__name__
    options.terminate = False
    assert session.run(None, FEED, options)[0].shape == (3, 4)


def test_run_options_of_onnxruntimes_own_class_raise_a_type_error_or_work(affine):
    result = caught(ortmmap_session(affine).run, None, FEED, onnxruntime.RunOptions())
    assert result is None or isinstance(result, TypeError)


@pytest.mark.parametrize("name", ["SessionOptions", "RunOptions"])
@pytest.mark.parametrize(("arguments", "named"), [((5,), {}), ((None,), {}), ((), {"logid": "x"})])
def test_options_are_made_of_nothing_as_onnxruntimes(name, arguments, named):
    for module in (ortmmap, onnxruntime):
        with pytest.raises(TypeError):
            getattr(module, name)(*arguments, **named)
