"""Options of sessions, of runs and of the process, set and read back."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import ortmmap

Providers = list[str | tuple[str, dict[str, Any]]]


def providers(*, gpu: bool) -> Providers:
    chosen: Providers = ["CPUExecutionProvider"]
    if gpu and "CUDAExecutionProvider" in ortmmap.get_available_providers():
        chosen.insert(0, ("CUDAExecutionProvider", {"device_id": 0}))
    return chosen


def session_options(config: Mapping[str, str]) -> ortmmap.SessionOptions:
    options = ortmmap.SessionOptions()
    options.execution_mode = ortmmap.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ortmmap.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.intra_op_num_threads = min(2, os.cpu_count() or 1)
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = not options.enable_profiling
    options.logid = "client"
    options.log_severity_level = 3
    options.profile_file_prefix = os.fspath(Path("profiles", "run"))
    for key, value in config.items():
        options.add_session_config_entry(key, value)
    options.add_free_dimension_override_by_name("N", 2)
    weights = ortmmap.OrtValue.ortvalue_from_numpy(np.ones((8, 4), np.float32))
    options.add_initializer("w", weights)
    return options.copy()


def run_options(tag: str) -> ortmmap.RunOptions:
    options = ortmmap.RunOptions()
    options.logid = tag.upper()
    options.log_severity_level = options.log_severity_level + 3
    options.terminate = False
    options.add_run_config_entry("disable_synchronize_execution_providers", "0")
    return options


def arena() -> int:
    settings = ortmmap.OrtArenaCfg(0, -1, -1, -1)
    settings.max_mem = 1 << 30
    return settings.max_mem // 2


def main(path: str) -> None:
    key = "session.intra_op.allow_spinning"
    options = session_options({key: "0"})
    session = ortmmap.Session(
        path,
        options,
        providers=providers(gpu=True),
        cache=False,
        prefault=True,
        disabled_optimizers=["ConstantFolding"],
        enable_fallback=0,
    )
    outputs = session.run(["y"], {"x": np.ones((2, 8), np.float32)}, run_options("batch"))
    assert outputs[0].shape == (2, 4)
    assert session.get_session_options().get_session_config_entry(key) == "0"
    assert session.get_session_options().logid.startswith("cl")
    assert sorted(session.get_provider_options()) == sorted(session.get_providers())
    assert arena() == 1 << 29
    ortmmap.set_default_logger_severity(2)
    assert ortmmap.get_device() in {"CPU", "GPU"}
    devices = [device.device.vendor for device in ortmmap.get_ep_devices()]
    assert all(isinstance(vendor, str) for vendor in devices)
