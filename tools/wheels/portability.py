"""Whether every module and header compiles and links for a platform that zig builds no wheel for.

The headers are those of the CPython that runs this. Warnings are errors.
"""

import subprocess
import sys
import sysconfig
from functools import partial
from pathlib import Path

import compiler
import headers
import numpy
from elftools.elf.elffile import ELFFile
from setuptools import Extension
from targets import Target

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
WARNINGS = ("-Wall", "-Wextra", "-Werror")
# Of what Cython generates: functions and parameters that a module happens not to use.
GENERATED = ("-Wall", "-Werror", "-Wno-unused-function", "-O0")


def check(extensions: list[Extension], target: Target, cache: Path) -> int:
    """Compile everything for a target; return the exit code."""
    include = [sysconfig.get_path("include"), _numpy_headers(target, cache)]
    options = GENERATED
    if target.windows:
        include[0] = headers.windows_folder(PYTHON, include[0], cache / "headers")
        if include[0] is None:
            print(f"tools/wheels: no pyconfig.h of CPython {PYTHON} for Windows", file=sys.stderr)
            return 1
        options = (*GENERATED, "-DMS_WIN64", str(_import_library(cache)))
    try:
        _compile_headers(target)
        compiler.compile_all(
            extensions, target, PYTHON, include, folder=cache / target.triple, options=options
        )
    except compiler.CompileError as error:
        print(f"tools/wheels: {error}", file=sys.stderr)
        return 1
    print(f"{len(extensions)} modules compile and link for {target.triple}")
    return 0


def _numpy_headers(target: Target, cache: Path) -> str:
    """Return the include folder of numpy's wheel for the target: sizes of C's types are in it."""
    folder = cache / f"numpy-{target.triple}"
    if not folder.exists():
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder)
        only = ("--only-binary", ":all:", "--platform", target.numpy, "--python-version", PYTHON)
        subprocess.run([*pip, *only, f"numpy=={numpy.__version__}"], check=True)
    return str(folder / "numpy" / "_core" / "include")


def _compile_headers(target: Target) -> None:
    """Compile each public header alone, and all of them twice, as C and as C++."""
    names = sorted(path.name for path in Path("include", "ortmmap").glob("*.h"))
    compiler.in_parallel(
        partial(
            compiler.compile_text,
            "".join(f"#include <ortmmap/{name}>\n" for name in included),
            target,
            (f"-x{language}", f"-std={standard}", *WARNINGS),
        )
        for language, standard in (("c", "c11"), ("c++", "c++17"))
        for included in [*([name] for name in names), names * 2]
    )


def _import_library(cache: Path) -> Path:
    """Make the library that modules for Windows are linked with.

    It has the functions of the C API that this interpreter exports, so that linking fails for any
    other name.
    """
    shared = sysconfig.get_config_var("Py_ENABLE_SHARED")
    library = sysconfig.get_config_var("INSTSONAME")
    path = Path(sysconfig.get_config_var("LIBDIR"), library) if shared else Path(sys.executable)
    with path.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".dynsym").iter_symbols()
        names = [one.name for one in symbols if one["st_shndx"] != "SHN_UNDEF"]
    tag = PYTHON.replace(".", "")
    exported = [name for name in names if name.startswith(("Py", "_Py"))]
    definition = cache / f"python{tag}.def"
    definition.write_text(f"LIBRARY python{tag}.dll\nEXPORTS\n" + "\n".join(exported) + "\n")
    result = cache / f"python{tag}.lib"
    compiler.zig("dlltool", "-m", "i386:x86-64", "-d", definition, "-l", result)
    return result
