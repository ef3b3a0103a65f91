"""Options objects of onnxruntime's, given to ortmmap's sessions and runs."""

import models
import numpy as np
import onnxruntime
import pytest

import ortmmap
from ortmmap.abi.config_keys import RUN_CONFIG_KEYS, SESSION_CONFIG_KEYS
from ortmmap.session import foreign_options

MODEL = models.affine()
X = np.ones((2, 8), "f4")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enable_cpu_mem_arena", False),
        ("enable_mem_pattern", False),
        ("enable_profiling", True),
        ("execution_mode", onnxruntime.ExecutionMode.ORT_PARALLEL),
        ("graph_optimization_level", onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC),
        ("inter_op_num_threads", 2),
        ("intra_op_num_threads", 3),
        ("log_severity_level", 3),
        ("log_verbosity_level", 4),
        ("logid", "größe"),
        ("optimized_model_filepath", "saved.onnx"),
        ("profile_file_prefix", "profile"),
        ("use_deterministic_compute", True),
        ("use_per_session_threads", False),
    ],
)
def test_every_attribute_is_read(name, value):
    theirs = onnxruntime.SessionOptions()
    setattr(theirs, name, value)
    ours = foreign_options.session_options_from(theirs)
    assert getattr(ours, name) == getattr(value, "value", value)
    others = set(foreign_options.SESSION_ATTRIBUTES) - {name}
    default = ortmmap.SessionOptions()
    assert {n: getattr(ours, n) for n in others} == {n: getattr(default, n) for n in others}


def test_every_attribute_of_onnxruntime_is_listed():
    for cls, listed in (
        (onnxruntime.SessionOptions, foreign_options.SESSION_ATTRIBUTES),
        (onnxruntime.RunOptions, foreign_options.RUN_ATTRIBUTES),
    ):
        properties = {name for name, value in vars(cls).items() if isinstance(value, property)}
        assert properties == set(listed)


def test_every_known_entry_is_read():
    theirs, run = onnxruntime.SessionOptions(), onnxruntime.RunOptions()
    for number, key in enumerate(SESSION_CONFIG_KEYS):
        theirs.add_session_config_entry(key, str(number))
    for key in RUN_CONFIG_KEYS:
        run.add_run_config_entry(key, "1")
    ours = foreign_options.session_options_from(theirs)
    assert [ours.get_session_config_entry(key) for key in SESSION_CONFIG_KEYS] == [
        str(number) for number in range(len(SESSION_CONFIG_KEYS))
    ]
    ours_run = foreign_options.run_options_from(run)
    assert {ours_run.get_run_config_entry(key) for key in RUN_CONFIG_KEYS} == {"1"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enable_mem_reuse", False),
        ("execution_order", onnxruntime.ExecutionOrder.PRIORITY_BASED),
    ],
)
def test_a_setting_missing_from_the_c_api_warns(name, value):
    theirs = onnxruntime.SessionOptions()
    setattr(theirs, name, value)
    with pytest.warns(UserWarning, match=name):
        foreign_options.session_options_from(theirs)


def test_providers_added_before_the_patch_warn():
    theirs = onnxruntime.SessionOptions()
    theirs.add_provider("AzureExecutionProvider", {})
    with pytest.warns(UserWarning, match="providers"):
        foreign_options.session_options_from(theirs)


def test_a_session_runs_with_options_of_onnxruntimes():
    theirs, run = onnxruntime.SessionOptions(), onnxruntime.RunOptions()
    theirs.logid, run.logid = "theirs", "run"
    session = ortmmap.Session(MODEL, theirs)
    assert session.get_session_options().logid == "theirs"
    assert session.run(None, {"x": X}, run)[0].shape == (2, 4)


def test_run_options_are_read_at_each_run():
    theirs = onnxruntime.RunOptions()
    theirs.logid = "first"
    ours = foreign_options.run_options_from(theirs)
    theirs.logid, theirs.log_severity_level = "second", 3
    assert foreign_options.run_options_from(theirs) is ours
    assert (ours.logid, ours.log_severity_level) == ("second", 3)


@pytest.mark.parametrize("value", [5, "text", {}, object(), onnxruntime.NodeArg])
def test_other_objects_are_refused(value):
    with pytest.raises(TypeError):
        foreign_options.session_options_from(value)
    with pytest.raises(TypeError):
        foreign_options.run_options_from(value)
