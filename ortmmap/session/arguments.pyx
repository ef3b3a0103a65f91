"""The arguments of `Session`, as onnxruntime's ``InferenceSession`` takes them."""

import os
from collections.abc import Sequence

from ortmmap.errors import OrtError, warn_caller
from ortmmap.options import SessionOptions
from ortmmap.runtime.library import get_available_providers
from ortmmap.runtime.providers import get_all_providers, normalize

# A key of onnxruntime_session_options_config_keys.h.
CONFIG_VARIABLE = "ORT_LOAD_CONFIG_FROM_MODEL"   # read by ONNX Runtime too

DISABLED_OPTIMIZERS = "optimization.disable_specified_optimizers"


cpdef object options_of(object options):
    """Return `options` itself, new ones for None, or onnxruntime's as ours.

    Raises
    ------
    TypeError
        If `options` is something else.
    """
    if options is None:
        return SessionOptions()
    if isinstance(options, SessionOptions):
        return options
    from ortmmap.session.foreign_options import session_options_from

    return session_options_from(options)


cpdef object configured_by_model(object options, object source):
    """Return `options`, or the model's own if ORT_LOAD_CONFIG_FROM_MODEL is 1."""
    if os.environ.get(CONFIG_VARIABLE) != "1":
        return options
    from ortmmap.session.model_config import options_from_model

    return options_from_model(source, options)


cpdef dict config_of(dict kwargs):
    """Return the configuration entries for the keyword arguments of onnxruntime.

    Warns
    -----
    UserWarning
        If there are unknown arguments.
    """
    optimizers = kwargs.pop("disabled_optimizers", None)
    kwargs.pop("read_config_from_model", None)
    if kwargs:
        warn_caller(f"Session ignores the arguments {sorted(kwargs)}")
    return {DISABLED_OPTIMIZERS: ";".join(sorted(optimizers))} if optimizers else {}


cpdef object cache_of(object cache):
    """Return the `cache` argument; raise an exception if it is neither a switch nor a folder."""
    if cache is None or isinstance(cache, bool):
        return cache
    if not isinstance(cache, (str, bytes, os.PathLike)):
        raise TypeError(
            f"cache should be True, False, None or a folder, not {type(cache).__name__}"
        )
    if not os.fspath(cache):
        raise ValueError(f"cache={cache!r} names no folder")
    return cache


cpdef str path_of(object source):
    """Return the path of a model; None for a buffer."""
    return os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else None


cpdef dict texts_of(object options):
    """Return a copy of `options`; raise TypeError if a key or a value is not a str."""
    texts = dict(options.items())
    for text in (*texts, *texts.values()):
        if not isinstance(text, str):
            raise TypeError(f"options should map str to str; found {text!r}")
    return texts


cpdef list providers_of(object options, object providers=None, object provider_options=None):
    """Return the providers that were asked for, by arguments or else by `options`.

    Returns
    -------
    list of (str, dict of str to str)
        Names and options, first choice first.

    Raises
    ------
    ValueError
        If the arguments are malformed.

    Warns
    -----
    UserWarning
        If both name providers, or a provider is not available.
    """
    if providers and options._providers:
        warn_caller(
            "The providers that are given to the session are used, not those of its options"
        )
    available = get_available_providers()
    if providers is None or isinstance(providers, Sequence) and not providers:
        providers = options._providers or None
        available += options._provider_devices   # plugins, which are known by their devices only
    return normalize(providers, provider_options, available)


cpdef check_known(object options, object providers):
    """Raise if no build of ONNX Runtime, and no plugin of the options, has a provider.

    Raises
    ------
    OrtError
        With the text of onnxruntime's ``set_providers``.
    """
    available = get_available_providers()
    known = {*get_all_providers(), *available, *options._provider_devices}
    for provider in providers or ():
        name = provider if isinstance(provider, str) else provider[0]
        if name not in known:
            raise OrtError(f"Unknown Provider Type: {name} (available: {', '.join(available)})")


cpdef list providers_or_none(object options, object providers, object provider_options):
    """Return the providers that were asked for; none, with a warning, if they are malformed."""
    try:
        return providers_of(options, providers, provider_options)
    except ValueError as error:
        if isinstance(error, TypeError):
            raise
        warn_caller(f"{error} The session is created on the CPU.")
        return []
