"""Build the extension: ``python setup.py build_ext --inplace``."""

from setuptools import Extension, setup

import ortmmap

setup(
    name="pool",
    ext_modules=[
        Extension(
            "pool",
            ["pool.c"],
            include_dirs=[ortmmap.get_include()],
            extra_compile_args=["-pthread"],
            extra_link_args=["-pthread"],
        )
    ],
)
