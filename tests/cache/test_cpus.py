"""CPUs of different features and one cache: each shares only what its own kernels made.

Under qemu (``ORTMMAP_EMULATED``), each child is another CPU, by ``QEMU_CPU``; elsewhere the
machine's own is the only one.
"""

import os
from pathlib import Path

import large_models
import onnxruntime
import pytest
from cache_entries import linux
from support import ask_python

CASES = {**large_models.CASES, "convolution": large_models.convolution}
EMULATED = bool(os.environ.get("ORTMMAP_EMULATED"))
# Graviton 1, 2 and 4, and all that qemu can emulate, with two lengths of SME's vectors.
CPUS = {
    "cortex-a72": {"asimddp", "fp16", "sme"},
    "neoverse-n1": {"i8mm", "sve", "sme"},
    "neoverse-n2": {"sme"},
    "max": {"sme:512"},
    "max,sme-default-vector-length=64": {"sme:256"},
} if EMULATED else {"": set()}  # fmt: skip
HAS_SME_KERNELS = tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= (1, 32)

OPEN = """
import json, sys, threading
from pathlib import Path
import ortmmap
from ortmmap.cache import cpu_class, pages
from support import configured, contents, onnxruntime_session
from test_cpus import CASES

# Nothing is filed before the state was read.
go, write_pages = threading.Event(), pages.write_pages
pages.write_pages = lambda *args, **more: go.wait(60) and write_pages(*args, **more)
folder, one_class = Path(sys.argv[1]), sys.argv[2] == "True"
name = cpu_class.cpu_class()
if one_class:
    cpu_class.cpu_class = lambda: cpu_class.classify("aarch64", [])
found = {}
for case, make in CASES.items():
    content, feeds = make()
    path = folder / f"{case}.onnx"
    if not path.exists():
        path.write_bytes(content)
    expected = [*map(contents, onnxruntime_session(path).run(None, feeds))]
    visits, options = [], configured(ortmmap.SessionOptions())
    for _ in range(2):
        go.clear()
        session = ortmmap.Session(path, options, cache=folder / "cache")
        state = session.cached.state
        go.set()
        before = [*map(contents, session.run(None, feeds))]
        assert session.cached.wait(120)
        after = [*map(contents, session.run(None, feeds))]
        memory = session.memory()
        visits.append({
            "state": state, "exact": before == expected == after, "blocks": memory.shared_blocks,
            "private": memory.private_blocks, "shared": memory.shared,
        })
    found[case] = visits
print(json.dumps([name.features, found]))
"""


def opened(cpu: str, folder: Path, *, one_class: bool = False) -> tuple[set[str], dict]:
    """Open each case twice on a CPU; return its features, and what was found of each session."""
    folders = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent)])
    code = f"import sys; sys.path[:0] = {folders!r}.split({os.pathsep!r})\n{OPEN}"
    environment = {"QEMU_CPU": cpu} if cpu else {}
    features, found = ask_python(code, folder, one_class, env=environment)
    return set(features), found


@pytest.fixture(scope="module")
def visits(tmp_path_factory) -> dict[str, tuple[set[str], dict]]:
    """Let all CPUs open the models one after another, with one cache."""
    folder = tmp_path_factory.mktemp("cpus")
    return {cpu: opened(cpu, folder) for cpu in CPUS}


@linux
@pytest.mark.slow
@pytest.mark.parametrize("cpu", CPUS)
def test_a_cpu_shares_what_its_kernels_prepack_bit_for_bit(visits, cpu):
    features, found = visits[cpu]
    assert not features & CPUS[cpu]
    for case, (first, second) in found.items():
        assert (first["exact"], second["exact"]) == (True, True), case
        assert (first["private"], second["private"]) == (0, 0), case
        if case == "convolution":  # 1.23 has the weights that the optimizer makes in blocks, once
            continue
        assert first["blocks"] == second["blocks"], case
        if case != "float16" or "fp16" not in features:
            assert second["blocks"] > 0, case


@linux
@pytest.mark.slow
@pytest.mark.parametrize("cpu", CPUS)
def test_a_cpu_finds_no_entries_of_another_class(visits, cpu):
    for case, (first, second) in visits[cpu][1].items():
        assert first["state"] == "filing", case
        assert second["state"] == "shared", case


@pytest.mark.skipif(
    not EMULATED or not HAS_SME_KERNELS, reason="KleidiAI's SME kernels: 1.32, qemu"
)
@pytest.mark.slow
def test_kernels_of_kleidiai_prepack_in_a_form_of_their_own(visits):
    """So the tests above compare different kernels, not one kernel on several CPUs."""
    sizes = {
        cpu: {case: second["shared"] for case, (_, second) in found.items()}
        for cpu, (_, found) in visits.items()
    }
    for case in ("float32", "Gemm", "dynamic int8 at once"):
        assert sizes["max"][case] > sizes["neoverse-n1"][case], case
    assert (
        sizes["neoverse-n1"]["int4, computed in int8"]
        > sizes["cortex-a72"]["int4, computed in int8"]
    )


@pytest.mark.skipif(
    not EMULATED or not HAS_SME_KERNELS, reason="KleidiAI's SME kernels: 1.32, qemu"
)
@pytest.mark.slow
def test_blocks_of_other_kernels_are_not_used_even_if_the_class_does_not_tell_them_apart(tmp_path):
    opened("neoverse-n1", tmp_path, one_class=True)
    _, found = opened("max", tmp_path, one_class=True)
    for case, (first, second) in found.items():
        assert (first["exact"], second["exact"]) == (True, True), case
    for case in ("float32", "Gemm", "dynamic int8 at once"):
        assert found[case][0]["state"] == "shared"
        assert found[case][0]["blocks"] == 0
        assert found[case][0]["private"] == 1
