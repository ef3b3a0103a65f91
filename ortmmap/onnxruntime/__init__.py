"""ortmmap under the name of onnxruntime, with the version of its library.

``import ortmmap.onnxruntime as onnxruntime`` serves programs that parse
``onnxruntime.__version__``: here that is the version of the ONNX Runtime in use. The other names
are those of `ortmmap`, whose own ``__version__`` is ortmmap's.
"""

import ortmmap as _ortmmap

__all__ = list(_ortmmap.__all__)


def __getattr__(name: str) -> object:
    if name == "__version__":
        return _ortmmap.get_version_string()
    return getattr(_ortmmap, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_ortmmap), "__version__"})
