"""onnxruntime's functions of the whole process that the C API has no way to do."""

from collections.abc import Callable

__all__ = [
    "set_default_logger_callback",
    "set_default_logger_verbosity",
    "set_seed",
]


def set_default_logger_verbosity(level: int) -> None:
    """Raise, unless `level` is 0, which it is: a session's own can be set.

    Raises
    ------
    NotImplementedError
        Where `level` is another.
    """
    if level != 0:
        raise NotImplementedError(
            "ONNX Runtime's C API cannot set the default logger's verbosity: "
            "set SessionOptions.log_verbosity_level"
        )


def set_seed(seed: int) -> None:
    """Raise: operators such as RandomNormal can be seeded by their attribute only.

    Raises
    ------
    NotImplementedError
    """
    raise NotImplementedError(
        f"ONNX Runtime's C API cannot set the seed ({seed}) of random operators: "
        "set the attribute `seed` of the operators in the model"
    )


def set_default_logger_callback(callback: Callable | None, severity: int = 2) -> None:
    """Raise, unless `callback` is None, which it is.

    Raises
    ------
    NotImplementedError
        Where `callback` is a function.
    """
    if callback is not None:
        raise NotImplementedError(
            f"ONNX Runtime's C API cannot change where texts of severity {severity} are logged to: "
            "they go to standard error"
        )
