"""Tensors of strings: the texts, and the tensor that an input keeps for the next run."""

import ctypes
import sys
from concurrent.futures import ThreadPoolExecutor

import models
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import assert_same, caught, onnxruntime_session, ortmmap_session

import ortmmap

# The first and the last characters of each length in UTF-8, and of each width in a str.
EDGES = "\0\x01\x7f\x80\xff\u0100\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"
NOT_UTF_8 = [
    b"\x80",
    b"\xc0\x80",
    b"\xc1\xbf",
    b"\xe0\x9f\xbf",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf0\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\xff",
    "é".encode()[:1],
    "日".encode()[:2],
    "\U0001f600".encode()[:3],
    b"\xc3a",
    b"\xe6\x97a",
]


@pytest.fixture(scope="module")
def echo() -> ortmmap.Session:
    return ortmmap_session(models.identity(object))


def echoed(session: ortmmap.Session, words: list) -> list:
    return session.run(None, {"x": np.array([*words], object)})[0].tolist()


@pytest.mark.parametrize("around", ["", "a", "é", "日", "\U0001f600", "a" * 20])
def test_every_edge_of_utf_8_comes_back(echo, around):
    words = [around + edge + around for edge in EDGES] + [EDGES, EDGES[::-1]]
    assert echoed(echo, words) == words
    assert echoed(echo, [word.encode() for word in words]) == words
    fixed = np.array(words)
    assert echo.run(None, {"x": fixed})[0].tolist() == fixed.tolist()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_text_is_kept_as_python_keeps_it(echo, word):
    """A str that is stored wider than its characters need compares equal to no other."""
    (output,) = echoed(echo, [word])
    assert output == word
    assert hash(output) == hash(word)
    assert sys.getsizeof(output) == sys.getsizeof("".join(word))


@settings(max_examples=500)
@given(st.binary() | st.builds(bytes.join, st.just(b""), st.lists(st.sampled_from(NOT_UTF_8))))
def test_bytes_are_decoded_as_by_python(echo, word):
    expected, ours = caught(word.decode), caught(echoed, echo, [word])
    if expected is None:
        assert echoed(echo, [word]) == [word.decode()]
    else:
        assert type(ours) is UnicodeDecodeError
        assert ours.args == expected.args


@pytest.mark.parametrize("word", NOT_UTF_8, ids=repr)
def test_bytes_that_are_no_utf_8_raise_what_python_raises(echo, word):
    for text in (word, b"a" + word, "é".encode() + word + b"a", "日".encode() * 9 + word):
        with pytest.raises(UnicodeDecodeError) as expected:
            text.decode()
        with pytest.raises(UnicodeDecodeError) as raised:
            echoed(echo, ["fine", text])
        assert raised.value.args == expected.value.args


@pytest.mark.parametrize("word", ["\ud800", "a\udfff", "日\ud800\udc00", "\U0001f600\udc00"])
@pytest.mark.parametrize("dtype", [object, None])
def test_a_lone_surrogate_raises_what_python_raises(echo, word, dtype):
    with pytest.raises(UnicodeEncodeError) as expected:
        word.encode()
    with pytest.raises(UnicodeEncodeError) as raised:
        echo.run(None, {"x": np.array(["fine", word], dtype)})
    assert raised.value.args == expected.value.args


def test_each_run_has_the_texts_that_it_was_fed(echo):
    """Longer, shorter, empty and equal texts follow each other in the same tensor."""
    for words in (["a"] * 3, ["b" * 500, "", "日" * 90], ["", "", ""], ["c", "d" * 40, "\0"] * 2):
        assert echoed(echo, words) == words


def test_what_a_run_gave_does_not_change_with_the_next():
    model = models.build(
        [models.node("Identity", "x", "y"), models.node("SequenceConstruct", "x x", "s")],
        [models.tensor("x", object)],
        [
            models.tensor("x", object),
            models.tensor("y", object),
            onnx.helper.make_tensor_sequence_value_info("s", onnx.TensorProto.STRING, None),
        ],
    )
    session, theirs = ortmmap_session(model), onnxruntime_session(model)
    feed = {"x": np.array(["first", "f" * 99], object)}
    results, expected = session.run(None, feed), theirs.run(None, feed)
    session.run(None, {"x": np.array(["second", "s" * 99], object)})
    assert_same(results, expected)


def test_threads_that_feed_at_once_have_a_tensor_each(echo):
    def feed(number: int) -> bool:
        words = [f"{number} {index}" * (1 + index % 9) for index in range(200)]
        return all(echoed(echo, words) == words for _ in range(50))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(feed, range(4)))


def test_a_text_that_runs_the_session_itself(echo):
    class Nested:
        def __str__(self) -> str:
            return echoed(echo, ["inner", "texts", "here"])[1]

    assert echoed(echo, ["outer", Nested(), "words"]) == ["outer", "texts", "words"]


def test_a_text_that_changes_the_array_that_is_fed(echo):
    class Changing:
        def __str__(self) -> str:
            array[:] = [1, 2, 3]
            return "changed"

    array = np.array(["a", Changing(), "c"], object)
    assert echo.run(None, {"x": array})[0].tolist() == ["a", "changed", "c"]


@pytest.mark.skipif(sys.platform != "linux", reason="mallinfo2 is glibc's")
def test_an_input_keeps_small_tensors_only():
    if not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("this C library has no mallinfo2")
    session = ortmmap_session(
        models.build(
            [models.node("Shape", "x", "n")],
            [models.tensor("x", object, ["n"])],
            [models.tensor("n", "int64")],
        )
    )
    words = np.array(["w" * 1000] * 50_000, object)
    session.run(None, {"x": words[:10]})
    before = allocated()
    session.run(None, {"x": words})
    assert allocated() - before < 2**20
    session.run(None, {"x": words[:10_000]})
    assert 10_000_000 < allocated() - before < 12_000_000
    session.run(None, {"x": words[:10]})
    assert allocated() - before < 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="mallinfo2 is glibc's")
def test_texts_that_grow_in_turn_do_not_add_up():
    """Each string keeps the memory of the longest text that it ever had."""
    if not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("this C library has no mallinfo2")
    session = ortmmap_session(models.identity(object, ["n"]))
    words = np.array([""] * 100, object)
    session.run(None, {"x": words})
    before = allocated()
    for index in range(100):
        words[:] = ""
        words[index] = "w" * 2**20
        session.run(None, {"x": words})
        assert allocated() - before < 100 * 2**20


def allocated() -> int:
    """Return the bytes allocated on the C library's heap."""

    class Info(ctypes.Structure):
        _fields_ = [
            (name, ctypes.c_size_t)
            for name in (
                "arena",
                "ordblks",
                "smblks",
                "hblks",
                "hblkhd",
                "usmblks",
                "fsmblks",
                "uordblks",
                "fordblks",
                "keepcost",
            )
        ]

    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Info
    info = mallinfo2()
    return info.uordblks + info.hblkhd
