"""Reopenable: an open session, with the settings to open it again."""

cimport cython

from ortmmap.runtime.library cimport ProcessLock
from ortmmap.session.open_session cimport OpenSession
from ortmmap.session.opening cimport Opening

from ortmmap.errors import OrtError, warn_caller
from ortmmap.model.mapping import check_sources
from ortmmap.runtime.library import get_available_providers
from ortmmap.runtime.providers import normalize

cdef ProcessLock _reopening = ProcessLock()   # held while a session is opened again after a fork


cdef class Reopenable:
    """An open session, with the settings to open it again.

    It is opened again with other providers, in a forked child, as a copy, and in another process.
    """

    def __cinit__(self):
        self.open = OpenSession.__new__(OpenSession)
        self.fallback = True

    cdef int configure(self, object options, dict config, object cache, dict mapped) except -1:
        """Set the arguments of every `Opening`; `mapped` are its `prefault` and `lock`.

        A session is opened again, and the cache filled, as it was opened first: what the user does
        to the options afterwards is for other sessions.
        """
        self.options, self.config = options._snapshot(), config
        self.cache, self.mapped = cache, mapped
        return 0

    cdef OpenSession current(self):
        """Return the `OpenSession`, which other threads may close or replace."""
        with cython.critical_section(self):
            return self.open

    cdef object current_source(self):
        with cython.critical_section(self):
            return self.source

    cdef list current_providers(self):
        with cython.critical_section(self):
            return self.providers

    cdef OpenSession here(self):
        """Return the `OpenSession`, which may be used: another one if it did not survive a fork."""
        cdef OpenSession open_ = self.current()
        if not open_.is_of_this_process():
            with _reopening.here():
                open_ = self.current()
                if not open_.is_of_this_process() and not open_.is_closed():
                    providers = self.current_providers()
                    open_ = self.open_with(open_, providers)
                    self.use(open_, providers)
        open_.check_open()
        return open_

    cdef OpenSession open_with(self, object source, list providers):
        """Open the model; of an `OpenSession`, another session over the same mapping."""
        cdef Opening opening = Opening(
            source, self.options, self.config, providers, self.cache, **self.mapped
        )
        return opening.open()

    cdef OpenSession open_with_fallback(self, object source, list providers):
        """Open the model, and remove providers that cannot be added from the list."""
        while True:
            try:
                return self.open_with(source, providers)
            except OrtError as error:
                failed = error.provider
                if failed is None:
                    raise
                warn_caller(f"{failed} cannot be added and is left out: {error}")
            providers[:] = [pair for pair in providers if pair[0] != failed]

    cdef int use(self, OpenSession open_, list providers) except -1:
        """Run with `open_` from here on."""
        source = open_.held_model().reopenable()
        with cython.critical_section(self):   # what they were is dropped outside
            self.open, open_ = open_, self.open
            self.source, source = source, self.source
            self.providers, providers = providers, self.providers
        return 0

    cdef int set_providers(self, list providers) except -1:
        """Open the model with other providers; if that fails, the session stays as it was."""
        source = self.current_source()
        if providers == self.current_providers():
            return 0
        if source is None:
            raise NotImplementedError(
                "the session was made from a buffer in ONNX format, which it does not keep: make "
                "another one with these providers"
            )
        return self.use(self.open_with(source, providers), providers)

    cdef dict arguments(self):
        """Return the path or the buffer if it is still held, and the arguments as they were given.
        """
        source = self.current_source()
        if self.initial_path is not None and source is not None:
            source = self.initial_path
        return {
            "source": source,
            "sess_options": self.initial_options,
            "enable_fallback": self.fallback,
        }

    cdef dict settings(self):
        """Return the settings for restore(), which can be pickled."""
        return {
            "sources": self.current().held_model().files,
            "options": self.options,
            "config": self.config,
            "cache": self.cache,
            "mapped": self.mapped,
            "providers": self.current_providers(),
        }

    cdef int restore(self, object source, dict settings) except -1:
        """Open a session with the settings of another one, if its files have not changed."""
        check_sources(settings["sources"])
        self.configure(
            settings["options"], settings["config"], settings["cache"], settings["mapped"]
        )
        providers = normalize(settings["providers"], None, get_available_providers())
        return self.use(self.open_with(source, providers), providers)

    cdef int close(self) except -1:
        """Release the session, unless it is in use."""
        self.current().close()
        with cython.critical_section(self):
            _dropped, self.source = self.source, None
        return 0
