"""Sessions that sixteen threads use and close at once, and an interpreter without a lock."""

import sysconfig

import pytest
from support import REPOSITORY, run_python
from thread_stress import LEAST_TOTAL, Stress, write_models

from ortmmap.cache import recognition

MODULES = sorted(
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    for path in (REPOSITORY / "ortmmap").rglob("*.pyx")
)


def test_sixteen_threads_open_run_bind_pickle_and_close(tmp_path, monkeypatch):
    monkeypatch.setattr(recognition, "LEAST_TOTAL", LEAST_TOTAL)
    write_models(tmp_path)
    Stress(tmp_path, str(tmp_path / "cache")).run(26)


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="the interpreter has a lock"
)
def test_no_module_turns_the_lock_of_a_free_threaded_interpreter_on():
    code = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
sys.exit(sys._is_gil_enabled())
"""
    run_python(code, *MODULES, env={"PYTHON_GIL": None})  # None: by what the modules declare
