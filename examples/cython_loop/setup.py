"""Build the extension: ``python setup.py build_ext --inplace``."""

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

import ortmmap

setup(
    name="loop",
    ext_modules=cythonize(
        [
            Extension(
                "loop",
                ["loop.pyx"],
                include_dirs=[ortmmap.get_include(), numpy.get_include()],
                extra_compile_args=["-fopenmp"],
                extra_link_args=["-fopenmp"],
            )
        ]
    ),
)
