"""The key of an entry: everything that changes the graph or the kernels is part of it."""

import pytest
from cache_entries import configured, key_of, with_config
from support import run_python

import ortmmap
from ortmmap.cache import key as cache_key
from ortmmap.cache import store as cache
from ortmmap.cache.cpu_class import cpu_class
from ortmmap.cache.store import Key, Source, options_signature
from ortmmap.options import GraphOptimizationLevel, SessionOptions


def test_a_key_is_the_same_each_time(model):
    assert repr(key_of(model, a=1, b={"x": 1, "y": 2})) == repr(
        key_of(model, b={"y": 2, "x": 1}, a=1)
    )


def test_a_key_does_not_depend_on_the_process(model):
    code = """
import sys
from ortmmap.cache.store import Key, Source
print(Key([Source.of(sys.argv[1])], {"level": 99}))
"""
    assert run_python(code, model).stdout.strip() == repr(key_of(model, level=99))


def test_two_paths_of_a_file_are_one_source(model):
    link = model.with_name("link.onnx")
    link.symlink_to(model)
    assert repr(key_of(link)) == repr(key_of(model))


@pytest.mark.parametrize("field", ["device", "inode", "size", "mtime_ns", "ctime_ns"])
def test_every_part_of_a_files_identity_counts(model, field):
    source = Source.of(model)
    other = source._replace(**{field: getattr(source, field) + 1})
    assert repr(Key([source], {})) != repr(Key([other], {}))


def test_external_data_counts(model, tmp_path):
    data = tmp_path / "data"
    data.write_bytes(b"1")
    before = key_of(model, data)
    assert repr(before) != repr(key_of(model))
    assert repr(before) != repr(key_of(data, model))
    data.write_bytes(b"2")
    assert repr(before) != repr(key_of(model, data))


def test_settings_the_machine_and_the_format_count(model, monkeypatch):
    found = {repr(key_of(model)), repr(key_of(model, version="1.23.2"))}
    monkeypatch.setattr(cache_key, "_machine", "another CPU")
    found.add(repr(key_of(model)))
    monkeypatch.setattr(cache_key, "FORMAT", 0)
    found.add(repr(key_of(model)))
    assert len(found) == 4


def test_the_machine_is_described_by_its_instruction_sets_and_not_by_its_clock():
    assert cache_key.machine().split()[-1] == cpu_class().name
    assert "MHz" not in cache_key.machine()


def with_dimension(size: int) -> SessionOptions:
    options = SessionOptions()
    options.add_free_dimension_override_by_name("batch", size)
    return options


@pytest.mark.parametrize(
    "options",
    [
        configured(graph_optimization_level=GraphOptimizationLevel.ORT_ENABLE_BASIC),
        configured(execution_mode=1),
        configured(use_deterministic_compute=True),
        with_config("session.disable_prepacking"),
        with_config("optimization.disable_specified_optimizers", "GeluFusion"),
        with_config("something.that.nobody.knows.yet"),
        with_dimension(1),
        with_dimension(2),
    ],
)
def test_options_that_change_the_graph_or_the_kernels_count(options):
    assert options_signature(options) != options_signature(SessionOptions())


@pytest.mark.parametrize(
    "options",
    [
        configured(intra_op_num_threads=3, inter_op_num_threads=2),
        configured(logid="a", log_severity_level=0, enable_profiling=True),
        configured(enable_cpu_mem_arena=False, enable_mem_pattern=False),
        with_config("session.intra_op.allow_spinning", "0"),
        with_config("session.use_ort_model_bytes_directly"),
    ],
)
def test_other_options_do_not(options):
    assert options_signature(options) == options_signature(SessionOptions())


def test_a_library_of_custom_operators_counts_by_its_identity(tmp_path):
    library = tmp_path / "ops.so"
    library.write_bytes(b"1")
    options = SessionOptions()
    options.register_custom_ops_library(str(library))
    before = options_signature(options)
    library.write_bytes(b"22")
    assert options_signature(options) != before
    options = SessionOptions()
    options.register_custom_ops_library("libops.so")  # the loader will search
    assert options_signature(options)["custom_ops"] == [("libops.so",)]


def test_a_runtime_is_described_by_version_and_build():
    signature = cache.runtime_signature()
    assert signature["version"] == ortmmap.get_version_string()
    assert signature["build"] == ortmmap.get_build_info()
