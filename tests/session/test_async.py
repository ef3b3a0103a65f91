"""Runs on ONNX Runtime's own threads."""

import asyncio
import gc
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import models
import numpy as np
import pytest
from support import (
    assert_same,
    caught,
    descriptors,
    onnxruntime_session,
    ortmmap_session,
    run_python,
)

import ortmmap
from ortmmap.session.filing import wait_for_all

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
    ours = caught(ortmmap_session(models.affine()).run_async, None, {"x": X}, print, None)
    assert isinstance(ours, ortmmap.InvalidArgument)
    assert str(ours).startswith(str(error))
    assert str(ours).endswith("; use run_awaitable, or set intra_op_num_threads = 2")


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
        runs = [asyncio.create_task(both[0].run_awaitable(None, {"x": X * n})) for n in range(300)]
        await asyncio.sleep(0)
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
        task = asyncio.create_task(session.run_awaitable(None, ENDLESS, options))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.sleep(0)

    asyncio.run(main())
    close(session)
    assert options.terminate is False


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("takes_results_first", [False, True])
def test_a_loop_that_is_closed_meanwhile_harms_nothing(takes_results_first):
    session = ortmmap_session(models.endless(), intra_op_num_threads=1)
    x = np.ones(4, "f4")
    held = weakref.ref(x)
    loop = asyncio.new_event_loop()
    rounds = np.array(1 if takes_results_first else 50000)
    task = loop.create_task(session.run_awaitable(None, {"rounds": rounds, "x": x}))
    loop.run_until_complete(asyncio.sleep(0))
    if takes_results_first:
        close(session)  # the run has ended, and the loop has not taken its result
    loop.close()
    task._log_destroy_pending = False
    del x, task, loop
    close(session)
    assert_soon(lambda: gc.collect() >= 0 and held() is None)


def assert_soon(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it does not come to be")


def test_awaiting_needs_a_running_loop(both):
    run = both[0].run_awaitable(None, {"x": X})
    assert isinstance(caught(run.send, None), RuntimeError)


@pytest.fixture
def endless() -> Iterator[ortmmap.Session]:
    session = ortmmap_session(models.endless(), intra_op_num_threads=1)
    yield session
    close(session)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_session_of_any_number_of_threads_is_awaited(threads):
    session = ortmmap_session(models.affine(), intra_op_num_threads=threads)
    results = asyncio.run(session.run_awaitable(None, {"x": X}))
    assert_same(results, session.run(None, {"x": X}))


def test_the_awaitable_is_a_coroutine(both):
    session = both[0]
    expected = session.run(None, {"x": X})

    async def main() -> None:
        task = asyncio.create_task(session.run_awaitable(None, {"x": X}))
        assert_same(await task, expected)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(session.run_awaitable(None, {"x": X})) for _ in range(5)]
        for each in tasks:
            assert_same(each.result(), expected)
        async with asyncio.timeout(30):
            assert_same(await session.run_awaitable(None, {"x": X}), expected)

    asyncio.run(main())
    run = session.run_awaitable(None, {"x": X})
    assert asyncio.iscoroutine(run)
    assert_same(asyncio.run(asyncio.wait_for(run, 30)), expected)


def test_bad_arguments_raise_where_the_coroutine_is_awaited(both):
    async def main() -> list:
        good, bad = both[0].run_awaitable(None, {"x": X}), both[0].run_awaitable(["q"], {"x": X})
        return await asyncio.gather(good, bad, return_exceptions=True)

    good, bad = asyncio.run(main())
    assert_same(good, both[0].run(None, {"x": X}))
    assert isinstance(bad, ortmmap.errors.InvalidArgument)


def test_one_error_in_a_task_group_ends_the_other_runs(endless):
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(endless.run_awaitable(None, ENDLESS))
            await asyncio.sleep(0.05)
            group.create_task(endless.run_awaitable(None, {}))

    with pytest.raises(ExceptionGroup) as info:
        asyncio.run(main())
    assert [type(each) for each in info.value.exceptions] == [ortmmap.errors.InvalidArgument]


def test_a_timeout_ends_the_run(endless):
    async def main() -> None:
        async with asyncio.timeout(0.1):
            await endless.run_awaitable(None, ENDLESS)

    assert isinstance(caught(lambda: asyncio.run(main())), TimeoutError)
    assert_soon(lambda: caught(endless.close) is None)


def test_runs_and_cancelled_ones_alternate(endless):
    short = {"rounds": np.array(3), "x": np.ones(4, "f4")}
    expected = endless.run(None, short)

    async def main() -> None:
        for _ in range(50):
            task = asyncio.create_task(endless.run_awaitable(None, ENDLESS))
            await asyncio.sleep(0.001)
            task.cancel()
            runs = [endless.run_awaitable(None, short) for _ in range(8)]
            for results in await asyncio.gather(*runs):
                assert_same(results, expected)

    asyncio.run(main())


def test_more_runs_than_processors_wait_and_a_cancelled_one_does_not_start(endless):
    async def main() -> None:
        count = (os.cpu_count() or 1) + 3
        tasks = [asyncio.create_task(endless.run_awaitable(None, ENDLESS)) for _ in range(count)]
        held = np.ones(4, "f4")
        alive = weakref.ref(held)
        waiting = endless.run_awaitable(None, {"rounds": np.array(0), "x": held})
        del held
        last = asyncio.create_task(waiting)
        await asyncio.sleep(0.1)
        assert not last.done()
        last.cancel()
        await asyncio.wait([last])
        del last, waiting
        gc.collect()
        assert alive() is None
        for task in tasks[:-1]:
            task.cancel()
        await asyncio.wait(tasks[:-1])
        tasks[-1].cancel()

    asyncio.run(main())


def test_a_session_is_not_closed_while_a_run_is_awaited(endless):
    async def main() -> None:
        task = asyncio.create_task(endless.run_awaitable(None, ENDLESS))
        await asyncio.sleep(0.05)
        assert isinstance(caught(endless.close), RuntimeError)
        task.cancel()

    asyncio.run(main())


def test_a_session_that_is_closed_before_the_coroutine_runs_raises():
    session = ortmmap_session(models.affine())
    run = session.run_awaitable(None, {"x": X})
    session.close()
    assert isinstance(caught(lambda: asyncio.run(run)), ValueError)


def test_a_coroutine_that_is_closed_ends_its_run(endless):
    async def main() -> None:
        run = endless.run_awaitable(None, ENDLESS)
        run.send(None)
        await asyncio.sleep(0.05)
        run.close()
        assert_soon(lambda: caught(endless.close) is None)

    asyncio.run(main())


def test_a_loop_that_watches_no_descriptors_awaits_too(both):
    class Loop(asyncio.SelectorEventLoop):
        def add_reader(self, *_: object) -> None:
            raise NotImplementedError

    async def main() -> list:
        runs = [both[0].run_awaitable(None, {"x": feed}) for feed in (X, BAD)]
        return await asyncio.gather(*runs, return_exceptions=True)

    with asyncio.Runner(loop_factory=Loop) as runner:
        good, bad = runner.run(main())
    assert_same(good, both[0].run(None, {"x": X}))
    assert isinstance(bad, ortmmap.errors.InvalidArgument)


def test_loops_leave_no_descriptors(both):
    async def main() -> None:
        await asyncio.gather(*[both[0].run_awaitable(None, {"x": X}) for _ in range(10)])

    assert wait_for_all(60)  # an earlier test's session may be filed
    asyncio.run(main())
    gc.collect()
    before = sorted(descriptors())
    for _ in range(20):
        asyncio.run(main())
    gc.collect()
    assert sorted(descriptors()) == before


def test_inputs_and_results_are_released(both):
    async def main() -> tuple:
        x = X.copy()
        (y,) = await both[0].run_awaitable(["y"], {"x": x})
        return weakref.ref(x), weakref.ref(y)

    refs = asyncio.run(main())
    gc.collect()
    assert [ref() for ref in refs] == [None, None]


FORKED = """
import asyncio, os, sys
import numpy as np, ortmmap
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 1
options.log_severity_level = 4
session = ortmmap.Session(sys.argv[1], options)
short = {"rounds": np.array(3), "x": np.ones(4, "f4")}
endless = {"rounds": np.array(10**9), "x": np.ones(4, "f4")}

async def child():
    return await asyncio.gather(*[session.run_awaitable(None, short) for _ in range(8)])

async def main():
    task = asyncio.create_task(session.run_awaitable(None, endless))
    await asyncio.sleep(0.05)
    return task, os.fork()

loop = asyncio.new_event_loop()
task, pid = loop.run_until_complete(main())
if pid == 0:
    try:
        assert len(asyncio.run(child())) == 8
    finally:
        os._exit(int(sys.exc_info()[0] is not None))
print(os.waitpid(pid, 0)[1])
task.cancel()
loop.run_until_complete(asyncio.wait([task]))
print(len(loop.run_until_complete(child())))
loop.close()
"""


def test_a_forked_child_awaits_runs_of_its_own(write):
    assert run_python(FORKED, write(models.endless())).stdout.split() == ["0", "8"]


ENDING = """
import asyncio, sys, threading
import numpy as np, ortmmap
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 1
options.log_severity_level = 4
session = ortmmap.Session(sys.argv[1], options)
feed = {"rounds": np.array(10**9), "x": np.ones(4, "f4")}
loop = asyncio.new_event_loop()
tasks = [loop.create_task(session.run_awaitable(None, feed)) for _ in range(20)]
loop.run_until_complete(asyncio.sleep(0.05))
for task in tasks:
    task._log_destroy_pending = False
print("ends")
"""


def test_a_process_ends_while_runs_are_awaited(write):
    assert "ends" in run_python(ENDING, write(models.endless())).stdout


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
