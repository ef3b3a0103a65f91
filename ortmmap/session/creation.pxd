"""Which way a session is created: in place, from the cache, with prepacked weights shared."""

cimport ortmmap.abi.ort as ort
from ortmmap.session.model cimport Model

cdef ort.OrtSession *create_session(
    Model model, object options, dict config, list providers, object cache
) except NULL
