"""ONNX Runtime's library: finding and opening it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from support import ask_python, run_python

import ortmmap

VARIABLE = "ORTMMAP_ONNXRUNTIME"
INSTALLED = Path(onnxruntime.__file__).parent / "capi"
FIRST_USES = {
    "Session": "ortmmap.Session(b'model')",
    "version": "ortmmap.get_version_string()",
    "providers": "ortmmap.get_available_providers()",
    "path": "ortmmap.get_library_path()",
    "build info": "ortmmap.get_build_info()",
    "RunOptions": "ortmmap.RunOptions()",
}
CATCH = """
import sys, ortmmap
from ortmmap import errors
try:
    {use}
except errors.LibraryError as error:
    assert isinstance(error, (ImportError, RuntimeError, errors.OrtError))
    print(error)
else:
    raise AssertionError("it was opened")
"""


@pytest.fixture
def compiled(tmp_path):
    """Return a function that compiles C to a shared library."""

    def compile_(source: str, name: str = "libfake.so") -> Path:
        path, file = tmp_path / name, tmp_path / "fake.c"
        file.write_text(source)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", path, file], check=True)
        return path

    return compile_


def refusal(library: object, use: str = "version") -> str:
    """Return the error message when the environment variable is `library`."""
    code = CATCH.format(use=FIRST_USES[use])
    return run_python(code, env={VARIABLE: str(library)}).stdout


def assert_helpful(text: str) -> None:
    assert "onnxruntime>=1.23" in text
    assert "pip install" in text


def test_importing_opens_no_library_and_imports_no_onnxruntime():
    loaded, mapped = ask_python(
        "import json, sys, ortmmap\nfrom pathlib import Path\n"
        "loaded = [name for name in sys.modules if name.partition('.')[0] == 'onnxruntime']\n"
        "mapped = [line for line in Path('/proc/self/maps').read_text().splitlines()"
        " if 'libonnxruntime' in line]\n"
        "print(json.dumps([loaded, mapped]))\n"
    )
    assert loaded == []
    assert mapped == []


def test_running_a_model_imports_no_onnxruntime(ort_file):
    loaded, mapped = ask_python(
        "import json, sys, ortmmap\nimport numpy as np\nfrom pathlib import Path\n"
        "ortmmap.Session(sys.argv[1]).run(None, {'x': np.ones((1, 8), 'f4')})\n"
        "loaded = [name for name in sys.modules if name.partition('.')[0] == 'onnxruntime']\n"
        "mapped = {line.split()[-1] for line in Path('/proc/self/maps').read_text().splitlines()"
        " if 'libonnxruntime' in line}\n"
        "print(json.dumps([loaded, sorted(mapped)]))\n",
        ort_file,
    )
    assert loaded == []
    assert len(mapped) == 1
    assert Path(mapped[0]).name.startswith("libonnxruntime")


def test_importing_imports_little_beyond_numpy():
    beyond = ask_python(
        "import json, sys, numpy\nbefore = set(sys.modules)\nimport ortmmap\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))\n"
    )
    heavy = [
        "asyncio",
        "ctypes",
        "tempfile",
        "inspect",
        "dataclasses",
        "importlib.metadata",
        "importlib.resources",
        "click",
        "rich",
        "logging",
        "subprocess",
        "multiprocessing",
        "concurrent",
        "json",
        "typing",
        "threading",
        "socket",
        "email",
        "pathlib",
        "shutil",
        "hashlib",
        "random",
        "onnx",
        "onnxruntime",
        "psutil",
        "matplotlib",
    ]
    found = [
        name for name in beyond for other in heavy if name == other or name.startswith(f"{other}.")
    ]
    assert found == []


def test_the_library_of_the_installed_wheel_is_found():
    path = Path(ortmmap.get_library_path())
    assert path.parent.samefile(INSTALLED)
    assert path.name.startswith("libonnxruntime.so")
    assert ortmmap.get_version_string() == onnxruntime.__version__


@pytest.mark.parametrize("name", ["library.so", "zoë 日.so"])
def test_the_environment_names_another_library(tmp_path, ort_file, name):
    copy = tmp_path / name
    shutil.copy(ortmmap.get_library_path(), copy)
    code = (
        "import json, sys, ortmmap\nimport numpy as np\n"
        "ortmmap.Session(sys.argv[1]).run(None, {'x': np.ones((1, 8), 'f4')})\n"
        "print(json.dumps([ortmmap.get_library_path(), ortmmap.get_version_string()]))\n"
    )
    path, version = ask_python(code, ort_file, env={VARIABLE: str(copy)})
    assert path == str(copy)
    assert version == onnxruntime.__version__


def test_an_empty_variable_names_nothing():
    code = "import json, ortmmap; print(json.dumps(ortmmap.get_library_path()))"
    assert ask_python(code, env={VARIABLE: ""}) == ortmmap.get_library_path()


@pytest.mark.parametrize("use", FIRST_USES)
def test_every_first_use_tells_that_the_named_file_is_missing(tmp_path, use):
    text = refusal(tmp_path / "nothing.so", use)
    assert str(tmp_path / "nothing.so") in text
    assert "No such file" in text
    assert VARIABLE in text
    assert_helpful(text)


def test_a_text_file_is_no_library(write):
    path = write(b"This is no shared library.\n" * 10, "library.so")
    text = refusal(path)
    assert str(path) in text
    assert "ELF" in text or "invalid" in text
    assert_helpful(text)


def test_a_directory_is_no_library(tmp_path):
    text = refusal(tmp_path)
    assert str(tmp_path) in text
    assert_helpful(text)


def test_a_library_without_its_entry_point_is_told(compiled):
    path = compiled("int something_else(void) { return 1; }")
    text = refusal(path)
    assert str(path) in text
    assert "OrtGetApiBase" in text
    assert_helpful(text)


OLD = """
#include <stddef.h>
#include <stdint.h>
typedef struct {{ const void *(*GetApi)(uint32_t); const char *(*GetVersionString)(void); }} Base;
static const void *get_api(uint32_t version) {{ (void)version; return NULL; }}
static const char *get_version(void) {{ return {version}; }}
static const Base base = {{ get_api, get_version }};
const Base *OrtGetApiBase(void) {{ return {base}; }}
"""


def test_a_library_that_is_too_old_tells_its_version(compiled):
    path = compiled(OLD.format(version='"1.16.3"', base="&base"))
    text = refusal(path)
    assert str(path) in text
    assert "1.16.3" in text
    assert "23" in text
    assert_helpful(text)


def test_a_library_without_a_version_is_refused_too(compiled):
    path = compiled(OLD.format(version="NULL", base="&base"))
    assert str(path) in refusal(path)


def test_a_library_whose_entry_point_answers_nothing_is_refused(compiled):
    path = compiled(OLD.format(version='"1"', base="NULL"))
    assert str(path) in refusal(path)


def test_a_failure_may_be_tried_again(tmp_path):
    """The first failure leaves no partial state."""
    code = (
        "import os, ortmmap\nfrom ortmmap import errors\n"
        "for _ in range(3):\n"
        "    try:\n        ortmmap.get_version_string()\n"
        "    except errors.LibraryError:\n        continue\n"
        "    raise AssertionError\n"
        f"del os.environ['{VARIABLE}']\n"
        "print(ortmmap.get_version_string())\n"
    )
    printed = run_python(code, env={VARIABLE: str(tmp_path / "nothing")}).stdout
    assert printed.strip() == onnxruntime.__version__


def test_a_failure_to_open_needs_no_library_to_be_raised(tmp_path):
    """Objects whose construction failed are deallocated without a call of the library."""
    code = (
        "import gc, ortmmap\n"
        "for make in (ortmmap.RunOptions, lambda: ortmmap.Session(b'x')):\n"
        "    for _ in range(3):\n"
        "        try:\n            make()\n"
        "        except ImportError:\n            gc.collect()\n"
        "session = ortmmap.Session.__new__(ortmmap.Session)\n"
        "session.close()\ndel session\ngc.collect()\nprint('fine')\n"
    )
    assert run_python(code, env={VARIABLE: str(tmp_path / "nothing")}).stdout == "fine\n"


def test_no_onnxruntime_at_all_tells_what_to_install(tmp_path):
    """The interpreter finds numpy and ortmmap, but no onnxruntime."""
    folder = tmp_path / "packages"
    folder.mkdir()
    site = Path(np.__file__).parent.parent
    for name in site.iterdir():
        if name.name.startswith("numpy"):
            (folder / name.name).symlink_to(name)
    (folder / "ortmmap").symlink_to(Path(ortmmap.__file__).parent)
    for use in FIRST_USES.values():
        done = subprocess.run(
            [
                sys.executable,
                "-S",
                "-E",
                "-c",
                f"import sys; sys.path.insert(0, {str(folder)!r})" + CATCH.format(use=use),
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if name != VARIABLE},
        )
        assert done.returncode == 0, done.stderr
        assert "onnxruntime is not installed" in done.stdout
        assert_helpful(done.stdout)


@pytest.mark.parametrize(
    "files",
    [["__init__.py"], ["__init__.py", "capi/__init__.py"], ["__init__.py", "capi"]],
    ids=["no capi", "no library", "capi is a file"],
)
def test_an_install_without_a_library_tells_where_it_looked(tmp_path, files):
    for name in files:
        path = tmp_path / "onnxruntime" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})" + CATCH.format(
        use=FIRST_USES["version"]
    )
    text = run_python(code).stdout
    assert str(tmp_path) in text
    assert "libonnxruntime" in text
    assert_helpful(text)


def test_an_onnxruntime_that_is_no_package_is_not_installed(tmp_path):
    (tmp_path / "onnxruntime.py").write_text("raise AssertionError('imported')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})" + CATCH.format(
        use=FIRST_USES["version"]
    )
    assert_helpful(run_python(code).stdout)


def test_another_flavour_of_onnxruntime_does(tmp_path, ort_file):
    """The package's folder counts, not the distribution that installed it."""
    capi = tmp_path / "first" / "onnxruntime" / "capi"
    capi.mkdir(parents=True)
    (capi.parent / "__init__.py").write_text("raise AssertionError('imported')")
    for path in INSTALLED.glob("libonnxruntime*"):
        (capi / path.name).symlink_to(path)
    code = (
        f"import sys; sys.path.insert(0, {str(capi.parent.parent)!r})\n"
        "import json, ortmmap\nimport numpy as np\n"
        "ortmmap.Session(sys.argv[1]).run(None, {'x': np.ones((1, 8), 'f4')})\n"
        "print(json.dumps(ortmmap.get_library_path()))\n"
    )
    assert Path(ask_python(code, ort_file)).parent == capi


def test_the_providers_libraries_beside_it_are_not_taken_for_it(tmp_path):
    """The choice among the names must not be libonnxruntime_providers_shared.so."""
    capi = tmp_path / "first" / "onnxruntime" / "capi"
    capi.mkdir(parents=True)
    (capi.parent / "__init__.py").touch()
    library = Path(ortmmap.get_library_path())
    (capi / library.name).symlink_to(library)
    for name in ("providers_shared", "providers_cuda", "pybind11_state"):
        (capi / f"libonnxruntime_{name}.so").write_bytes(b"no library")
    code = (
        f"import sys; sys.path.insert(0, {str(capi.parent.parent)!r})\n"
        "import json, ortmmap\n"
        "print(json.dumps([ortmmap.get_library_path(), ortmmap.get_version_string()]))\n"
    )
    path, version = ask_python(code)
    assert Path(path).name == library.name
    assert version == onnxruntime.__version__


def test_there_is_one_environment_for_all_threads_and_sessions(ort_file):
    """Only one library is mapped."""
    code = (
        "import json, sys, threading, ortmmap\nimport numpy as np\nfrom pathlib import Path\n"
        "def use():\n    ortmmap.Session(sys.argv[1])\n"
        "threads = [threading.Thread(target=use) for _ in range(8)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "lines = [line for line in Path('/proc/self/maps').read_text().splitlines()"
        " if 'libonnxruntime' in line]\n"
        "print(json.dumps(sum(line.split()[2] == '00000000' for line in lines)))\n"
    )
    assert ask_python(code, ort_file) == 1


def test_sessions_after_a_fork_of_an_unused_process_work(ort_file):
    code = (
        "import os, sys, ortmmap\nimport numpy as np\n"
        "feed = {'x': np.ones((1, 8), 'f4')}\n"
        "for _ in range(2):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        ortmmap.Session(sys.argv[1]).run(None, feed)\n"
        "        os._exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
    )
    run_python(code, ort_file)


def test_the_public_names_are_there():
    for name in ortmmap.__all__:
        assert hasattr(ortmmap, name)
    assert {
        "InferenceSession",
        "Mapping",
        "RunOptions",
        "Session",
        "SessionOptions",
        "convert",
        "get_available_providers",
        "get_include",
        "get_version_string",
    } <= set(ortmmap.__all__)
    assert json.dumps(ortmmap.__version__)
