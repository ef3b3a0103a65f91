"""numpy arrays over memory of others."""

cimport numpy as cnp
from cpython.object cimport PyTypeObject
from cpython.ref cimport Py_INCREF

cdef extern from "numpy/arrayobject.h":
    PyTypeObject PyArray_Type
    object PyArray_NewFromDescr(
        PyTypeObject *, cnp.dtype, int, const cnp.npy_intp *, const cnp.npy_intp *, void *, int,
        object
    )


cdef inline cnp.ndarray array_over(
    void *data, object dtype, int rank, const cnp.npy_intp *shape, const cnp.npy_intp *strides,
    bint writable, object owner,
):
    """Make an array over `data`, which `owner` keeps; NULL strides stand for C order."""
    cdef cnp.ndarray array
    Py_INCREF(dtype)   # PyArray_NewFromDescr takes a reference over
    array = PyArray_NewFromDescr(
        &PyArray_Type, <cnp.dtype>dtype, rank, shape, strides, data,
        cnp.NPY_ARRAY_WRITEABLE if writable else 0, None,
    )
    cnp.set_array_base(array, owner)
    return array
