"""Every method, called with every kind of bad argument: ortmmap and onnxruntime agree.

If onnxruntime raises, so does ortmmap, and the name of onnxruntime's exception is among the names
of the classes of ortmmap's exception. If onnxruntime returns, ortmmap returns the same.
`parity_calls` makes the calls. `DIFFERENCES` lists the exceptions to this rule with their reasons.
"""

import json
import os
import re
import subprocess
import sys

import parity_calls
import pytest
from support import REPOSITORY

Outcome = dict[str, object]

# Each difference: patterns of the call, ``method(argument=kind)``, of onnxruntime's outcome and of
# ortmmap's (``returns``, or the class of the exception), and the reason.
DIFFERENCES = [
    (
        r"(run|bind_ortvalue_|sparse_|ort_value_from_)\w*(, an OrtValue)?\(.*",
        "AttributeError",
        "TypeError",
        "onnxruntime looks up an attribute that objects of another kind do not have",
    ),
    (
        r"(add|bind|get|ortvalue|register|run|OrtValueVector.to_dlpacks)\w*(, input)?\(.*",
        "RuntimeError|RuntimeException|Fail|InvalidArgument",
        "TypeError",
        "an object that is no name, no type or no value is a TypeError",
    ),
    (
        r"(run, input|bind_cpu_input|ortvalue_from_numpy)\(\w+=nested list\)",
        "RuntimeError",
        "ValueError",
        "numpy's own error says what is wrong with the list",
    ),
    (
        r".*\(path\w*=null str\)",
        "Fail|NoSuchFile",
        "ValueError",
        "onnxruntime cuts a path at a null character",
    ),
    (
        r"(InferenceSession|set_providers)\(providers=.*",
        "RuntimeError|TypeError|ValueError",
        "ValueError|returns",
        "a wrong form is a ValueError, an unknown name a warning; onnxruntime 1.32 iterates first",
    ),
    (
        r"(bind|ortvalue|run|sparse|get_session|RunOptions|SessionOptions).*",
        "TypeError",
        "InvalidArgument|OrtError|OverflowError|ValueError",
        "pybind11 calls a value out of range, or a list of another kind, a TypeError",
    ),
    (
        r"InferenceSession\(path_or_bytes=.*",
        "TypeError",
        "InvalidProtobuf|NoSuchFile|ValueError",
        "any buffer may be a model, and an empty path is one that is not there",
    ),
    (
        r"(bind_(in|out)put\((buffer_ptr|device_\w+)|(Run|Session)Options\.|add_free_dim).*",
        "TypeError",
        "returns",
        "whether a number suits is known when the session is created; a device's is not looked at",
    ),
    (
        r"(bind_cpu_input|ortvalue_from_numpy)\(.*",
        "RuntimeError",
        "returns",
        "a value may be made of anything that numpy makes an array of, and of strings",
    ),
    (
        r"(InferenceSession\(sess_options|bind_\w+\(device_type|run_with_ort_values\(input).*",
        "ValueError",
        "TypeError",
        "onnxruntime asks an array whether it is true, and looks at names before values",
    ),
    (
        r"InferenceSession\(sess_options=empty \w+\)",
        "returns",
        "TypeError",
        "onnxruntime takes any false object for no options",
    ),
    (
        r".*=bytes\)",
        "returns",
        "TypeError",
        "names and texts are str; pybind11 takes bytes for one",
    ),
    (
        r"(RunOptions\.terminate\(value|SessionOptions\..*)=(None|5|-1|2\*\*70|2.5|text array)\)",
        "returns",
        "TypeError",
        "flags are True or False; pybind11 takes the truth of any object",
    ),
    (
        r"bind_(cpu_in|in|out|ortvalue_out)put\((arr_on_cpu|name|element_type|buffer_ptr)=.*",
        "returns|RuntimeError",
        "InvalidArgument|OverflowError",
        "an unknown name or a wrong type is reported when it is bound; by onnxruntime when it runs",
    ),
    (
        r"run_async\(output_names=.*",
        "returns",
        "InvalidArgument",
        "a wrong argument raises at once; onnxruntime reports an unknown output to the callback",
    ),
    (
        r"run_with_ortvaluevector(, list of \w+)?\(.*",
        "TypeError",
        "returns",
        "any list of values is taken, and a device need not be named",
    ),
    (
        r"OrtValueVector\.(__getitem__|\w+_at|reserve)\(\w+=(-1|2\*\*70)\)",
        "TypeError",
        "IndexError|ValueError|returns",
        "it is a list: an index may count from the end, and may have any size",
    ),
    (
        r"(bind_input|ortvalue_from_shape_and_type)\(shape=wrong rank\)",
        "returns",
        "TypeError",
        "a shape is of integers; pybind11 cuts numpy's float32 to some, and refuses other floats",
    ),
    (
        r"sparse_(coo|csr)_from_numpy(, .*)?\(.*",
        "returns",
        "InvalidArgument",
        "shapes and indices are checked; onnxruntime's kernels would read outside the tensor",
    ),
    (
        r"sparse_(coo|csr)_from_numpy(, (indices|values) .*)?\(.*",
        "RuntimeError|TypeError|returns",
        "returns",
        "arrays are made contiguous and of native byte order, and bool and float16 may be sparse",
    ),
    (
        r"sparse_(coo|csr)_from_numpy\(ort_device=.*",
        "AttributeError",
        "ValueError|returns",
        "a device may be named, or left out",
    ),
    (
        r"RunOptions.logid\(value=null str\)",
        "returns",
        "returns",
        "the C API ends a text at a null character",
    ),
]


def outcomes(module: str) -> dict[str, Outcome]:
    """Return the outcome of every call, in as many processes as the calls end."""
    found: dict[str, Outcome] = {}
    count = sum(1 for _ in parity_calls.calls())
    while len(found) < count:
        done = subprocess.run(
            [sys.executable, parity_calls.__file__, module, str(len(found))],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            check=False,
        )
        before = len(found)
        for line in map(json.loads, done.stdout.splitlines()):
            name = line.pop("name")
            found[name] = line or {"aborts": done.returncode}
        assert len(found) > before, done.stderr
    return found


@pytest.fixture(scope="module")
def ours() -> dict[str, Outcome]:
    return outcomes("ortmmap")


@pytest.fixture(scope="module")
def theirs() -> dict[str, Outcome]:
    return outcomes("onnxruntime")


def is_same(ours: Outcome, theirs: Outcome) -> bool:
    if "aborts" in theirs:  # ortmmap must survive the call, however it ends
        return "aborts" not in ours
    if "raises" in theirs:
        return theirs["raises"][0] in ours.get("raises", ())
    return ours == theirs


def text_of(outcome: Outcome) -> str:
    if "raises" in outcome:
        return f"{outcome['raises'][0]}: {outcome['text'][:100]}"
    return str(outcome)[:100]


def test_no_call_ends_the_process(ours):
    assert [name for name, outcome in ours.items() if "aborts" in outcome] == []


def kind_of(outcome: Outcome) -> str:
    return outcome["raises"][0] if "raises" in outcome else next(iter(outcome))


def explanation(name: str, ours: Outcome, theirs: Outcome) -> str | None:
    for call, their_end, our_end, reason in DIFFERENCES:
        ends = (call, name), (their_end, kind_of(theirs)), (our_end, kind_of(ours))
        if all(re.fullmatch(pattern, text) for pattern, text in ends):
            return reason
    return None


def test_calls_end_as_with_onnxruntime(ours, theirs):
    unexplained = [
        f"{name}: {text_of(ours[name])}  where onnxruntime: {text_of(theirs[name])}"
        for name in theirs
        if not is_same(ours[name], theirs[name])
        and explanation(name, ours[name], theirs[name]) is None
    ]
    assert not unexplained, "\n".join(unexplained)


def test_every_explained_difference_is_still_there(ours, theirs):
    met = {
        explanation(name, ours[name], theirs[name])
        for name in theirs
        if not is_same(ours[name], theirs[name])
    }
    assert [reason for *_, reason in DIFFERENCES if reason not in met] == []
