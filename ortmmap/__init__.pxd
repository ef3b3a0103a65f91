"""What Cython code of other packages may use of this one; see docs/embedding.md.

`Session` and `Mapping` are known by name only, so nobody is compiled for their layout: a
`SessionHandle` is what C code has of a session, and the buffer protocol gives a mapping's bytes.

Modules of this package must not read it: they say `cimport ortmmap.c_x as x`, not
`from ortmmap cimport c_x`, or each would import `ortmmap._core`, which imports them.
"""

from ortmmap.embed.table cimport PreparedRun, SessionHandle

cdef extern from "Python.h":
    ctypedef class ortmmap._core.Session [object PyObject, check_size ignore]:
        pass

    ctypedef class ortmmap.model.mapping.Mapping [object PyObject, check_size ignore]:
        pass
