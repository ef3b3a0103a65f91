"""The library's log: lines on standard error as onnxruntime's, or a function's arguments."""

import re

import models
import numpy as np
import onnxruntime
import pytest
from support import ask_python, caught, run_python

import ortmmap

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9}"

# A warning while the session is created, and an error while it runs.
NOISY = """
import sys, models, numpy as np, {module} as ort
model = models.build(
    [models.node("Reshape", "x s", "y")],
    [models.tensor("x", shape=["a"])],
    [models.tensor("y", shape=None)],
    [models.constant("s", np.array([7], "i8")), models.constant("unused", np.ones(3, "f4"))],
)
def run():
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    try:
        session.run(None, {{"x": np.ones(2, "f4")}})
    except Exception:
        pass
"""


@pytest.fixture(autouse=True)
def reset():
    yield
    ortmmap.set_default_logger_callback(None)
    ortmmap.set_default_logger_severity(2)


def lines_of(module: str) -> list[str]:
    text = run_python(NOISY.format(module=module) + "run()").stderr
    return re.sub(TIME, "TIME", text).splitlines()


def test_lines_on_standard_error_are_as_onnxruntimes():
    ours, theirs = lines_of("ortmmap"), lines_of("onnxruntime")
    assert ours == theirs
    assert [line.split("[m")[0][:14] for line in theirs if "TIME" in line] == [
        "\033[0;93mTIME [W",
        "\033[1;31mTIME [E",
    ]


def open_and_run() -> None:
    ortmmap.Session(models.affine()).run(None, {"x": np.ones((2, 8), "f4")})


def test_messages_are_passed_with_their_severity_and_origin():
    records: list[tuple] = []
    ortmmap.set_default_logger_callback(lambda *record: records.append(record), severity=1)
    open_and_run()
    assert {record[0] for record in records} == {1}
    assert {type(item) for record in records for item in record[1:]} == {str}
    assert any(re.match(r"\w+\.cc:\d+ \w+", record[3]) for record in records)


def test_a_session_from_before_is_heard_and_none_restores_standard_error(capfd):
    session = ortmmap.Session(
        models.build(
            [models.node("Reshape", "x s", "y")],
            [models.tensor("x", shape=["a"])],
            [models.tensor("y", shape=None)],
            [models.constant("s", np.array([7], "i8"))],
        )
    )
    records: list[tuple] = []
    ortmmap.set_default_logger_callback(lambda *record: records.append(record))
    assert caught(session.run, None, {"x": np.ones(2, "f4")})
    assert [record[0] for record in records] == [3]
    records.clear()
    ortmmap.set_default_logger_callback(None)
    capfd.readouterr()
    assert caught(session.run, None, {"x": np.ones(2, "f4")})
    assert not records
    assert re.search(TIME + r" \[E:onnxruntime:", capfd.readouterr().err)


def test_an_exception_is_reported_and_the_message_written(capfd, monkeypatch):
    reported: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: reported.append(args.exc_value))

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    ortmmap.set_default_logger_callback(fail, severity=1)
    open_and_run()
    assert reported
    assert {type(error) for error in reported} == {ZeroDivisionError}
    assert "[I:onnxruntime:" in capfd.readouterr().err


def test_a_callback_may_use_sessions_and_replace_itself():
    calls: list[str] = []

    def again(*_: object) -> None:
        calls.append("again")
        ortmmap.set_default_logger_callback(lambda *_: calls.append("other"), severity=1)
        open_and_run()

    ortmmap.set_default_logger_callback(again, severity=1)
    open_and_run()
    assert calls[0] == "again"
    assert set(calls[1:]) == {"other"}


@pytest.mark.parametrize("severity", [-1, 5, 2**70])
def test_severity_is_bounded(severity):
    assert type(caught(ortmmap.set_default_logger_callback, None, severity)) is RuntimeError


@pytest.mark.skipif(
    not hasattr(onnxruntime, "set_default_logger_callback"), reason="onnxruntime has it since 1.28"
)
@pytest.mark.parametrize("arguments", [("text",), (3,), (print, 9), (print, "a"), (print, 2.5)])
def test_what_cannot_be_set_raises_as_onnxruntime(arguments):
    theirs = caught(onnxruntime.set_default_logger_callback, *arguments)
    assert type(caught(ortmmap.set_default_logger_callback, *arguments)) is type(theirs)


def test_the_child_of_a_fork_logs_to_the_callback():
    code = """
import json, os, models, ortmmap
records = []
ortmmap.set_default_logger_callback(lambda *record: records.append(record), severity=1)
session = ortmmap.Session(models.affine())
count = len(records)
pid = os.fork()
if pid == 0:
    ortmmap.Session(models.affine())
    os._exit(7 if len(records) > count else 1)
print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
"""
    assert ask_python(code) == 7


def test_forks_do_not_wait_for_a_thread_that_waits_to_call():
    """The thread that forks has the interpreter's lock, and waits for creations."""
    code = """
import os, threading, time, models, ortmmap
model, ended = models.affine(), threading.Event()
ortmmap.set_default_logger_callback(lambda *record: None, 0)
def hammer():
    while not ended.is_set():
        ortmmap.Session(model)
threads = [threading.Thread(target=hammer) for _ in range(2)]
for thread in threads:
    thread.start()
longest = 0
for number in range(20):
    before = time.monotonic()
    child = os.fork()
    if child == 0:
        os._exit(0)
    longest = max(longest, time.monotonic() - before)
    assert os.waitpid(child, 0)[1] == 0
    time.sleep(number / 10_000)
ended.set()
for thread in threads:
    thread.join()
assert longest < 10, longest
"""
    run_python(code, timeout=100)


def test_the_interpreter_ends_while_threads_log():
    code = """
import threading, models, numpy as np, ortmmap
ortmmap.set_default_logger_callback(lambda *_: None, severity=0)
session = ortmmap.Session(models.affine())
options = ortmmap.RunOptions()
options.log_severity_level = 0
def work():
    while True:
        session.run(None, {"x": np.ones((2, 8), "f4")}, options)
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
"""
    for _ in range(3):
        run_python(code, timeout=60)
