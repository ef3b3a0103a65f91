"""Opening: how a session is opened.

ORT format is used where it is mapped. An ONNX file becomes a skeleton whose weights stay in the
file; with a cache, it is opened from the graph that an earlier session has optimized and saved, and
its prepacked weights become pages that processes share.
"""

cimport cython
from cpython.bytes cimport PyBytes_CheckExact

from ortmmap.cache.prepack cimport await_start, begin_start
from ortmmap.model.mapping cimport abandon_guards, guards_have_users
from ortmmap.model.skeleton cimport extended, scan_onnx
from ortmmap.model.zip_map cimport has_sequence_output
from ortmmap.session.creation cimport Attempt, external_files
from ortmmap.session.open_session cimport is_inheritable, open_session
from ortmmap.runtime.library cimport api, examine_forks
from ortmmap.process.guard cimport (
    ortmmap_count,
    ortmmap_count_add,
    ortmmap_count_get,
    ortmmap_count_set,
)
from ortmmap.process.interpreter_held cimport ORTMMAP_FREE_THREADED, ortmmap_interpreter_lock_held

import os

from ortmmap.cache import is_used
from ortmmap.cache.key import Key, Source, options_signature, runtime_signature
from ortmmap.cache.store import open_store
from ortmmap.errors import (
    PARSING_FAILED,
    InvalidProtobuf,
    ModelChangedError,
    OrtError,
    file_error,
    from_status,
)
from ortmmap.model.mapping import check_sources
from ortmmap.model.skeleton import DEFAULT_THRESHOLD
from ortmmap.runtime.providers import CPU
from ortmmap.session.creation import LOAD_FORMAT, ONNX
from ortmmap.session.prepacking import PrepackedCreation
from ortmmap.session.recorded_creation import is_prepacked

# Keys of onnxruntime_session_options_config_keys.h.
MAPPED_ORT = {
    LOAD_FORMAT: "ORT",
    "session.use_ort_model_bytes_directly": "1",
    "session.use_ort_model_bytes_for_initializers": "1",
}

SAVE_CONTEXT = "ep.context_enable"

ORT_IDENTIFIER = b"ORTM"   # of the flatbuffer
INVALID_PROTOBUF = 7
MOST_STARTS = 3   # with the file that the path names then

cdef ortmmap_count _python_forks   # 1 during os.fork()


cdef bint is_clean_fork() noexcept nogil:
    """Return, in the child of a fork, whether no other thread was inside ONNX Runtime.

    Such a thread has no interpreter lock, and is a user of a guard or counted by enter_runtime().
    If the forking thread itself has no interpreter lock, another one may be inside with it. So it
    may without such a lock, unless Python forks, which stops the other threads outside of calls.
    """
    if ORTMMAP_FREE_THREADED and not ortmmap_count_get(&_python_forks):
        return False
    return ortmmap_interpreter_lock_held() and not guards_have_users()


def _before_fork():
    ortmmap_count_set(&_python_forks, 1)


def _after_fork():
    ortmmap_count_set(&_python_forks, 0)


if ORTMMAP_FREE_THREADED and hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
examine_forks(is_clean_fork, abandon_guards)


class Replaced(ModelChangedError):
    """Another file has replaced the model's while a session was created of it."""


cdef class Opening:
    """One opening of a session.

    Parameters
    ----------
    source : str, os.PathLike, buffer or OpenSession
        The model; or an open session of it, for another one over the same mapping.
    options : SessionOptions
    config : dict of str to str
        Configuration entries that `options` does not have.
    providers : list of (str, dict)
        Names and options of execution providers, first choice first.
    cache : bool, str, os.PathLike or None
        As for `Session`.
    prefault, lock : bool
        As for `Session`.
    """

    def __init__(
        self,
        source,
        options not None,
        dict config not None,
        list providers not None,
        cache=None,
        *,
        bint prefault=False,
        bint lock=False,
    ):
        self.options, self.config, self.providers = options, config, providers
        self.cache, self.zip_maps = cache, []
        if isinstance(source, OpenSession):
            self._use_again(source)
        else:
            self.model = ModelSource(source, prefault=prefault, lock=lock)

    cpdef OpenSession open(self):
        """Create ONNX Runtime's session, and return it with the objects that it needs.

        Without an entry in the cache, ONNX Runtime opens an ONNX file again by its path. If another
        file has replaced it meanwhile, start again with that one; after `MOST_STARTS` attempts,
        give ONNX Runtime the mapped bytes, which it copies.
        """
        try:
            for _ in range(MOST_STARTS):
                try:
                    return self._open()
                except OrtError as error:
                    if not self._is_replaced(error):
                        raise
                self.model = ModelSource(
                    self.model.path, prefault=self.model.prefault, lock=self.model.lock
                )
                self.skeleton = self.store = self.key = None
            self.in_memory = True
            return self._open()
        finally:
            await_start()

    cdef bint _is_replaced(self, object error) except -1:
        """Whether a session could not be created because another file has replaced the model's."""
        if self.first is not None or self.model.path is None:
            return False
        if isinstance(error, Replaced):
            return True
        if self.skeleton is None:
            return False
        # The guard is marked, but the file is whole: a truncated one had its path for a moment.
        marked = ortmmap_count_get(&self.model.guard.changed) != 0
        return self.model.is_replaced() or (marked and not self.model.changed())

    cdef OpenSession _open(self):
        """Create the session, and start the work that is left for the cache."""
        cdef OpenSession made
        try:
            made = self._create_open()
            made.cached = self.creation.cached
            if not self.creation.hand_out():
                made.give_back_freed()
        except BaseException:
            if self.creation is not None:
                self.creation.give_up()
            raise
        return made

    cdef OpenSession _create_open(self):
        cdef ort.OrtSession *session = NULL
        cdef OpenSession made
        ortmmap_count_add(&self.model.guard.users, 1)
        try:
            session = self._create()
        except OrtError as error:
            self.model.check_whole()   # zeros stand for lost bytes: the file is to blame
            self._explain(error)
            raise
        finally:
            ortmmap_count_add(&self.model.guard.users, -1)
        if ortmmap_count_get(&self.model.guard.changed):
            api.ReleaseSession(session)
            raise self.model.gone()
        made = open_session(
            session,
            self.model,
            self.creation.recording,
            self.creation.initializers,
            self.store,
            self.key,
            self.creation.entries,
            is_inheritable(
                self.options, self.config, self.providers, self.creation.threads
            ),
            self.nbytes,
        )
        if self.creation.found_graph is not None and made.returns_maps():
            from ortmmap.model.zip_map import find_zip_maps

            self.zip_maps = find_zip_maps(self.creation.found_graph)
        if self.zip_maps:
            made.use_zip_maps(self.zip_maps)
        return made

    cdef int _explain(self, object error) except -1:
        """Add the kind of file to an error, if the file is not a model."""
        from ortmmap.model.file_kind import explain

        if self.model.bytes.buf != NULL and error.provider is None:
            explain(error, <object>self.model.bytes.obj)
        return 0

    cdef int _use_again(self, OpenSession first) except -1:
        """Use the bytes of an open session; if it no longer holds them, its file."""
        cdef ModelSource model = first.held_model()
        if model.holds_model():
            self.model, self.first = model.again(), first
            with cython.critical_section(first):
                self.store, self.key, self.entries = first.store, first.key, first.entries
            return 0
        if model.path is None:
            raise RuntimeError(
                "the session was made from a buffer in ONNX format, which it does not keep (only "
                "bytes objects): make another one"
            )
        check_sources(model.files)
        self.model = ModelSource(model.path, prefault=model.prefault, lock=model.lock)
        return 0

    cpdef tuple cache_key(self):
        """Return the key of the model's entries, and their kinds; (None, ()) without the cache."""
        self._look(self._is_ort_format())
        if not self._uses_cache():
            return None, ()
        kinds = ["model"] if self.skeleton is not None else []
        return self._key(), (*kinds, *(["pages"] if is_prepacked(self.options) else []))

    cdef int _look(self, bint ort_format) except -1:
        """Find out all that is needed of the model before a session is created."""
        self._find_zip_maps(ort_format)
        if self.model.path is not None and not ort_format:
            if self.first is not None:
                check_sources(self.model.files)   # ONNX Runtime maps them anew, by their names
            self._scan()
        self.nbytes = self.model.bytes.len
        if self.skeleton is not None:
            self.nbytes += self.skeleton.external_bytes
        return 0

    cdef ort.OrtSession *_create(self) except NULL:
        cdef bint ort_format = self._is_ort_format()
        cdef ort.OrtSession *session = NULL if ort_format else self._create_unscanned()
        if session != NULL:
            return session
        self._look(ort_format)
        if self.first is None and not self.in_memory and self._uses_cache():
            self._find_cache()
        self.creation = self._new_creation()
        if self.skeleton is None:
            return self._create_in_place(ort_format)
        return self._create_of_onnx()

    cdef ort.OrtSession *_create_unscanned(self) except? NULL:
        """Create a session of an ONNX file from the cache; return NULL if that lacks an entry.

        Only models without external data and without added outputs have entries of such a key.
        """
        cdef ort.OrtSession *session = NULL
        if self.model.path is None or self.first is not None or self.in_memory:
            return NULL
        self.added, self.skeleton, self.nbytes = b"", Skeleton(), self.model.bytes.len
        if self._uses_cache():
            self._find_cache()
        if self.store is not None:
            self.creation = self._new_creation()
            try:
                session = self.creation.create_found()
            except OrtError:
                pass   # it is created of the file, or fails in the same way
        if session == NULL:
            self.skeleton = self.creation = None
        return session

    cdef ort.OrtSession *_create_in_place(self, bint ort_format) except NULL:
        """Create a session of a buffer, or of bytes in ORT format, which stay where they are."""
        cdef ort.OrtSession *session
        cdef ModelSource model = self.model
        cdef bytes data = extended(<unsigned char *>model.bytes.buf, model.bytes.len, self.added)
        config = {**(MAPPED_ORT if ort_format else ONNX), **self.config}
        attempts = [Attempt(self.options, config)]
        if data is not None:
            attempts.insert(0, Attempt(self.options, config, data))
        session = self.creation.create(attempts)
        if not ort_format and not PyBytes_CheckExact(<object>self.model.bytes.obj):
            self.model.release()   # ONNX Runtime has parsed them, and keeps no pointer into them
        return session

    cdef ort.OrtSession *_create_of_onnx(self) except NULL:
        """Create a session of an ONNX file."""
        cdef ModelSource model = self.model
        cdef Creation creation = self.creation
        cdef ort.OrtSession *session = creation.create(
            creation.in_memory(self.options) if self.in_memory else creation.in_place(self.options)
        )
        try:
            if model.is_replaced() and not self.in_memory:
                raise file_error(
                    Replaced if self.first is None else ModelChangedError,
                    "was replaced while a session was created of it",
                    model.path,
                )
        except BaseException:
            api.ReleaseSession(session)
            raise
        if self.in_memory or not self.skeleton.externalized:
            if model.holds_model() and not model.lock:
                model.release()   # ONNX Runtime has parsed them, and keeps no pointer into them
        return session

    cdef bint _is_ort_format(self) except -1:
        """Whether the bytes are in ORT format: by the options, else by their identifier."""
        named = self.options._config.get(LOAD_FORMAT)
        return named == "ORT" if named else self.model.has_identifier(ORT_IDENTIFIER)

    cdef int _find_zip_maps(self, bint ort_format) except -1:
        """Find the ZipMaps of an ONNX model, and the bytes that make their inputs outputs.

        A model that the session saves keeps the outputs that it has.
        """
        cdef ModelSource model = self.model
        cdef const unsigned char *data = <const unsigned char *>model.bytes.buf
        self.zip_maps, self.added = [], b""
        if ort_format or not has_sequence_output(data, model.bytes.len, model.mapped_file()):
            return 0
        from ortmmap.model.zip_map import added_outputs, find_zip_maps

        self.zip_maps = find_zip_maps(<object>model.bytes.obj)
        if not self._saves_model():
            self.added = added_outputs(self.zip_maps)
        return 0

    cdef bint _saves_model(self) except -1:
        """Whether ONNX Runtime writes the model that it makes to a file of the user's."""
        saves_context = self.options._config.get(SAVE_CONTEXT) == "1"
        return bool(self.options.optimized_model_filepath) or saves_context

    cdef int _scan(self) except -1:
        """Find the weights that can stay in an ONNX file, and its files of external data."""
        cdef ModelSource model = self.model
        try:
            self.skeleton = scan_onnx(
                <const unsigned char *>model.bytes.buf,
                model.bytes.len,
                model.path,
                model.file_name(),
                DEFAULT_THRESHOLD,
                self.added,
                model.mapped_file(),
            )
        except InvalidProtobuf as error:
            raise self._parsing_failed(error.message) from None
        if self.skeleton.oversized:
            raise self._parsing_failed(
                f"expected at most 2 GiB, which is what protobuf holds, found {model.bytes.len} "
                "bytes"
            )
        return model.note_files(external_files(model, self.skeleton))

    cdef object _parsing_failed(self, str reason):
        """Return the exception for a file that is no ONNX model."""
        path = self.model.path
        return from_status(INVALID_PROTOBUF, f"{PARSING_FAILED.format(path)} ({reason})", path)

    cdef bint _uses_cache(self) except -1:
        """Whether the session uses the cache."""
        cdef size_t nodes = 0
        cdef size_t convolutions = 0
        if self.skeleton is not None:
            nodes, convolutions = self.skeleton.nodes, self.skeleton.convolutions
        return self.model.path is not None and is_used(
            self.cache,
            self.options,
            model_bytes=self.nbytes,
            cpu_only=self._is_cpu_only(),
            nodes=nodes,
            convolutions=convolutions,
        )

    cdef bint _is_cpu_only(self) except -1:
        return all([name == CPU for name, _ in self.providers])

    cdef int _find_cache(self) except -1:
        """Find the cache, and this session's key in it."""
        if is_prepacked(self.options):
            begin_start()
        self.store = self.store or open_store(self.cache, self.model.path)
        if self.store is None:
            return 0
        if self.key is None or self.added or (
            self.skeleton is not None and self.skeleton.external_locations
        ):
            self.key = self._key()   # else it is that of before the scan
        return 0

    cdef object _key(self):
        """Return the key of everything that the cache's entries are made from."""
        sources = [Source(os.path.abspath(self.model.path), *self.model.mapping.identity)]
        if self.skeleton is not None:
            sources.extend(map(Source.of, external_files(self.model, self.skeleton)))
        settings = {
            **runtime_signature(), "options": options_signature(self.options), "more": self.config
        }
        if not self._is_cpu_only():
            settings["providers"] = self.providers
        if self.added:
            settings["added"] = self.added   # the saved graph has these outputs too
        return Key(sources, settings)

    cdef Creation _new_creation(self):
        cdef Creation made
        if self.store is None:
            made = Creation(
                self.model, self.skeleton, self.options, self.config, self.providers
            )
        else:
            made = PrepackedCreation(
                self.model, self.skeleton, self.options, self.config, self.providers,
                self.store, self.key,
            )
        if self.first is not None:
            made.entries.extend(self.entries or ())
        return made
