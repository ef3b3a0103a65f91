"""convert: ONNX to ORT format."""

from pathlib import Path

import models
import numpy as np
import pytest
from support import assert_same, onnxruntime_session, ortmmap_session, run_python, to_ort

import ortmmap

CATALOGUE = models.catalogue()
FEED = {"x": np.ones((2, 8), "f4")}


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_converted_model_is_mapped_and_computes_the_same(write, name):
    model, feed = CATALOGUE[name]
    target = Path(ortmmap.convert(write(model, "model.onnx")))
    assert target.read_bytes()[4:8] == b"ORTM"
    session = ortmmap_session(target)
    assert session.mapping is not None
    assert_same(session.run(None, feed), onnxruntime_session(target).run(None, feed))
    assert_same(session.run(None, feed), onnxruntime_session(to_ort(model)).run(None, feed))


def test_the_target_lies_beside_the_source_unless_it_is_named(onnx_file, tmp_path):
    assert Path(ortmmap.convert(onnx_file)) == tmp_path / "model.ort"
    named = tmp_path / "zoë 日"
    assert Path(ortmmap.convert(str(onnx_file), str(named))) == named
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.ort", "zoë 日"]


def test_a_relative_path_is_converted(onnx_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    target = ortmmap.convert(onnx_file.name, "relative.ort")
    assert Path(target).samefile(tmp_path / "relative.ort")


def test_an_existing_target_is_replaced_under_a_session_that_maps_it(onnx_file):
    target = Path(ortmmap.convert(onnx_file))
    session = ortmmap_session(target)
    expected = session.run(None, FEED)
    inode = target.stat().st_ino
    onnx_file.write_bytes(models.affine(seed=1))
    assert Path(ortmmap.convert(onnx_file)) == target
    assert target.stat().st_ino != inode
    assert_same(session.run(None, FEED), expected)
    assert ortmmap_session(target).run(None, FEED)[0].tolist() != expected[0].tolist()


def test_a_model_is_not_converted_onto_itself(onnx_file):
    content = onnx_file.read_bytes()
    for target in (onnx_file, onnx_file.parent / "." / "model.onnx"):
        with pytest.raises(ValueError, match="itself"):
            ortmmap.convert(onnx_file, target)
    link = onnx_file.parent / "link"
    link.hardlink_to(onnx_file)
    with pytest.raises(ValueError, match="itself"):
        ortmmap.convert(onnx_file, link)
    assert onnx_file.read_bytes() == content


def test_a_failure_leaves_nothing_behind(write, tmp_path):
    source = write(b"junk" * 10, "model.onnx")
    with pytest.raises(ortmmap.errors.OrtError, match=r"model\.onnx"):
        ortmmap.convert(source)
    with pytest.raises(FileNotFoundError):
        ortmmap.convert(tmp_path / "nothing.onnx")
    with pytest.raises(OSError, match="no folder must exist") as info:
        ortmmap.convert(source, tmp_path / "no folder" / "model.ort")
    assert info.value.filename == str(tmp_path / "no folder" / "model.ort")
    assert list(tmp_path.iterdir()) == [source]


def test_a_failure_leaves_an_older_target_as_it_was(onnx_file):
    target = Path(ortmmap.convert(onnx_file))
    content = target.read_bytes()
    onnx_file.write_bytes(b"junk" * 10)
    with pytest.raises(ortmmap.errors.OrtError):
        ortmmap.convert(onnx_file)
    assert target.read_bytes() == content


def test_options_decide_how_far_it_is_optimized(onnx_file, tmp_path):
    sizes = {}
    for level in (0, 99):
        options = ortmmap.SessionOptions()
        options.graph_optimization_level = level
        before = repr(options)
        target = Path(ortmmap.convert(onnx_file, tmp_path / f"{level}.ort", options))
        assert repr(options) == before
        sizes[level] = target.read_bytes()
    assert b"FusedGemm" in sizes[99]
    assert b"FusedGemm" not in sizes[0]


def test_the_target_may_be_read_as_a_file_of_ones_own_is(onnx_file, tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    assert Path(ortmmap.convert(onnx_file)).stat().st_mode == plain.stat().st_mode


def test_ort_format_may_be_converted_again(ort_file, tmp_path):
    target = ortmmap.convert(ort_file, tmp_path / "again.ort")
    assert_same(ortmmap_session(target).run(None, FEED), ortmmap_session(ort_file).run(None, FEED))


def test_a_folder_that_may_not_be_written_raises(public_path):
    source = public_path / "model.onnx"
    source.write_bytes(models.affine())
    code = (
        "import sys, ortmmap\nfrom support import drop_privileges\n"
        "ortmmap.get_version_string()\ndrop_privileges()\n"
        "try:\n    ortmmap.convert(sys.argv[1])\n"
        "except PermissionError as error:\n    print(error)\n"
    )
    public_path.chmod(0o555)
    assert str(public_path) in run_python(code, source).stdout
