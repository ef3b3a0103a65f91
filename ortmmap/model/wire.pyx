"""The fields of a protobuf message, as Python objects. The tokens themselves are in wire.pxd."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t

from collections import namedtuple

from ortmmap.errors import from_status

cdef enum:
    INVALID_PROTOBUF = 7   # ONNX Runtime's code

Field = namedtuple("Field", "number wire value start stop")
Field.__doc__ = """A field of a message.

Attributes
----------
number, wire : int
    Its number and wire type.
value : int
    The value of a varint, without a sign; 0 for the other wire types.
start, stop : int
    Offsets in bytes, from the buffer's beginning, of what follows the tag and the length.
"""


def fields(data, size_t start=0, stop=None) -> list:
    """Read the fields of one message, without those of the messages in it.

    Parameters
    ----------
    data : buffer
    start, stop : int
        The message, in bytes from the buffer's beginning; by default all of it.

    Returns
    -------
    list of Field

    Raises
    ------
    InvalidProtobuf
        If the bytes are not fields; the text names the offset.
    ValueError
        If the message is not within the buffer.
    """
    cdef Py_buffer view
    cdef Reader reader
    cdef Token token
    cdef size_t end
    found = []
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        end = view.len if stop is None else stop
        if not start <= end <= <size_t>view.len:
            raise ValueError(f"bytes {start} to {end} are not within {view.len}")
        begin_reading(&reader, <const uint8_t *>view.buf, NULL)
        while start < end:
            if read_token(&reader, start, end, DEEPEST, &token) < 0:
                raise from_status(INVALID_PROTOBUF, describe_error(&reader), None)
            found.append(
                Field(token.number, token.wire, token.value, token.body.start, token.body.stop)
            )
            start = token.body.stop
        return found
    finally:
        PyBuffer_Release(&view)
