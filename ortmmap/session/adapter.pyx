"""LoraAdapter: the parameters of a fine-tuned model, which runs feed to it."""

cimport cython

from ortmmap.runtime.library cimport api, check, forks, intact_since, load, native_path


cdef class Parameters:
    """ONNX Runtime's adapter: a mapped file of parameters. Run options keep it."""

    def __cinit__(self):
        self.forks = forks

    def __dealloc__(self):
        if self.adapter != NULL and self.forks >= intact_since:
            api.ReleaseLoraAdapter(self.adapter)

    cdef ort.OrtLoraAdapter *usable(self) except NULL:
        """Return the adapter; raise RuntimeError after a fork that was not clean."""
        if self.forks < intact_since:
            raise RuntimeError(
                "the LoraAdapter was loaded before a fork, at which another thread was inside ONNX "
                "Runtime: load it again"
            )
        return self.adapter


cdef class Loading:
    """The method `LoraAdapter.Load`, which the class has as well as its instances."""

    def __get__(self, adapter, owner):
        return owner.__new__(owner)._load_new if adapter is None else adapter._load


cdef class LoraAdapter:
    """Parameters of a fine-tuned model (LoRA), for `RunOptions.add_active_adapter`.

    ``Load(path)`` maps an adapter's file. On an instance it replaces what the adapter held, as in
    onnxruntime, and returns None; on the class it returns a new adapter. Options that an adapter
    was added to keep the parameters that it had then.

    Examples
    --------
    >>> adapter = ortmmap.LoraAdapter()
    >>> adapter.Load("mine.onnx_adapter")
    >>> options = ortmmap.RunOptions()
    >>> options.add_active_adapter(adapter)
    >>> session.run(None, feed, options)
    """

    Load = Loading()

    def __init__(self):
        pass   # refuses arguments

    def _load(self, adapter_path) -> None:
        """Map an adapter's file.

        Parameters
        ----------
        adapter_path : str or os.PathLike

        Raises
        ------
        OrtError
            If the file cannot be read, or is not an adapter.
        """
        parameters = parameters_of(adapter_path)
        with cython.critical_section(self):   # what they were is dropped outside
            self.parameters, parameters = parameters, self.parameters
            self._loaded_path, adapter_path = adapter_path, self._loaded_path

    @property
    def _path(self):
        """The file of the parameters, for onnxruntime's class; None if none is loaded."""
        with cython.critical_section(self):
            return self._loaded_path

    cdef Parameters loaded(self):
        """Return the parameters; None if none are loaded."""
        with cython.critical_section(self):
            return self.parameters

    def _load_new(self, adapter_path):
        """Map an adapter's file, and return the adapter; the arguments are those of `_load`."""
        self._load(adapter_path)
        return self


cdef Parameters parameters_of(object adapter_path):
    cdef Parameters made = Parameters.__new__(Parameters)
    cdef bytes path = native_path(adapter_path)
    cdef const ort.ORTCHAR_T *name = <const ort.ORTCHAR_T *><const char *>path
    load()
    with nogil:
        check(api.CreateLoraAdapter(name, NULL, &made.adapter))
    return made
