"""Execution providers: the requested ones, checked against those of the library in use."""

import warnings

import models
import numpy as np
import onnxruntime
import pytest
from support import caught, class_names

import ortmmap

CPU = "CPUExecutionProvider"
FEED = {"x": np.ones((2, 8), "f4")}


def both(affine: bytes, *args: object) -> list:
    """Return of each module the session or the exception, and the texts of the warnings.

    Without `enable_fallback=0` onnxruntime prints an error and continues without providers.
    """
    results = []
    for module in (ortmmap, onnxruntime):
        with warnings.catch_warnings(record=True) as caught_:
            warnings.simplefilter("always")
            try:
                result = module.InferenceSession(affine, None, *args, enable_fallback=0)
            except Exception as error:
                result = error
        results.append((result, [str(warning.message) for warning in caught_]))
    return results


@pytest.mark.parametrize(
    ("providers", "options"),
    [
        (None, None),
        ([], None),
        ([CPU], None),
        ((CPU,), None),
        ([(CPU, {})], None),
        ([CPU], [{}]),
        ([CPU], [{"arena_extend_strategy": "kSameAsRequested"}]),
        ([(CPU, {"key": 1})], None),
    ],
    ids=str,
)
def test_providers_are_chosen_as_by_onnxruntime(affine, providers, options):
    (ours, our_warnings), (theirs, their_warnings) = both(affine, providers, options)
    assert ours.get_providers() == theirs.get_providers() == [CPU]
    assert list(ours.get_provider_options()) == list(theirs.get_provider_options())
    assert len(our_warnings) == len(their_warnings) == 0
    np.testing.assert_array_equal(ours.run(None, FEED)[0], theirs.run(None, FEED)[0])


def test_a_provider_named_twice_is_used_once_and_told(affine):
    (ours, our_warnings), (theirs, their_warnings) = both(affine, [CPU, CPU])
    assert ours.get_providers() == theirs.get_providers() == [CPU]
    assert our_warnings == their_warnings
    assert "Duplicate" in our_warnings[0]


def test_a_provider_that_is_not_available_is_told_and_left_out(affine):
    """onnxruntime too warns and uses the CPU."""
    (ours, our_warnings), (theirs, their_warnings) = both(
        affine, ["TensorrtExecutionProvider", CPU]
    )
    assert ours.get_providers() == theirs.get_providers() == [CPU]
    for text in (our_warnings[0], their_warnings[0]):
        assert "Specified provider 'TensorrtExecutionProvider' is not in available" in text
        assert CPU in text
    assert len(our_warnings) == 1


def test_the_warning_points_at_the_caller(affine):
    with pytest.warns(UserWarning, match="NothingExecutionProvider") as caught_:
        ortmmap.Session(affine, providers=["NothingExecutionProvider"])
    assert caught_[0].filename == __file__


@pytest.mark.parametrize(
    ("providers", "options"),
    [
        ({CPU}, None),
        ([3], None),
        ([None], None),
        ([(CPU,)], None),
        ([(CPU, [])], None),
        ([[CPU, {}]], None),
        ([(CPU, {}, {})], None),
        ([CPU], {}),
        ([CPU], 3),
        ([CPU], []),
        ([CPU], [{}, {}]),
        ([CPU], [None]),
        ([(CPU, {})], [{}]),
    ],
    ids=str,
)
def test_bad_arguments_raise_what_onnxruntime_raises(affine, providers, options):
    (ours, _), (theirs, _) = both(affine, providers, options)
    assert isinstance(theirs, Exception)
    assert type(theirs).__name__ in class_names(ours)
    assert str(ours)


@pytest.mark.parametrize("providers", [3, 1.5, object(), True])
@pytest.mark.parametrize("fallback", [0, 1])
def test_providers_that_are_no_sequence_raise(affine, providers, fallback):
    """As in onnxruntime 1.32; 1.23 raises a ValueError or falls back to the CPU."""
    with pytest.raises(TypeError):
        ortmmap.InferenceSession(affine, None, providers, enable_fallback=fallback)
    theirs = caught(onnxruntime.InferenceSession, affine, None, providers, enable_fallback=fallback)
    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= (1, 32):
        assert type(theirs) is TypeError
    else:
        assert theirs is None if fallback else type(theirs) is ValueError


MALFORMED = [
    (CPU, None),
    ({CPU}, None),
    ({CPU: {}}, None),
    ([3], None),
    ([(CPU,)], None),
    ([[CPU, {}]], None),
    (b"nothing", None),
    ([CPU], 3),
    ([CPU], []),
    ([CPU], [None]),
]


@pytest.mark.parametrize(("providers", "options"), MALFORMED, ids=str)
def test_malformed_providers_leave_the_cpus(affine, providers, options, capfd):
    """A service keeps running: ortmmap warns, onnxruntime prints an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one warning for each letter of a name
        theirs = onnxruntime.InferenceSession(affine, None, providers, options)
    assert "EP Error" in capfd.readouterr().out
    with pytest.warns(UserWarning, match="The session is created on the CPU") as caught_:
        ours = ortmmap.Session(affine, None, providers, options)
    assert caught_[0].filename == __file__
    assert ours.get_providers() == theirs.get_providers() == [CPU]
    np.testing.assert_array_equal(ours.run(None, FEED)[0], theirs.run(None, FEED)[0])


@pytest.mark.parametrize(("providers", "options"), MALFORMED, ids=str)
def test_without_fallback_malformed_providers_raise(affine, providers, options):
    with pytest.raises(ValueError, match="provider"):
        ortmmap.Session(affine, None, providers, options, enable_fallback=0)


def test_an_available_provider_is_used_or_raises_what_onnxruntime_says(affine):
    for name in ortmmap.get_available_providers():
        (ours, _), (theirs, _) = both(affine, [name])
        if isinstance(theirs, Exception):
            assert isinstance(ours, Exception)
        elif isinstance(ours, Exception):
            raise ours
        else:
            assert ours.get_providers() == theirs.get_providers()


def test_a_failure_to_create_a_session_is_not_tried_again_on_another_provider(capfd):
    """onnxruntime prints the error and retries; ortmmap raises it at once."""
    model = models.build(
        [models.node("Nonsense", "x", "y")], [models.tensor("x")], [models.tensor("y")]
    )
    options = ortmmap.SessionOptions()
    options.log_severity_level = 4
    assert caught(ortmmap.Session, model, options, [CPU]) is not None
    assert capfd.readouterr().out == ""


def test_the_available_providers_are_a_new_list():
    names = ortmmap.get_available_providers()
    assert CPU in names
    names.clear()
    assert CPU in ortmmap.get_available_providers()
