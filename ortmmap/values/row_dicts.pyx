"""RowDicts: a dict for each row of a tensor, as ONNX Runtime's ZipMap makes them."""

cimport cython
from cpython.dict cimport PyDict_SetItem
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free

cimport ortmmap.abi.ort as ort
from ortmmap.values.native_tensor cimport Layout
from ortmmap.values.tensors cimport data_of, get_layout
from ortmmap.values.value cimport Value

from ortmmap.errors import InvalidArgument


@cython.final
cdef class RowDicts:
    """Builds a dict for each row of a tensor of floats with one column for each label.

    Keys are sorted, as in the C++ maps of a ZipMap; of equal labels the last one counts. All dicts
    share the key objects.

    Parameters
    ----------
    labels : list of int or of str
    """

    # Constant once made.
    cdef tuple keys               # sorted, each once
    cdef size_t *columns          # of `keys`
    cdef int64_t width            # columns of the tensor

    def __cinit__(self, list labels not None):
        cdef Py_ssize_t index
        cdef dict last = {label: index for index, label in enumerate(labels)}
        self.columns = <size_t *>calloc(len(last) + 1, sizeof(size_t))
        if self.columns == NULL:
            raise MemoryError()
        self.keys = tuple(sorted(last))   # by code points, and so by the bytes of UTF-8
        self.width = len(labels)
        for index, label in enumerate(self.keys):
            self.columns[index] = last[label]

    def __dealloc__(self):
        free(self.columns)

    def of(self, Value tensor not None) -> list:
        """Return a list with a dict for each row; a tensor of rank 1 is one row.

        Raises
        ------
        InvalidArgument
            If the tensor's elements are not floats, or it has more or fewer columns than labels.
        """
        cdef Layout layout
        cdef const float *row
        cdef int64_t rows
        get_layout(tensor.value, &layout)
        if not self.fits(&layout):
            raise InvalidArgument(f"ZipMap: expected floats in rows of {self.width} columns")
        rows = layout.shape[0] if layout.rank == 2 else 1
        row = <const float *>data_of(tensor.value)
        return [self.dict_of(row + index * self.width) for index in range(rows)]

    cdef bint fits(self, const Layout *layout) noexcept:
        return (
            layout.element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT
            and layout.rank in (1, 2)
            and layout.shape[layout.rank - 1] == self.width
        )

    cdef dict dict_of(self, const float *row):
        cdef dict made = {}
        cdef Py_ssize_t index
        for index in range(len(self.keys)):
            PyDict_SetItem(made, self.keys[index], row[self.columns[index]])
        return made
