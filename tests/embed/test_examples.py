"""The examples, built against an installed wheel, compute the results of `Session.run`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import models
import pytest
from installed import clean_environment, run
from support import REPOSITORY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the compilers' flags"),
]

EXAMPLES = REPOSITORY / "examples"
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
SANITIZER = "-fsanitize=address"

# Rows of inputs, and the results of Session.run for each row alone.
COMPARE = """
import sys
import numpy as np
import ortmmap

path = sys.argv[1]
x = np.random.default_rng(0).standard_normal((64, 8), "f4")
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 1
session = ortmmap.Session(path, options)
expected = np.concatenate([session.run(None, {"x": row[None]})[0] for row in x])
y = np.full_like(expected, np.nan)

def same():
    assert y.tobytes() == expected.tobytes()
    y.fill(np.nan)
"""

POOL = """
import pool

threads = pool.Pool(session, 3)
for _ in range(20):
    threads.run(x, y)
    same()
try:
    session.close()
except RuntimeError as error:
    assert "handles of the C API" in str(error)
else:
    raise AssertionError("closed under the pool")
for inputs, outputs in ((x[:3, :5].copy(), y), (x, y[:-1]), (x[:0], y[:0])):
    try:
        threads.run(inputs, outputs)
    except ValueError as error:
        assert "expected rows of 32 bytes" in str(error)
    else:
        raise AssertionError("took rows of another size")
del session   # the pool keeps its own handle
threads.run(x, y)
same()
"""

LOOP = """
import loop

for threads in (1, 2, 5):
    loop.predict(session, x, y, threads)
    same()
for row in range(len(x)):
    loop.predict_row(session, x[row], y[row])
same()
try:
    loop.predict_row(session, x[0], np.empty(5, "f4"))
except ortmmap.errors.OrtError as error:
    assert "y" in str(error)
else:
    raise AssertionError("took an output of another shape")
session.close()   # no handle is left
"""

CPP = """
import ctypes

library = ctypes.CDLL(sys.argv[2])
text = ctypes.create_string_buffer(1000)
def embed_run(path, width=4):
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (x, y)]
    return library.embed_run(
        ctypes.c_void_p(ortmmap.get_capi()), path.encode(), pointers[0], ctypes.c_size_t(len(x)),
        ctypes.c_size_t(8), pointers[1], ctypes.c_size_t(width), text, ctypes.c_size_t(1000),
    )
assert embed_run(path) == 0, text.value
same()
assert embed_run(path + ".missing") == 1 and b"No such file" in text.value, text.value
assert embed_run(path, 3) == 1 and b"another size" in text.value, text.value
"""

CFFI = """
import threading
import caller

opened = caller.Session(path)
assert opened.inputs() == [("x", "tensor(float)", [-1, 8])]
assert opened.run(x).tobytes() == session.run(None, {"x": x})[0].tobytes()

def work(rows):
    for row in rows:
        y[row] = opened.run(x[row : row + 1])[0]
threads = [threading.Thread(target=work, args=(range(start, 64, 4),)) for start in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
same()
for wrong in (lambda: caller.Session(path + ".missing"), lambda: opened.run(x[:, :3])):
    try:
        wrong()
    except RuntimeError as error:
        assert "No such file" in str(error) or "dimensions" in str(error), error
    else:
        raise AssertionError("accepted a wrong argument")
"""

# The sanitizer is loaded, and the modules are compiled with it.
SANITIZED = """
assert "libasan" in open("/proc/self/maps").read()
from ortmmap.embed import arguments, errors, handle, lifetime, prepared, runs, table
for module in (arguments, errors, handle, lifetime, prepared, runs, table):
    assert b"__asan_" in open(module.__file__, "rb").read()
"""

Runner = Callable[..., None]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "affine.onnx"
    path.write_bytes(models.affine())
    return path


@pytest.fixture(scope="module")
def sanitized(python, sdist, tmp_path_factory, build_environment) -> Path:
    """Compile the C API's own modules with AddressSanitizer, beside the rest of the wheel."""
    source = tmp_path_factory.mktemp("sanitized")
    shutil.unpack_archive(sdist, source, filter="data")
    (source,) = source.iterdir()
    (source / "capi.py").write_text(
        "import numpy\nfrom Cython.Build import cythonize\n"
        "from setuptools import Extension, setup\n"
        "from pathlib import Path\n"
        "names = sorted(path.stem for path in Path('ortmmap/embed').glob('*.pyx'))\n"
        "include = ['include', 'ortmmap', numpy.get_include()]\n"
        "modules = [Extension(f'ortmmap.embed.{name}', [f'ortmmap/embed/{name}.pyx'],"
        " include_dirs=include) for name in names]\n"
        "setup(packages=[], long_description='-',"
        " ext_modules=cythonize(modules, language_level=3))\n"
    )
    flags = {"CFLAGS": f"-O1 -g {SANITIZER}", "LDFLAGS": SANITIZER}
    run(
        python,
        "capi.py",
        "build_ext",
        "--build-lib",
        "built",
        cwd=source,
        env={**build_environment, **flags},
    )
    code = "import ortmmap; print(ortmmap.__path__[0])"
    installed = run(python, "-c", code, cwd=python.parent, env=clean_environment()).strip()
    target = source / "with_sanitizer" / "ortmmap"
    shutil.copytree(installed, target)
    for module in (source / "built" / "ortmmap").rglob("*.so"):
        shutil.copy(module, target / "embed")
    return target.parent


@pytest.fixture(params=["plain", "asan"])
def flags(request) -> list[str]:
    return [] if request.param == "plain" else ["-g", "-O1", SANITIZER, "-fno-omit-frame-pointer"]


def sanitizer_environment() -> dict[str, str]:
    """Preload the sanitizer, and the C++ runtime, whose exceptions it intercepts."""
    names = ("libasan.so", "libstdc++.so")
    libraries = [run("gcc", f"-print-file-name={name}").strip() for name in names]
    return {
        "LD_PRELOAD": " ".join(str(Path(library).resolve()) for library in libraries),
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
    }


@pytest.fixture
def run_example(request, python, model, flags, tmp_path) -> Runner:
    """Run code after COMPARE in the interpreter that has the wheel."""

    def run_code(code: str, *args: object) -> None:
        environment = clean_environment(ORTMMAP_CACHE="0", PYTHONPATH=str(tmp_path))
        if flags:
            folder = request.getfixturevalue("sanitized")
            environment |= sanitizer_environment()
            environment["PYTHONPATH"] = os.pathsep.join([str(folder), str(tmp_path)])
            code = SANITIZED + code
        done = subprocess.run(
            [str(python), "-W", "error", "-c", COMPARE + code, str(model), *map(str, args)],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=environment,
        )
        assert done.returncode == 0, f"{done.returncode}\n{done.stdout}\n{done.stderr}"

    return run_code


def build_extension(name: str, folder: Path, python: Path, env: dict, flags: list[str]) -> None:
    """Build an example's extension by its own setup.py."""
    for path in (EXAMPLES / name).iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    environment = {**env, "CFLAGS": " ".join(flags or ["-O2"]), "LDFLAGS": " ".join(flags)}
    run(python, "setup.py", "build_ext", "--inplace", cwd=folder, env=environment)


def test_a_c_extension_serves_with_threads_of_its_own(
    run_example, python, tmp_path, build_environment, flags
):
    build_extension("thread_pool", tmp_path, python, build_environment, [*flags, *WARNINGS])
    run_example(POOL)


def test_a_cython_module_loops_without_the_interpreter_lock(
    run_example, python, tmp_path, build_environment, flags
):
    build_extension("cython_loop", tmp_path, python, build_environment, flags)
    run_example(LOOP)


@pytest.mark.parametrize("standard", ["c++11", "c++20"])
def test_a_cpp_library_needs_the_header_alone(run_example, python, tmp_path, flags, standard):
    code = "import ortmmap; print(ortmmap.get_include())"
    include = run(python, "-c", code, cwd=tmp_path, env=clean_environment()).strip()
    library = tmp_path / "libembed.so"
    command = ["c++", f"-std={standard}", *WARNINGS, "-pedantic", *flags, "-shared", "-fPIC"]
    run(*command, f"-I{include}", EXAMPLES / "cpp" / "embed.cpp", "-o", library, "-pthread")
    run_example(CPP, library)


def test_cffi_reads_the_header_as_it_is(run_example, tmp_path):
    pytest.importorskip("cffi", reason="the example needs cffi")
    shutil.copy(EXAMPLES / "cffi" / "caller.py", tmp_path)
    run_example(CFFI)


def test_every_example_is_tested():
    tested = {"thread_pool", "cython_loop", "cpp", "cffi"}
    elsewhere = {"containers", "dask_batch", "ray_batch", "ray_serve", "spark_batch"}
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == tested | elsewhere
