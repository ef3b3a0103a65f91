"""Build the extension modules; everything else is in pyproject.toml."""

import sys
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

NUMPY_MACROS = [
    ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
    ("NPY_TARGET_VERSION", "NPY_1_25_API_VERSION"),
]
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "embedsignature": True,
    "embedsignature.format": "python",
}
HEADERS = sorted(
    str(path) for folder in ("include/ortmmap", "ortmmap") for path in Path(folder).glob("*.h")
)


def extension(path: Path) -> Extension:
    """Describe the extension module that one .pyx becomes."""
    return Extension(
        f"ortmmap.{path.stem}",
        [path.as_posix()],
        include_dirs=["include", "ortmmap", numpy.get_include()],
        define_macros=NUMPY_MACROS,
        depends=HEADERS,
        libraries=[] if sys.platform in ("win32", "darwin") else ["dl"],
    )


setup(
    ext_modules=cythonize(
        [extension(path) for path in sorted(Path("ortmmap").glob("*.pyx"))],
        build_dir="build/cython",
        compiler_directives=DIRECTIVES,
    )
)
