"""The C API's table: the capsule, versions, layouts, and the header."""

import ctypes
import subprocess
import sysconfig

import pytest
from capi_table import (
    CODES,
    compile_library,
    ffi,
    table,
)
from support import run_python

import ortmmap
from ortmmap.embed import table as c_api


def test_the_capsule_and_the_address_are_one_table():
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    assert get_pointer(c_api._C_API, b"ortmmap._C_API") == ortmmap.get_capi()
    import_ = ctypes.pythonapi.PyCapsule_Import
    import_.restype, import_.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
    assert import_(b"ortmmap._C_API", 0) == ortmmap.get_capi()


def test_the_capsule_imports_the_package():
    code = (
        "import ctypes\n"
        "f = ctypes.pythonapi.PyCapsule_Import\n"
        "f.restype, f.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]\n"
        "assert f(b'ortmmap._C_API', 0)\n"
    )
    run_python(code)


def test_the_table_says_its_version_and_size_and_has_no_holes():
    assert (table.version_major, table.version_minor) == (1, 0)
    assert table.size == ffi.sizeof("ortmmap_capi")
    fields = [name for name, field in ffi.typeof("ortmmap_capi").fields]
    assert all(getattr(table, name) != ffi.NULL for name in fields[3:])


def test_layouts_that_callers_are_compiled_with_stay_as_they_are():
    """A change of these needs another major version."""
    sizes = {
        "ortmmap_error": 2048,
        "ortmmap_input": 48,
        "ortmmap_output": 56,
        "ortmmap_session_options": 96,
    }
    assert {name: ffi.sizeof(name) for name in sizes} == sizes
    first = [name for name, _ in ffi.typeof("ortmmap_capi").fields][:22]
    assert first == [
        "version_major",
        "version_minor",
        "size",
        "session_open",
        "session_open_memory",
        "session_from_python",
        "session_to_python",
        "session_retain",
        "session_release",
        "session_input_count",
        "session_output_count",
        "session_input",
        "session_output",
        "session_ort",
        "session_ort_api",
        "session_mapping",
        "session_check",
        "run",
        "release_outputs",
        "prepare",
        "prepared_run",
        "prepared_release",
    ]
    assert sorted(CODES) == list(range(13))


IMPORTER = """
#include <Python.h>
#include <ortmmap/capi.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "importer", .m_size = -1};
PyMODINIT_FUNC PyInit_importer(void) {
  return ortmmap_capi_import() == NULL ? NULL : PyModule_Create(&module);
}
"""

REPLACE_TABLE = """
import ctypes, sys
from ortmmap.embed import table as c_api
if sys.argv[1:]:
    major, minor, less = map(int, sys.argv[1:])
    new = ctypes.pythonapi.PyCapsule_New
    new.restype = ctypes.py_object
    new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    fake = (ctypes.c_uint32 * 4)()   # two versions, and the low half of a size_t
    size = ctypes.cast(c_api.get_capi() + 8, ctypes.POINTER(ctypes.c_size_t))[0]
    fake[0], fake[1], fake[2] = major, minor, size - less
    c_api._C_API = new(ctypes.addressof(fake), b"ortmmap._C_API", None)
try:
    import importer
    print("imported")
except ImportError as error:
    print(error)
"""


def test_an_extension_refuses_a_table_of_another_version(tmp_path):
    source = tmp_path / "importer.c"
    source.write_text(IMPORTER)
    target = tmp_path / f"importer{sysconfig.get_config_var('EXT_SUFFIX')}"
    compile_library(source, target, f"-I{sysconfig.get_path('include')}")

    def say(*args: int) -> str:
        code = "import sys; sys.path.insert(0, sys.argv.pop(1))\n" + REPLACE_TABLE
        return run_python(code, tmp_path, *args).stdout.strip()

    assert say() == "imported"
    assert say(1, 0, 0) == "imported"
    assert say(1, 7, -64) == "imported"  # a later minor version
    assert say(2, 0, 0) == (
        "ortmmap's C API has version 2.0; this module was compiled for 1.0 or a later minor version"
    )
    assert "version 1.0;" in say(1, 0, 8)  # fewer functions


@pytest.mark.parametrize("compiler", ["gcc -std=c99", "g++ -std=c++11"])
def test_the_header_is_plain_c99_and_cpp11(tmp_path, compiler):
    source = tmp_path / ("use.c" if "gcc" in compiler else "use.cpp")
    source.write_text(
        "#include <ortmmap/capi.h>\n#include <ortmmap/capi.h>\n"
        "int main(void) { return ortmmap_capi_usable(0); }\n"
    )
    flags = ["-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Wshadow", "-Werror"]
    include = f"-I{ortmmap.get_include()}"
    command = [*compiler.split(), *flags, include, str(source), "-o", str(tmp_path / "use")]
    subprocess.run(command, check=True)
    assert subprocess.run([str(tmp_path / "use")], check=False).returncode == 0
