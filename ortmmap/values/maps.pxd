"""Maps, and sequences of maps, to dicts."""

from ortmmap.values.value cimport Value

cdef dict dict_of(Value map_)
cdef list dicts_of(Value sequence, size_t count)
