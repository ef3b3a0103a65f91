"""Sessions that sixteen threads use and close at once."""

from thread_stress import Stress, write_models


def test_sixteen_threads_open_run_bind_pickle_and_close(tmp_path):
    write_models(tmp_path)
    Stress(tmp_path, str(tmp_path / "cache")).run(26)
