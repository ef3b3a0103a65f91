"""OrtMemoryInfo, and allocators of the environment, which sessions share."""

from libc.stdint cimport int32_t, uint32_t

from ortmmap.runtime.provider_append cimport Texts
from ortmmap.cache.prepack cimport creating, give_way, settle
from ortmmap.runtime.library cimport api, check, env, load

from collections.abc import Mapping as AbstractMapping

from ortmmap.errors import InvalidArgument
from ortmmap.values.memory import (
    OrtAllocatorType,
    OrtArenaCfg,
    OrtDeviceMemoryType,
    OrtMemoryInfoDeviceType,
    OrtMemType,
)

# Names of the memory with a registered allocator. Only added to; a set has a lock of its own.
cdef set _registered = set()


cdef class OrtMemoryInfo:
    """A kind of memory: ``onnxruntime.OrtMemoryInfo``.

    Parameters
    ----------
    name : str
        A name that ONNX Runtime knows, such as ``Cpu``.
    allocator_type : OrtAllocatorType
    device_id : int
    mem_type : OrtMemType

    Raises
    ------
    InvalidArgument
        If ONNX Runtime knows no memory of that name; `create_v2` accepts any name.
    """

    def __init__(self, name, allocator_type, device_id, mem_type):
        cdef bytes encoded = _text(name, "name")
        cdef int type_ = _member(OrtAllocatorType, allocator_type)
        cdef int32_t id_ = _int32(device_id, "device_id")
        cdef int memory_type = _member(OrtMemType, mem_type)
        if self.memory != NULL:
            raise RuntimeError("this OrtMemoryInfo is made already")
        load()
        check(api.CreateMemoryInfo(
            encoded, <ort.OrtAllocatorType>type_, id_, <ort.OrtMemType>memory_type, &self.memory
        ))

    def __dealloc__(self):
        if self.memory != NULL:
            api.ReleaseMemoryInfo(self.memory)

    @staticmethod
    def create_v2(name, device_type, vendor_id, device_id, mem_type, alignment, allocator_type):
        """Describe memory of any kind of device.

        Parameters
        ----------
        name : str
            Any name.
        device_type : OrtMemoryInfoDeviceType
        vendor_id : int
            The vendor's PCI id.
        device_id : int
            Number of the device among those of its kind.
        mem_type : OrtDeviceMemoryType
        alignment : int
            In bytes; 0 for the default.
        allocator_type : OrtAllocatorType

        Returns
        -------
        OrtMemoryInfo
        """
        cdef OrtMemoryInfo made = OrtMemoryInfo.__new__(OrtMemoryInfo)
        cdef bytes encoded = _text(name, "name")
        cdef int device = _member(OrtMemoryInfoDeviceType, device_type)
        cdef uint32_t vendor = _bounded(vendor_id, "vendor_id", 0, 2**32 - 1)
        cdef int32_t id_ = _int32(device_id, "device_id")
        cdef int memory_type = _member(OrtDeviceMemoryType, mem_type)
        cdef size_t aligned = _bounded(alignment, "alignment", 0, 2**64 - 1)
        cdef int type_ = _member(OrtAllocatorType, allocator_type)
        load()
        check(api.CreateMemoryInfo_V2(
            encoded,
            <ort.OrtMemoryInfoDeviceType>device,
            vendor,
            id_,
            <ort.OrtDeviceMemoryType>memory_type,
            aligned,
            <ort.OrtAllocatorType>type_,
            &made.memory,
        ))
        return made

    @property
    def name(self) -> str:
        """The name of the memory."""
        cdef const char *name = NULL
        check(api.MemoryInfoGetName(self.made(), &name))
        return name.decode("utf-8", "replace")

    @property
    def device_id(self) -> int:
        """Number of the device among those of its kind; 0 for the CPU."""
        cdef int device_id = 0
        check(api.MemoryInfoGetId(self.made(), &device_id))
        return device_id

    @property
    def mem_type(self):
        """An `OrtMemType`."""
        cdef ort.OrtMemType type_
        check(api.MemoryInfoGetMemType(self.made(), &type_))
        return OrtMemType(<int>type_)

    @property
    def allocator_type(self):
        """An `OrtAllocatorType`."""
        cdef ort.OrtAllocatorType type_
        check(api.MemoryInfoGetType(self.made(), &type_))
        return OrtAllocatorType(<int>type_)

    @property
    def device_mem_type(self):
        """An `OrtDeviceMemoryType`."""
        return OrtDeviceMemoryType(<int>api.MemoryInfoGetDeviceMemType(self.made()))

    @property
    def device_vendor_id(self) -> int:
        """The vendor's PCI id, or 0."""
        return api.MemoryInfoGetVendorId(self.made())

    @property
    def _is_registered(self):
        """Whether an allocator of memory of this name was registered."""
        return self.name in _registered

    def __repr__(self):
        return f"<ortmmap.OrtMemoryInfo {self.name} {self.device_id}, {self.allocator_type.name}>"

    cdef ort.OrtMemoryInfo *made(self) except NULL:
        if self.memory == NULL:
            raise ValueError("the OrtMemoryInfo was not made")
        return self.memory


cdef OrtMemoryInfo copied_memory_info(const ort.OrtMemoryInfo *memory):
    """Copy a description of memory that belongs to a session."""
    cdef OrtMemoryInfo made = OrtMemoryInfo.__new__(OrtMemoryInfo)
    cdef const char *name = NULL
    cdef int device_id = 0
    cdef ort.OrtAllocatorType type_ = ort.OrtInvalidAllocator
    cdef ort.OrtMemoryInfoDeviceType device = ort.OrtMemoryInfoDeviceType_CPU
    check(api.MemoryInfoGetName(memory, &name))
    check(api.MemoryInfoGetId(memory, &device_id))
    check(api.MemoryInfoGetType(memory, &type_))
    api.MemoryInfoGetDeviceType(memory, &device)
    check(api.CreateMemoryInfo_V2(
        name,
        device,
        api.MemoryInfoGetVendorId(memory),
        device_id,
        api.MemoryInfoGetDeviceMemType(memory),
        0,
        type_,
        &made.memory,
    ))
    return made


def create_and_register_allocator(mem_info, arena_cfg, /) -> None:
    """Create an allocator of the CPU's memory that sessions share.

    Sessions with the configuration entry ``session.use_env_allocators`` set to ``1`` use it.
    Sessions that are created afterwards no longer share prepacked weights with other processes.

    Parameters
    ----------
    mem_info : OrtMemoryInfo
        The CPU's memory.
    arena_cfg : OrtArenaCfg or None
        Settings of the arena; None for the default.

    Raises
    ------
    OrtError
        If ONNX Runtime refuses: a subclass by its error code.
    """
    cdef ort.OrtMemoryInfo *memory = _memory_of(mem_info)
    _replace_ours(NULL, memory, Arena(arena_cfg), None)
    _registered.add(mem_info.name)


def create_and_register_allocator_v2(provider_type, mem_info, provider_options, arena_cfg, /):
    """Create an allocator of an execution provider's memory that sessions share.

    Parameters
    ----------
    provider_type : str
        An execution provider, such as ``CPUExecutionProvider``.
    mem_info : OrtMemoryInfo
    provider_options : mapping of str to str
    arena_cfg : OrtArenaCfg or None
        Settings of the arena; None for the default.

    Raises
    ------
    OrtError
        If ONNX Runtime refuses: a subclass by its error code.

    See Also
    --------
    create_and_register_allocator : for the CPU's memory
    """
    cdef bytes provider = _text(provider_type, "provider_type")
    cdef ort.OrtMemoryInfo *memory = _memory_of(mem_info)
    cdef Arena arena = Arena(arena_cfg)
    if not isinstance(provider_options, AbstractMapping):
        raise TypeError(f"provider_options should be a dict, not {provider_options!r}")
    settings = dict(provider_options.items())
    for text in (*settings, *settings.values()):
        _text(text, "provider_options")
    _replace_ours(provider, memory, arena, Texts(settings))
    _registered.add(mem_info.name)


cdef int _replace_ours(
    const char *provider, ort.OrtMemoryInfo *memory, Arena arena, Texts settings
) except -1:
    """Register an allocator in place of ours, the CPU's or (if not NULL) a provider's."""
    cdef bint registered = False
    with creating.here():
        give_way()
        try:
            with nogil:
                if provider == NULL:
                    check(api.CreateAndRegisterAllocator(env, memory, arena.arena))
                else:
                    check(api.CreateAndRegisterAllocatorV2(
                        env, provider, memory, arena.arena,
                        settings.keys, settings.values, settings.count,
                    ))
            registered = True
        finally:
            settle(registered)
    return 0


cdef class Arena:
    """ONNX Runtime's settings of an arena, made from an OrtArenaCfg; NULL if that is None."""
    cdef ort.OrtArenaCfg *arena

    def __cinit__(self, settings):
        cdef size_t values[8]
        cdef const char *keys[8]
        if settings is None:
            return
        if not isinstance(settings, OrtArenaCfg):
            raise TypeError(f"arena_cfg should be an OrtArenaCfg or None, not {settings!r}")
        made = settings.checked()
        names = [name.encode() for name in made]
        for index, value in enumerate(made.values()):
            keys[<Py_ssize_t>index] = <bytes>names[index]
            values[<Py_ssize_t>index] = value
        load()
        check(api.CreateArenaCfgV2(keys, values, len(names), &self.arena))

    def __dealloc__(self):
        if self.arena != NULL:
            api.ReleaseArenaCfg(self.arena)


cdef ort.OrtMemoryInfo *_memory_of(object mem_info) except NULL:
    if not isinstance(mem_info, OrtMemoryInfo):
        raise TypeError(f"mem_info should be an OrtMemoryInfo, not {mem_info!r}")
    return (<OrtMemoryInfo>mem_info).made()


cdef bytes _text(object text, str name):
    if not isinstance(text, str):
        raise TypeError(f"{name} should be a str, not {text!r}")
    if "\0" in text:
        raise InvalidArgument(f"{name} has a null character: {text!r}")
    return text.encode()


cdef int _member(object enum, object value) except? -1:
    """Accept a member of `enum` or of onnxruntime's enum of that name, but no number."""
    if type(value).__name__ != enum.__name__:
        raise TypeError(f"expected an {enum.__name__}, not {value!r}")
    return enum(value.value)


cdef int32_t _int32(object number, str name) except? -1:
    return _bounded(number, name, -(2**31), 2**31 - 1)


cdef object _bounded(object number, str name, object least, object most):
    if not hasattr(number, "__index__") or not least <= number.__index__() <= most:
        raise TypeError(f"{name} should be an integer from {least} to {most}, not {number!r}")
    return number.__index__()
