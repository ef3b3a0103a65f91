"""Which way a session is created: in place, from the cache, with prepacked weights shared."""

cimport ortmmap.c_ort_abi as ort
from ortmmap._model cimport Model

cdef ort.OrtSession *create_session(
    Model model, object options, dict config, list providers, object cache
) except NULL
