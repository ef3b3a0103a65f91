"""Creation: ONNX Runtime's sessions of one model, with one set of options.

A model can be given to ONNX Runtime in several forms, such as an ONNX file itself, or its skeleton
whose weights stay in the file. Each form is an `Attempt`; the session is created from the first
that ONNX Runtime accepts.
"""

cimport cython

from ortmmap.model.weights cimport Weight
from ortmmap.session.metadata cimport inputs_of, outputs_of, overridable_initializers_of
from ortmmap.session.native_options cimport default_threads, make_session_options
from ortmmap.runtime.library cimport (
    api,
    check,
    enter_runtime,
    env,
    hold_forks,
    leave_runtime,
    let_forks,
    library_minor,
    native_path,
    raise_status,
)

import os
import sys

from ortmmap.errors import OrtError
from ortmmap.model.read_ahead import read_ahead

# Keys of onnxruntime_session_options_config_keys.h.
LOAD_FORMAT = "session.load_model_format"
EXTERNAL_FOLDER = "session.model_external_initializers_file_folder_path"

ONNX = {LOAD_FORMAT: "ONNX"}

DESCRIPTORS = "/proc/self/fd"
LEAST_SECURE_OPENING = 31   # from ONNX Runtime 1.31 on, Linux's external data is checked by /proc


@cython.final
cdef class Attempt:
    """A form of a model: `data`, else `file`, else the bytes held.

    Parameters
    ----------
    options : SessionOptions
    config : dict of str to str
        Configuration entries that `options` does not have.
    data : bytes, optional
    file : str, optional
    weights : list of Weight, optional
        Initializers that are not in `data`.
    """

    def __init__(
        self, options, dict config, bytes data=None, str file=None, list weights=None
    ):
        self.options, self.config = options, config
        self.data, self.file, self.weights = data, file, weights


cdef class Creation:
    """ONNX Runtime's sessions of one model, with one set of options."""

    def __cinit__(
        self,
        ModelSource model,
        Skeleton skeleton,
        options,
        dict config,
        list providers,
        *args,
    ):
        self.model, self.skeleton = model, skeleton
        self.options, self.config, self.providers = options, config, providers
        self.initializers = Initializers(options)
        self.threads = default_threads(options)
        self.entries = []
        self.reads_model = True

    cdef ort.OrtSession *create_found(self) except? NULL:
        """Create the session from the cache alone; return NULL if it lacks an entry."""
        return NULL

    cdef ort.OrtSession *create(self, list attempts) except NULL:
        """Create the session that is handed out; the caller releases it."""
        return self.try_each(attempts)

    cdef bint hand_out(self) except -1:
        """Start the work that remains after the session has been handed out.

        Return whether that gives the memory back which creating the session has freed.
        """
        return False

    cdef int give_up(self) except -1:
        """Drop that work, because the session is not handed out."""
        return 0

    cdef ort.OrtSession *try_each(self, list attempts) except NULL:
        """Create a session of the first attempt that succeeds; raise the last one's error."""
        *first, last = attempts
        for attempt in first:
            try:
                return self._create_of(attempt)
            except OrtError:
                continue
        return self._create_of(last)

    cdef tuple signature(self, list attempts):
        """Create a session, and return the names, types and shapes of its inputs and outputs."""
        cdef ort.OrtSession *session = self.try_each(attempts)
        try:
            return tuple(
                [
                    [(arg.name, arg.type, arg.shape) for arg in args]
                    for args in (
                        inputs_of(session),
                        outputs_of(session),
                        overridable_initializers_of(session),
                    )
                ]
            )
        finally:
            with nogil:
                enter_runtime()
                api.ReleaseSession(session)
                leave_runtime()

    cdef list in_place(self, object options):
        """Return the attempts for a session whose weights stay in the ONNX file."""
        config = {**ONNX, **self.config}
        # Some kernels accept no external data: the file itself is the last attempt.
        attempts = [Attempt(options, config, file=self.model.path)]
        if self._is_skeleton_usable(options):
            config = {EXTERNAL_FOLDER: self.model.folder(), **config}
            attempts.insert(0, Attempt(options, config, data=self.skeleton.model))
        return attempts

    cdef list in_memory(self, object options):
        """Return the attempts for a session of the ONNX bytes held, which ONNX Runtime copies.

        External data is still read by its path.
        """
        config = {**ONNX, **self.config}
        if not self.is_in_one_folder():
            return [Attempt(options, config, file=self.model.path)]
        if self.skeleton.external_locations:
            config.setdefault(EXTERNAL_FOLDER, self.model.folder())
        return [Attempt(options, config)]

    cdef bint is_in_one_folder(self) except -1:
        """Whether the model and its external data lie in the one folder that ONNX Runtime is given.

        Given a model in memory it follows no link out of the folder; given a path it does.
        """
        if not self.skeleton.external_locations:
            return True
        folder = self.model.folder()
        if os.path.realpath(os.path.dirname(os.path.abspath(self.model.path))) != folder:
            return False
        files = map(os.path.realpath, external_files(self.model, self.skeleton))
        return all(file.startswith(os.path.join(folder, "")) for file in files)

    cdef Py_ssize_t nbytes(self) except -1:
        """Size of the model's files, in bytes."""
        return sum([size for _, size, _ in self.model.files])

    cdef int use_entry(self, object entry) except -1:
        """Hold an entry of the cache while the session is open, and guard its files."""
        folder = os.path.realpath(entry.folder)
        self.entries.append(entry)
        return self.model.guard_files([os.path.join(folder, file.name) for file in entry.files])

    cdef int _prepare(self, NativeOptions native) except -1:
        """Change ONNX Runtime's options before a session is created with them."""
        return 0

    cdef list _files_to_read(self):
        """Return the files that kernels read while the session is created, or in its first run.

        With their sizes in bytes.
        """
        return [(path, size) for path, size, _ in self.model.files] if self.reads_model else []

    cdef bint _is_skeleton_usable(self, object options) except -1:
        """Whether the skeleton finds all its data in the one folder that ONNX Runtime is given."""
        return (
            self.skeleton.model is not None
            and EXTERNAL_FOLDER not in options._config
            and self.is_in_one_folder()
            and is_external_data_opened()
        )

    cdef ort.OrtSession *_create_of(self, Attempt attempt) except NULL:
        cdef bytes data = attempt.data
        if data is not None:
            return self._create_native(attempt, <char *>data, len(data), b"")
        if attempt.file is not None:
            return self._create_native(attempt, NULL, 0, native_path(attempt.file))
        return self._create_native(attempt, self.model.bytes.buf, self.model.bytes.len, b"")

    cdef ort.OrtSession *_create_native(
        self, Attempt attempt, const void *data, size_t size, bytes path
    ) except NULL:
        """Call ONNX Runtime, with the bytes at `data` or, if that is NULL, a file."""
        cdef NativeOptions native
        cdef ort.OrtSession *session = NULL
        cdef ort.OrtStatus *status
        if not self.is_reading:
            self.is_reading = True
            read_ahead(self._files_to_read())
        cdef const ort.ORTCHAR_T *file = <const ort.ORTCHAR_T *><const char *>path
        native = make_session_options(
            attempt.options, attempt.config, self.providers, self.initializers, self.threads
        )
        try:
            self._prepare(native)
            if attempt.weights is not None:
                add_weights(native.options, attempt.weights)
            with nogil:
                hold_forks()
                if data != NULL:
                    status = api.CreateSessionFromArray(env, data, size, native.options, &session)
                else:
                    status = api.CreateSession(env, file, native.options, &session)
                let_forks()
        finally:
            native.release()
        if status != NULL:
            raise_status(status, self.model.path)
        self.model.weights = attempt.weights   # they must outlive the session
        return session


cdef int add_weights(ort.OrtSessionOptions *options, list weights) except -1:
    """Have a session use values instead of the initializers of these names."""
    cdef Weight weight
    for weight in weights:
        check(api.AddInitializer(options, weight.name, weight.value.value))
    return 0


cdef bint is_external_data_opened() except -1:
    """Whether ONNX Runtime can open external data, which it reports as an error if it cannot."""
    if sys.platform != "linux" or library_minor < LEAST_SECURE_OPENING:
        return True
    return os.path.exists(DESCRIPTORS)


cdef list external_files(ModelSource model, Skeleton skeleton):
    """List the paths of a model's files of external data, in a fixed order."""
    folder = os.path.dirname(os.path.abspath(model.path))
    return [os.path.join(folder, os.fsdecode(name)) for name in sorted(skeleton.external_locations)]
