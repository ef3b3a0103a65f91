"""Handle: the struct behind an `ortmmap_session`.

It is counted, and owns references to Python objects. But for new_handle(), nothing here touches a
reference count or needs the interpreter lock.
"""

cimport cython
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free

from ortmmap.abi.capi cimport (
    ORTMMAP_CLOSED,
    ORTMMAP_FORKED,
    ORTMMAP_INVALID_ARGUMENT,
    ORTMMAP_MODEL_CHANGED,
)
from ortmmap.abi.mapping cimport (
    ORTMMAP_MAPPING_OK,
    ortmmap_file_identity,
    ortmmap_file_identity_get,
    ortmmap_mapping_error,
)
from ortmmap.embed.errors cimport fail, fail_file, succeed
from ortmmap.model.source cimport ModelSource
from ortmmap.process.guard cimport ortmmap_count_add
from ortmmap.runtime.library cimport api, native_path
from ortmmap.session.metadata cimport NodeArg
from ortmmap.session.open_session cimport CHANGED, FORKED


# --- making a handle ---

@cython.final
@cython.no_gc
cdef class Description:
    """The inputs, outputs, overridable initializers and files of a session, as C structs."""

    # Constant once made.
    cdef ortmmap_value_info *infos
    cdef int64_t *sizes           # of all shapes
    cdef const char **symbols
    cdef SourceFile *files
    cdef size_t file_count
    cdef const char *model        # its name in error texts
    cdef list kept                # the bytes objects that names, types and paths point into

    def __init__(self, list args, ModelSource model):
        cdef size_t rank = sum(len((<NodeArg>arg)._shape) for arg in args)
        cdef size_t used = 0
        cdef size_t index
        self.kept = []
        self.infos = <ortmmap_value_info *>calloc(len(args) + 1, sizeof(ortmmap_value_info))
        self.sizes = <int64_t *>calloc(rank + 1, sizeof(int64_t))
        self.symbols = <const char **>calloc(rank + 1, sizeof(char *))
        if self.infos == NULL or self.sizes == NULL or self.symbols == NULL:
            raise MemoryError()
        for index, arg in enumerate(args):
            self.describe(&self.infos[index], arg, &used)
        self.describe_files(model)

    def __dealloc__(self):
        free(self.infos)
        free(self.sizes)
        free(self.symbols)
        free(self.files)

    cdef int describe(self, ortmmap_value_info *info, object arg, size_t *used) except -1:
        cdef NodeArg described = <NodeArg?>arg
        info.name, info.type = self.text(described.name), self.text(described.type)
        info.kind, info.element_type = described.kind, described.element_type
        info.rank = len(described._shape)
        info.shape, info.symbols = self.sizes + used[0], self.symbols + used[0]
        for size in described._shape:
            self.sizes[used[0]] = size if isinstance(size, int) else -1
            if isinstance(size, str):
                self.symbols[used[0]] = self.text(size)
            used[0] += 1
        return 0

    cdef int describe_files(self, ModelSource model) except -1:
        cdef SourceFile *file
        self.model = self.text(model.path or "a buffer")
        self.files = <SourceFile *>calloc(len(model.files) + 1, sizeof(SourceFile))
        if self.files == NULL:
            raise MemoryError()
        for path, size, _ in model.files:
            file = &self.files[self.file_count]
            file.path = <const ortmmap_path_char *>self.keep(native_path(path))
            file.name, file.size = self.text(path), size
            self.file_count += 1
        return 0

    cdef const char *text(self, str value) except NULL:
        return self.keep(value.encode("utf-8", "replace"))

    cdef const char *keep(self, bytes value) except NULL:
        self.kept.append(value)
        return value


cdef ortmmap_session *new_handle(Session session) except NULL:
    """Make a handle, which the caller releases."""
    cdef OpenSession open_ = session._here()
    open_.begin()   # close() refuses from here on, and later because of the handle
    try:
        return handle_of(session, open_)
    finally:
        open_.leave()


cdef ortmmap_session *handle_of(Session session, OpenSession open_) except NULL:
    cdef Description description
    cdef Handle *handle
    description = Description(open_.inputs + open_.outputs + open_.overridable, open_.model)
    handle = <Handle *>calloc(1, sizeof(Handle))
    if handle == NULL:
        raise MemoryError()
    handle.count = 1
    handle.session = open_.session
    handle.input_count, handle.inputs = len(open_.inputs), description.infos
    handle.output_count = len(open_.outputs)
    handle.outputs = handle.inputs + handle.input_count
    handle.initializer_count = len(open_.overridable)
    handle.initializers = handle.outputs + handle.output_count
    handle.files, handle.file_count = description.files, description.file_count
    handle.model = description.model
    if open_.model.mapping is not None:
        handle.mapping = open_.model.mapping._mapping.data
        handle.mapping_size = open_.model.mapping._mapping.size
    handle.open = <PyObject *>open_
    handle.python = <PyObject *>session
    handle.description = <PyObject *>description
    Py_INCREF(open_)
    Py_INCREF(session)
    Py_INCREF(description)
    ortmmap_count_add(&open_.handles, 1)
    return <ortmmap_session *>handle


# --- use ---

cdef int check(const ortmmap_session *session, ortmmap_error *error) noexcept nogil:
    """Return whether the session may be run now."""
    cdef const Handle *handle = <const Handle *>session
    cdef int code
    if handle == NULL:
        return fail(error, ORTMMAP_INVALID_ARGUMENT, b"session is NULL")
    code = enter(handle, error)
    if code == ORTMMAP_OK:
        code = leave(handle, error)
    return succeed(error) if code == ORTMMAP_OK else code


cdef int fail_use(const Handle *handle, Use use, ortmmap_error *error) noexcept nogil:
    """Write why the session may not be used."""
    if use == FORKED:
        return fail(
            error, ORTMMAP_FORKED,
            b"the handle was made before a fork, and belongs to the parent process",
        )
    if use == CHANGED:
        return fail_changed(handle, error)
    return fail(error, ORTMMAP_CLOSED, b"the session is closed")


cdef int fail_changed(const Handle *handle, ortmmap_error *error) noexcept nogil:
    """Name the file that is shorter than it was, as ModelChangedError does."""
    cdef const SourceFile *file
    cdef ortmmap_file_identity now
    cdef ortmmap_mapping_error ignored
    cdef size_t index
    for index in range(handle.file_count):
        file = &handle.files[index]
        if ortmmap_file_identity_get(file.path, &now, &ignored) != ORTMMAP_MAPPING_OK:
            continue
        if now.size < file.size:
            return fail_file(
                error, ORTMMAP_MODEL_CHANGED, file.name,
                b"was truncated while it was in use: expected %llu bytes, found %llu",
                file.size, now.size,
            )
    return fail_file(
        error, ORTMMAP_MODEL_CHANGED, handle.model,
        b"the file, or its entry in the cache, could not be read while it was in use", 0, 0,
    )


# --- borrowed, constant ---

cdef size_t input_count(const ortmmap_session *session) noexcept nogil:
    return 0 if session == NULL else (<const Handle *>session).input_count


cdef size_t output_count(const ortmmap_session *session) noexcept nogil:
    return 0 if session == NULL else (<const Handle *>session).output_count


cdef const ortmmap_value_info *input_at(
    const ortmmap_session *session, size_t index
) noexcept nogil:
    if index >= input_count(session):
        return NULL
    return (<const Handle *>session).inputs + index


cdef const ortmmap_value_info *output_at(
    const ortmmap_session *session, size_t index
) noexcept nogil:
    if index >= output_count(session):
        return NULL
    return (<const Handle *>session).outputs + index


cdef ort.OrtSession *ort_session(const ortmmap_session *session) noexcept nogil:
    return NULL if session == NULL else (<const Handle *>session).session


cdef const ort.OrtApi *ort_api(const ortmmap_session *session) noexcept nogil:
    if session == NULL:
        return NULL
    return api


cdef const void *mapping(const ortmmap_session *session, size_t *size) noexcept nogil:
    if size != NULL:
        size[0] = 0 if session == NULL else (<const Handle *>session).mapping_size
    if session == NULL:
        return NULL
    return (<const Handle *>session).mapping
