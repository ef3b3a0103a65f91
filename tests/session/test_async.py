"""Runs on ONNX Runtime's own threads."""

import asyncio
import gc
import threading
import time

import models
import numpy as np
import pytest
from support import assert_same, caught, onnxruntime_session, ortmmap_session, run_python

import ortmmap

X = np.linspace(-1, 1, 16, dtype="f4").reshape(2, 8)
BAD = np.ones((2, 7), "f4")
ENDLESS = {"rounds": np.array(10**9), "x": np.ones(4, "f4")}


@pytest.fixture(scope="module")
def both() -> tuple:
    settings = {"intra_op_num_threads": 2}
    model = models.affine()
    return ortmmap_session(model, **settings), onnxruntime_session(model, **settings)


def called_back(session: object, *arguments: object) -> tuple:
    """Run asynchronously, and return what the callback was called with."""
    done, calls = threading.Event(), []

    def callback(*args: object) -> None:
        calls.append(args)
        done.set()

    assert session.run_async(*arguments[:2], callback, *arguments[2:]) is None
    assert done.wait(30)
    return calls[0]


def close(session: ortmmap.Session) -> None:
    """Close a session as soon as its runs have ended."""
    for _ in range(3000):
        if caught(session.close) is None:
            return
        time.sleep(0.01)
    raise AssertionError("the runs do not end")


def test_a_callback_gets_what_onnxruntime_gives(both):
    for feed in ({"x": X}, {"x": BAD}):
        (ours, our_data, our_error), (theirs, their_data, their_error) = (
            called_back(session, None, feed, "data") for session in both
        )
        assert_same(ours, theirs)
        assert (our_data, our_error) == (their_data, their_error)


def test_bad_arguments_raise_at_once(both):
    ours, _ = both
    for feed, names in (
        ({}, None),
        ({"q": X}, None),
        ({"x": X.astype("f8")}, None),
        ({"x": X}, ["q"]),
    ):
        assert isinstance(caught(ours.run_async, names, feed, print, None), ValueError)
    assert isinstance(caught(ours.run_async, None, {"x": X}, None, None), TypeError)


def test_one_thread_is_too_few_and_says_so():
    for session in (ortmmap_session(models.affine()), onnxruntime_session(models.affine())):
        error = caught(session.run_async, None, {"x": X}, print, None)
        assert "intra op thread pool" in str(error)


def test_inputs_and_session_live_until_the_callback():
    session = ortmmap_session(models.endless(), intra_op_num_threads=2)
    done, calls = threading.Event(), []
    session.run_async(
        None,
        {"rounds": np.array(20000), "x": np.zeros(1000, "f4")},
        lambda *args: (calls.append(args), done.set()),
        None,
    )
    del session
    gc.collect()
    assert done.wait(60)
    results, _, error = calls[0]
    assert error == ""
    assert not results[0].any()


def test_a_session_is_closed_neither_during_a_run_nor_in_its_callback():
    session = ortmmap_session(models.endless(), intra_op_num_threads=2)
    options, done, errors = ortmmap.RunOptions(), threading.Event(), []

    def callback(*_: object) -> None:
        errors.append(caught(session.close))
        done.set()

    session.run_async(None, ENDLESS, callback, None, options)
    assert isinstance(caught(session.close), RuntimeError)
    options.terminate = True
    assert done.wait(30)
    assert isinstance(errors[0], RuntimeError)
    close(session)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_error_in_a_callback_harms_nothing(both):
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    both[0].run_async(None, {"x": X}, broken, None)
    assert called_back(both[0], None, {"x": X}, None)[2] == ""


def test_awaiting_gives_what_a_run_gives(both):
    async def main() -> list:
        return await both[0].run_awaitable(None, {"x": X})

    assert_same(asyncio.run(main()), both[0].run(None, {"x": X}))


def test_awaiting_raises_what_a_run_raises(both):
    async def main() -> list:
        return await both[0].run_awaitable(None, {"x": BAD})

    expected = caught(both[0].run, None, {"x": BAD})
    error = caught(lambda: asyncio.run(main()))
    assert (type(error), str(error)) == (type(expected), str(expected))


def test_many_runs_are_awaited_at_once_without_threads_of_their_own(both):
    async def main() -> tuple:
        runs = [both[0].run_awaitable(None, {"x": X * n}) for n in range(300)]
        threads = threading.active_count()
        return await asyncio.gather(*runs), threads

    before = threading.active_count()
    results, threads = asyncio.run(main())
    assert threads <= before + 2  # ONNX Runtime's own, while they call back
    for n in (0, 1, 299):
        assert_same(results[n], both[0].run(None, {"x": X * n}))


def test_several_loops_share_a_session(both):
    errors = []

    def work(n: int) -> None:
        async def main() -> None:
            for _ in range(50):
                assert_same(await both[0].run_awaitable(None, {"x": X * n}), expected[n])

        errors.append(caught(lambda: asyncio.run(main())))

    expected = [both[0].run(None, {"x": X * n}) for n in range(4)]
    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [None] * 4


def test_cancelling_a_task_ends_its_run():
    session = ortmmap_session(models.endless(), intra_op_num_threads=2)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.run_awaitable(None, ENDLESS), 0.1)

    asyncio.run(main())
    close(session)


def test_cancelling_does_not_touch_the_options_that_were_given():
    session = ortmmap_session(models.endless(), intra_op_num_threads=2)
    options = ortmmap.RunOptions()

    async def main() -> None:
        future = session.run_awaitable(None, ENDLESS, options)
        future.cancel()
        await asyncio.sleep(0)

    asyncio.run(main())
    close(session)
    assert options.terminate is False


def test_a_loop_that_is_closed_meanwhile_harms_nothing():
    session = ortmmap_session(models.endless(), intra_op_num_threads=2)

    async def main() -> None:
        session.run_awaitable(None, {"rounds": np.array(50000), "x": np.ones(4, "f4")})

    asyncio.run(main())
    close(session)


def test_awaiting_needs_a_running_loop(both):
    assert isinstance(caught(both[0].run_awaitable, None, {"x": X}), RuntimeError)


def test_a_process_ends_while_runs_are_under_way(write):
    code = """
import sys
import numpy as np, ortmmap
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 2
options.log_severity_level = 4
session = ortmmap.Session(sys.argv[1], options)
feed = {"rounds": np.array(10**9), "x": np.ones(4, "f4")}
session.run_async(None, feed, lambda *args: print("called back"), None)
"""
    assert "called back" in run_python(code, write(models.endless())).stdout
