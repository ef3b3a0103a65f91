"""Call the C API from Python by cffi, which reads the header's declarations unchanged."""

from pathlib import Path

import numpy as np
from cffi import FFI

import ortmmap

HEADER = Path(ortmmap.get_include(), "ortmmap", "capi.h").read_text()
DECLARATIONS = HEADER[HEADER.index("/* declarations") : HEADER.index("/* end of declarations")]

ffi = FFI()
ffi.cdef(DECLARATIONS)
table = ffi.cast("const ortmmap_capi *", ortmmap.get_capi())
if table.version_major != 1 or table.size < ffi.sizeof("ortmmap_capi"):
    raise ImportError(f"ortmmap's C API has version {table.version_major}.{table.version_minor}")


class Session:
    """A session of the C API. cffi releases the interpreter lock around each call."""

    def __init__(self, path: str, threads: int = 1) -> None:
        options = ffi.new("ortmmap_session_options *")
        options.struct_size = ffi.sizeof("ortmmap_session_options")
        options.intra_op_num_threads = threads
        handle = ffi.new("ortmmap_session **")
        error = ffi.new("ortmmap_error *")
        check(table.session_open(path.encode(), options, handle, error), error)
        self.handle = ffi.gc(handle[0], table.session_release)

    def inputs(self) -> list[tuple[str, str, list[int]]]:
        """Return name, type and shape of each input; -1 stands for a size that is not fixed."""
        count = table.session_input_count(self.handle)
        infos = [table.session_input(self.handle, index) for index in range(count)]
        return [
            (
                ffi.string(info.name).decode(),
                ffi.string(info.type).decode(),
                list(info.shape[0 : info.rank]),
            )
            for info in infos
        ]

    def run(self, x: np.ndarray) -> np.ndarray:
        """Return a copy of the first output for the first input, both of float32."""
        x = np.ascontiguousarray(x, "f4")
        shape = ffi.new("int64_t[]", x.shape)
        error = ffi.new("ortmmap_error *")
        inputs = ffi.new("ortmmap_input[1]")
        inputs[0].data, inputs[0].size = ffi.from_buffer(x), x.nbytes
        inputs[0].shape, inputs[0].rank = shape, x.ndim
        inputs[0].element_type = element_type("ORTMMAP_FLOAT")
        outputs = ffi.new("ortmmap_output[1]")
        check(table.run(self.handle, inputs, 1, outputs, 1, ffi.NULL, error), error)
        try:
            found = outputs[0]
            y = np.frombuffer(ffi.buffer(found.data, found.size), "f4")
            return y.reshape(list(found.shape[0 : found.rank])).copy()
        finally:
            table.release_outputs(outputs, 1)


def check(code: int, error: object) -> None:
    """Raise RuntimeError with the error's text, unless the call succeeded."""
    if code:
        raise RuntimeError(f"{code}: {ffi.string(error.message).decode()}")


def element_type(name: str) -> int:
    """Return the number of an element type by its name in the header."""
    return ffi.typeof("enum ortmmap_element_type").relements[name]
