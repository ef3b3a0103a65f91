"""The ways to open a model: where each is available, and what it opens."""

import dataclasses
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

from benchmarks.rivals import RIVALS, SESSIONS


def test_a_rival_whose_module_is_missing_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    reason = RIVALS["openvino"].unavailable(Path("model.onnx"))
    assert "openvino" in reason


def test_which_rivals_open_which_files():
    assert RIVALS["ort-prepacked"].unavailable(Path("model.ort")) == "needs the .onnx file"
    assert RIVALS["ort"].unavailable(Path("model.ort")) is None
    newer = dataclasses.replace(RIVALS["ort"], since=(99, 0))
    assert newer.unavailable(Path("model.onnx")).startswith("needs onnxruntime 99.0")


def test_a_rival_that_preloads_needs_a_fork(monkeypatch):
    monkeypatch.delattr(os, "fork", raising=False)
    assert RIVALS["ort-preload"].unavailable(Path("model.onnx")) == "needs fork(2)"


def test_every_rival_names_one_that_opens_nothing():
    for rival in RIVALS.values():
        assert not RIVALS[rival.bare].opens
        assert RIVALS[rival.bare].module == rival.module
    assert not any(name.startswith("bare-") or name.endswith("-preload") for name in SESSIONS)


def test_config_entries_are_added_to_those_of_a_rival():
    rival = RIVALS["ort-mmap-noprepack"].with_entries({"k": "v"})
    assert rival.entries.items() > {("k", "v"), ("session.disable_prepacking", "1")}


@pytest.mark.parametrize("name", ["ort", "ortmmap", "ortmmap-nocache"])
def test_a_session_is_opened_with_the_entries_of_its_rival(name, onnx_file, tmp_path, monkeypatch):
    monkeypatch.setenv("ORTMMAP_CACHE_DIR", str(tmp_path))
    rival = RIVALS[name].with_entries({"session.intra_op.allow_spinning": "0"})
    rival.load()
    rival.open_library()
    session = rival.open(onnx_file, 1, tmp_path)
    assert [one.name for one in session.get_outputs()]
    entries = session.get_session_options()
    assert entries.intra_op_num_threads == 1
    assert entries.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize(("name", "cached"), [("openvino", False), ("openvino-cached", True)])
def test_openvino_is_run_as_a_session_is(name, cached, monkeypatch, tmp_path):
    asked = []

    class Output(NamedTuple):
        any_name: str

    class Core:
        def compile_model(self, model, device, settings):
            asked.append((model, device, settings))
            output = Output("y")
            request = SimpleNamespace(infer=lambda feeds: {output: feeds["x"] + 1})
            return SimpleNamespace(outputs=[output], create_infer_request=lambda: request)

    monkeypatch.setitem(sys.modules, "openvino", SimpleNamespace(Core=Core))
    session = RIVALS[name].open(Path("model.onnx"), 2, tmp_path)
    assert [one.name for one in session.get_outputs()] == ["y"]
    assert session.run(None, {"x": np.ones(2)})[0].tolist() == [2, 2]
    [(model, device, settings)] = asked
    assert (model, device, settings["INFERENCE_NUM_THREADS"]) == ("model.onnx", "CPU", 2)
    assert settings["INFERENCE_PRECISION_HINT"] == "f32"
    assert ("CACHE_DIR" in settings) == cached
