"""The ways to call a session, each of which is counted here instead of timed."""

import asyncio
import threading
from types import SimpleNamespace

import pytest
from support import onnxruntime_session, ortmmap_session

from benchmarks import calls
from benchmarks.inputs import feeds
from benchmarks.models import declared_inputs


def test_a_steady_call_is_called_in_blocks():
    called = []
    assert calls.steady(lambda: called.append(1), 0) > 0
    assert len(called) >= calls._LEAST_BLOCKS


def test_all_threads_call_at_once():
    inside, seen = threading.Barrier(4, timeout=30), set()

    def call():
        if threading.get_ident() not in seen:
            inside.wait()  # passes only if four threads are in a call
            seen.add(threading.get_ident())

    assert calls.throughput(call, 4, 0) > 0
    assert len(seen) == 4


@pytest.mark.parametrize("session", [onnxruntime_session, ortmmap_session])
def test_every_way_to_call_a_session(session, onnx_file):
    opened = session(onnx_file, intra_op_num_threads=2)
    given = feeds(declared_inputs(onnx_file), {})
    assert calls.bound(opened, given, 0) > 0
    assert calls.awaited(opened, given, 0) > 0


def test_a_session_without_binding_and_awaitable_runs_in_threads():
    threads = set()

    def run(_names, _feeds):
        threads.add(threading.get_ident())
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()

    session = SimpleNamespace(run=run)
    assert calls.bound(session, {}, 0) is None
    assert calls.awaited(session, {}, 0) > 0
    assert threading.get_ident() not in threads
