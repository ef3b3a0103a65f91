"""The table of session options: each is part of the cache's key, or declared not to be."""

import operator

import numpy as np
import pytest
from support import configured

import ortmmap
from ortmmap import options as table
from ortmmap.abi.config_keys import SESSION_CONFIG_KEYS
from ortmmap.cache.key import options_signature
from ortmmap.options import SessionOptions

SETTINGS = {
    name: setting for name, setting in vars(SessionOptions).items() if hasattr(setting, "in_cache")
}
# Settings that can only be changed by a method, and a value for each.
RECORDS = {
    "_config": {"some.key": "1"},
    "_custom_ops": ["/usr/lib/libnone.so"],
    "_external_files": {"weights.bin": memoryview(b"1")},
    "_external_initializers": {"w": ortmmap.OrtValue.ortvalue_from_numpy(np.ones(1, "f4"))},
    "_free_dimensions": [("name", "batch", 1)],
    "_initializers": {"w": ortmmap.OrtValue.ortvalue_from_numpy(np.ones(1, "f4"))},
    "_provider_devices": {"SomeExecutionProvider": ()},
    "_providers": [("CPUExecutionProvider", {})],
    "_selection_delegate": print,
    "_selection_policy": ortmmap.OrtExecutionProviderDevicePolicy.PREFER_CPU,
}
WITHOUT_EFFECT = {
    "_providers",
    "enable_cpu_mem_arena",
    "enable_mem_pattern",
    "enable_profiling",
    "inter_op_num_threads",
    "intra_op_num_threads",
    "log_severity_level",
    "log_verbosity_level",
    "logid",
    "profile_file_prefix",
    "use_per_session_threads",
}
REFUSED = {
    "_external_files",
    "_external_initializers",
    "_initializers",
    "_selection_delegate",
    "_selection_policy",
    "optimized_model_filepath",
}
FIXED = {"enable_mem_reuse", "execution_order"}  # the C API sets the default only


def changed(name: str) -> SessionOptions:
    """Make options of which one setting is not the default."""
    options = SessionOptions()
    if name in RECORDS:
        options._values[name] = RECORDS[name]
        return options
    default = getattr(options, name)
    other = {bool: lambda value: not value, str: lambda value: value + "x"}
    change = other.get(type(default), lambda value: 1 if value != 1 else 0)
    setattr(options, name, change(default))
    return options


@pytest.mark.parametrize("name", sorted(set(SETTINGS) - FIXED))
def test_every_option_is_part_of_the_key_or_declared_not_to_be(name):
    options = changed(name)
    assert getattr(options, name) != getattr(SessionOptions(), name)
    counts = options_signature(options) != options_signature(SessionOptions())
    assert counts == (name not in WITHOUT_EFFECT | REFUSED)
    if name != "_custom_ops":  # which depends on the file
        assert options._is_cacheable() == (name not in REFUSED)


def test_a_new_option_that_says_nothing_is_part_of_the_key():
    class Newer(SessionOptions):
        __slots__ = ()
        new_option = table._Option(0, operator.index, "A number.")
        new_record = table._Record(list)

    options, plain = Newer(), options_signature(Newer())
    assert plain == options_signature(SessionOptions())
    options.new_option = 1
    assert options_signature(options) != plain
    assert options_signature(options) == options_signature(options.copy())
    options = Newer()
    options.new_record.append("an entry")
    assert options_signature(options) != plain
    assert options._is_cacheable()


def test_a_copy_has_every_setting_and_shares_none():
    for name in set(SETTINGS) - FIXED:
        options = changed(name)
        copy = options.copy()
        assert getattr(copy, name) == getattr(options, name)
        if isinstance(getattr(copy, name), (dict, list)):
            assert getattr(copy, name) is not getattr(options, name)


@pytest.mark.parametrize("key", [*SESSION_CONFIG_KEYS, "something.that.nobody.knows.yet"])
def test_every_configuration_entry_is_part_of_the_key_or_declared_not_to_be(key):
    options = configured(SessionOptions(), config={key: "1"})
    counts = options_signature(options) != options_signature(SessionOptions())
    assert counts == (key not in table.CONFIG)
    assert options._is_cacheable() == (table.CONFIG.get(key) is not table.REFUSED)


def test_declarations_are_of_entries_that_onnxruntime_knows():
    assert set(table.CONFIG) <= set(SESSION_CONFIG_KEYS)
