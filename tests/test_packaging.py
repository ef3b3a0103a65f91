"""sdist, wheel, and an install away from the source tree."""

import email
import re
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from installed import clean_environment, run
from support import REPOSITORY

import ortmmap

pytestmark = pytest.mark.slow

HEADERS = sorted(path.name for path in (REPOSITORY / "include" / "ortmmap").glob("*.h"))
PACKAGE = REPOSITORY / "ortmmap"
# Paths within the repository, without the suffix.
MODULES = sorted(
    path.relative_to(REPOSITORY).with_suffix("").as_posix() for path in PACKAGE.rglob("*.pyx")
)


@pytest.fixture(scope="module")
def contents(wheel) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_sdist_has_the_sources_and_no_product_of_a_build(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "PKG-INFO"):
        assert name in names
    for module in MODULES:
        assert f"{module}.pyx" in names
    for header in HEADERS:
        assert f"include/ortmmap/{header}" in names
    for pattern in ("*.p*", "*.[ch]"):
        for path in PACKAGE.rglob(pattern):
            if "__pycache__" not in path.parts:
                assert path.relative_to(REPOSITORY).as_posix() in names
    for name in ("tests/test_packaging.py", "tools/ort_api.txt", "tools/ort_abi.py"):
        assert name in names
    for page in ("CHANGELOG.md", "docs/quickstart.md", "docs/front.png"):
        assert page in names
    wrong = re.compile(r"\.(so|o|pyc|pyd)$|__pycache__|(^|/)ortmmap/[^/]*\.c(pp)?$")
    assert [name for name in names if wrong.search(name)] == []


def test_the_wheel_has_what_python_cython_and_c_need(contents):
    for module in MODULES:
        assert any(re.fullmatch(rf"{module}\..*\.(so|pyd)", name) for name in contents)
    for header in HEADERS:
        assert f"ortmmap/include/ortmmap/{header}" in contents
    for pattern in ("*.py", "*.pxd", "*.pyi"):
        for path in PACKAGE.rglob(pattern):
            assert path.relative_to(REPOSITORY).as_posix() in contents
    assert "ortmmap/py.typed" in contents
    assert any(name.endswith(".dist-info/entry_points.txt") for name in contents)
    assert any(name.endswith("licenses/LICENSE") for name in contents)


def test_every_extension_module_has_its_types(contents):
    """py.typed promises them."""
    missing = [module for module in MODULES if f"{module}.pyi" not in contents]
    assert missing == []


def test_the_wheel_has_nothing_else(contents):
    allowed = re.compile(
        r"ortmmap/([^/]+/)?[^/]+\.(py|pyi|pxd|so|pyd)$|ortmmap/py\.typed$|ortmmap/include/ortmmap/[^/]+\.h$"
        r"|ortmmap-[^/]+\.dist-info/"
    )
    assert [name for name in contents if not allowed.match(name)] == []


REQUIRED = ["click", "filelock", "numpy", "onnxruntime", "platformdirs", "xxhash"]


def test_the_metadata_says_what_is_needed(wheel, contents):
    (name,) = [name for name in contents if name.endswith("METADATA")]
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(name).decode()
    required = [
        line
        for line in metadata.splitlines()
        if line.startswith("Requires-Dist") and "extra" not in line
    ]
    assert sorted(re.split(r"[: <>=]+", line)[1] for line in required) == REQUIRED
    assert any("onnxruntime>=1.23" in line.replace(" ", "") for line in required)
    assert "Requires-Python: >=3.11" in metadata
    assert f"Version: {ortmmap.__version__}" in metadata


def test_the_index_shows_the_readme_without_relative_links(wheel, contents):
    (name,) = [name for name in contents if name.endswith("METADATA")]
    with zipfile.ZipFile(wheel) as archive:
        metadata = email.message_from_bytes(archive.read(name))
    shown, readme = metadata.get_payload(), (REPOSITORY / "README.md").read_text()
    assert shown.partition("\n")[0] == readme.partition("\n")[0]
    links, written = (re.findall(r"\]\(([^)#]*)[^)]*\)", text) for text in (shown, readme))
    assert [link for link in links if not link.startswith("https://")] == []
    urls = dict(line.split(", ") for line in metadata.get_all("Project-URL"))
    files = [re.sub(rf"^{urls['Repository']}/(blob|raw)/v[^/]+/", "", link) for link in links]
    assert files == written
    assert all(link.endswith(".png") == ("/raw/" in link) for link in links)


def test_the_changelog_begins_with_this_version():
    headings = re.findall(r"^## (.+)$", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    newest = next(heading for heading in headings if heading != "Unreleased")
    assert newest.split()[0] == ortmmap.__version__


def test_the_recipe_of_conda_forge_has_this_version_and_these_dependencies():
    recipe = (REPOSITORY / "recipe" / "recipe.yaml").read_text()
    assert f'version: "{ortmmap.__version__}"' in recipe
    listed = recipe.partition("  run:\n    - python\n")[2].partition("\n\n")[0]
    conda = {
        re.sub(r"^    - (python-)?", "", line).replace(" ", "") for line in listed.splitlines()
    }
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert conda == {each.partition(";")[0] for each in project["dependencies"]}
    scripts = [f"{name} = {target}" for name, target in project["scripts"].items()]
    assert [f"- {script}" in recipe for script in scripts] == [True]


def test_no_extension_module_links_against_onnxruntime(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    for path in (tmp_path / "ortmmap").rglob("*.so"):
        needed = run("readelf", "-d", path)
        assert "NEEDED" in needed
        assert "onnxruntime" not in needed


def test_the_installed_wheel_works_away_from_the_source_tree(python, ort_file, onnx_file, tmp_path):
    code = (
        "import sys, numpy as np, ortmmap\n"
        "print(ortmmap.__file__)\n"
        "for path in sys.argv[1:]:\n"
        "    with ortmmap.Session(path) as session:\n"
        "        print(session.run(None, {'x': np.ones((2, 8), 'f4')})[0].shape)\n"
        "print(ortmmap.convert(sys.argv[2]))\n"
        "assert not any('onnxruntime' in name for name in sys.modules)\n"
    )
    lines = run(
        python,
        "-W",
        "error",
        "-c",
        code,
        ort_file,
        onnx_file,
        cwd=tmp_path,
        env=clean_environment(),
    ).splitlines()
    assert Path(lines[0]).is_relative_to(python.parent.parent)
    assert lines[1:3] == ["(2, 4)", "(2, 4)"]


def compile_headers(include: str, tmp_path: Path, compiler: str, *flags: str) -> None:
    """Compile a file that includes each header, twice, and every one alone."""
    suffix = "cpp" if "++" in compiler else "c"
    for index, headers in enumerate([HEADERS + HEADERS, *([header] for header in HEADERS)]):
        source = tmp_path / f"include{index}.{suffix}"
        source.write_text(
            "".join(f"#include <ortmmap/{name}>\n" for name in headers)
            + "int main(void) { return 0; }\n"
        )
        run(
            compiler,
            *flags,
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wno-unused-function",
            f"-I{include}",
            source,
            "-o",
            tmp_path / f"include{index}",
            "-ldl",
        )


@pytest.mark.parametrize(
    ("compiler", "flags"),
    [
        ("cc", []),
        ("cc", ["-std=gnu11"]),
        ("cc", ["-std=c11", "-D_DEFAULT_SOURCE"]),
        ("c++", ["-std=c++17"]),
    ],
    ids=str,
)
def test_the_installed_headers_compile(python, tmp_path, compiler, flags):
    include = run(
        python,
        "-c",
        "import ortmmap; print(ortmmap.get_include())",
        cwd=tmp_path,
        env=clean_environment(),
    ).strip()
    assert Path(include).is_relative_to(python.parent.parent)
    compile_headers(include, tmp_path, compiler, *flags)


def test_the_headers_of_this_install_compile(tmp_path):
    assert Path(ortmmap.get_include(), "ortmmap", "ort_abi.h").is_file()
    compile_headers(ortmmap.get_include(), tmp_path, "cc")


def test_an_editable_install_is_the_source_tree(editable_python, ort_file, tmp_path):
    """And works in any folder, by a plain path in a .pth file."""
    code = (
        "import sys, numpy as np, ortmmap\n"
        "print(ortmmap.__file__)\n"
        "print(ortmmap.get_include())\n"
        "with ortmmap.Session(sys.argv[1]) as session:\n"
        "    print(session.run(None, {'x': np.ones((2, 8), 'f4')})[0].shape)\n"
    )
    printed = run(editable_python, "-c", code, ort_file, cwd=tmp_path, env=clean_environment())
    module, include, shape = printed.splitlines()
    assert (Path(module).parent / "_core.pyx").is_file()
    assert Path(include) == Path(module).parents[1] / "include"
    assert Path(include, "ortmmap", "capi.h").is_file()
    assert shape == "(2, 4)"


@pytest.mark.parametrize("install", ["python", "editable_python"])
def test_a_cython_module_may_cimport_the_installed_package(
    request, install, ort_file, tmp_path, build_environment
):
    """The .pxd files are shipped for this."""
    python = request.getfixturevalue(install)
    (tmp_path / "user.pyx").write_text(
        "from ortmmap cimport Mapping, PreparedRun, Session, SessionHandle\n"
        "from ortmmap.abi.capi cimport ortmmap_capi, ortmmap_capi_import\n"
        "cdef const ortmmap_capi *capi = ortmmap_capi_import()\n"
        "def size(path):\n"
        "    cdef Mapping mapping = Mapping(path)\n"
        "    cdef const unsigned char[::1] view = mapping\n"
        "    return view.shape[0]\n"
        "def is_open(Session session not None):\n"
        "    return 'open' in repr(session)\n"
        "def inputs_of(Session session not None):\n"
        "    cdef SessionHandle handle = SessionHandle(session)\n"
        "    return capi.session_input_count(handle.session)\n"
        "def bind_nothing(Session session not None):\n"
        "    cdef SessionHandle handle = SessionHandle(session)\n"
        "    cdef PreparedRun run = handle.prepare(NULL, 0, NULL, 0)\n"
    )
    (tmp_path / "setup.py").write_text(
        "import numpy, ortmmap\nfrom Cython.Build import cythonize\n"
        "from setuptools import Extension, setup\n"
        "include = [ortmmap.get_include(), numpy.get_include()]\n"
        "setup(ext_modules=cythonize([Extension('user', ['user.pyx'], include_dirs=include)],"
        " language_level=3))\n"
    )
    run(python, "setup.py", "build_ext", "--inplace", cwd=tmp_path, env=build_environment)
    code = (
        "import sys, ortmmap, user\n"
        "print(user.size('user.pyx'))\n"
        "session = ortmmap.Session(sys.argv[1])\n"
        "print(user.is_open(session), user.inputs_of(session))\n"
        "for call, argument in ((user.is_open, 3), (user.bind_nothing, session)):\n"
        "    try:\n"
        "        call(argument)\n"
        "    except (TypeError, ValueError) as error:\n"
        "        print(error)\n"
    )
    printed = run(python, "-c", code, ort_file, cwd=tmp_path, env=clean_environment())
    size, is_open, refused, no_outputs = printed.splitlines()
    assert int(size) == (tmp_path / "user.pyx").stat().st_size
    assert is_open == "True 1"
    assert "expected ortmmap._core.Session, got int" in refused
    assert "expected an output or more, found none" in no_outputs
