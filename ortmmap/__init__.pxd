"""What C code of other packages may use of this one; see docs/embedding.md for the lifetimes."""

from ortmmap._capi cimport PreparedRun, SessionHandle
from ortmmap._core cimport Session
from ortmmap._mapping cimport Mapping
