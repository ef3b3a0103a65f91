"""The C API by cffi: the table, and functions that make and read its structs."""

import ctypes
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import ortmmap

cffi = pytest.importorskip("cffi", reason="these tests call the C API by cffi")

HEADER = Path(ortmmap.get_include(), "ortmmap", "capi.h").read_text()
DECLARATIONS = HEADER[HEADER.index("/* declarations") : HEADER.index("/* end of declarations")]

ffi = cffi.FFI()
ffi.cdef(DECLARATIONS)
table = ffi.cast("const ortmmap_capi *", ortmmap.get_capi())

CODES = {
    number: name.removeprefix("ORTMMAP_")
    for number, name in ffi.typeof("enum ortmmap_code").elements.items()
}
X = np.arange(16, dtype="f4").reshape(2, 8) - 8  # for models.affine()
ELEMENT_TYPES = {
    np.dtype(name): number
    for name, number in [("f4", 1), ("u1", 2), ("i4", 6), ("i8", 7), ("?", 9), ("f2", 10)]
}


class CapiError(Exception):
    """The error of a function of the table."""

    def __init__(self, code: int, error: object) -> None:
        assert code == error.code
        self.code, self.ort_code = CODES[code], error.ort_code
        self.text = ffi.string(error.message).decode()
        super().__init__(f"{self.code}: {self.text}")


def call(function: object, *args: object) -> None:
    """Call a function whose last argument is an error, and raise that."""
    error = ffi.new("ortmmap_error *", {"code": 77, "ort_code": 77, "message": b"x" * 2039})
    code = function(*args, error)
    if code:
        raise CapiError(code, error)
    assert (error.code, error.ort_code, ffi.string(error.message)) == (0, 0, b"")


def make(kind: str, function: object, *args: object) -> object:
    """Call a function that returns a pointer by its last argument but the error."""
    made = ffi.new(f"{kind} *", ffi.cast(kind, 1))
    try:
        call(function, *args, made)
    except CapiError:
        assert made[0] == ffi.NULL
        raise
    assert made[0] != ffi.NULL
    return made[0]


def options(**members: object) -> object:
    size = ffi.sizeof("ortmmap_session_options")
    return ffi.new("ortmmap_session_options *", {"struct_size": size, **members})


def open_path(path: object, given: object = ffi.NULL) -> object:
    return make("ortmmap_session *", table.session_open, os.fsencode(path), given)


def open_python(session: object) -> object:
    pointer = ffi.cast("void *", id(session))
    return make("ortmmap_session *", table.session_from_python, pointer)


def as_python(handle) -> ortmmap.Session:
    pointer = make("void *", table.session_to_python, handle)
    python = ctypes.cast(int(ffi.cast("size_t", pointer)), ctypes.py_object).value
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(python))
    return python


class Arguments:
    """Inputs or outputs: an array of structs, and the memory that they point to."""

    def __init__(self, kind: str, arrays: list, names: list | None = None) -> None:
        self.count = len(arrays)
        self.structs = ffi.new(f"{kind}[]", max(self.count, 1))
        self.arrays, self.kept = arrays, []
        for struct, array, name in zip(
            self.structs, arrays, names or [None] * self.count, strict=False
        ):
            if name is not None:
                struct.name = self.keep(ffi.new("char[]", name.encode()))
            if array is not None:
                struct.data = ffi.cast("void *", array.ctypes.data)
                struct.size = array.nbytes
                struct.shape = self.keep(ffi.new("int64_t[]", array.shape or (0,)))
                struct.rank = array.ndim
                struct.element_type = ELEMENT_TYPES[array.dtype]

    def keep(self, made: object) -> object:
        self.kept.append(made)
        return made

    def __getitem__(self, index: int) -> object:
        return self.structs[index]


def inputs(*arrays: np.ndarray, names: list | None = None) -> Arguments:
    return Arguments("ortmmap_input", list(arrays), names)


def outputs(*arrays: np.ndarray | None, names: list | None = None) -> Arguments:
    return Arguments("ortmmap_output", list(arrays), names)


def run(session: object, given: Arguments, wanted: Arguments, run_options: object = None) -> None:
    call(
        table.run,
        session,
        given.structs,
        given.count,
        wanted.structs,
        wanted.count,
        run_options or ffi.NULL,
    )


def prepare(session: object, given: Arguments, wanted: Arguments) -> object:
    return make(
        "ortmmap_prepared *",
        table.prepare,
        session,
        given.structs,
        given.count,
        wanted.structs,
        wanted.count,
    )


def array_of(output: object) -> np.ndarray:
    """Copy an output that ONNX Runtime allocated."""
    dtype = next(dtype for dtype, number in ELEMENT_TYPES.items() if number == output.element_type)
    shape = [output.shape[index] for index in range(output.rank)]
    array = np.frombuffer(ffi.buffer(output.data, output.size), dtype)
    return array.reshape(shape).copy()


def compile_library(source: Path, target: Path, *flags: str) -> Path:
    command = ["cc", "-std=gnu99", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    command += [f"-I{ortmmap.get_include()}", *flags, str(source), "-o", str(target), "-pthread"]
    subprocess.run(command, check=True)
    return target
