"""The arguments of `Session`, as onnxruntime's ``InferenceSession`` takes them."""

cpdef object options_of(object options)
cpdef object configured_by_model(object options, object source)
cpdef dict config_of(dict kwargs)
cpdef object cache_of(object cache)
cpdef str path_of(object source)
cpdef list providers_of(object options, object providers=*, object provider_options=*)
cpdef list providers_or_none(object options, object providers, object provider_options)
cpdef check_known(object options, object providers)
cpdef dict texts_of(object options)
