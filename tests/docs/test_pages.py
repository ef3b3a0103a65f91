"""The README and the pages: every block of code is run or compiled, every link and name exists."""

import re
import sys
from pathlib import Path

import models
import numpy as np
import pytest
from doc_pages import Step, steps
from doc_steps import DO, run, run_python
from support import REPOSITORY

import ortmmap

WIDTH = 512
PAGES = sorted({REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")})


def model() -> bytes:
    """Build output = input @ w, of shape (batch, 512)."""
    weights = np.random.default_rng(0).standard_normal((WIDTH, WIDTH), "f4")
    return models.build(
        [models.node("MatMul", "input w", "output")],
        [models.tensor("input", shape=["batch", WIDTH])],
        [models.tensor("output", shape=["batch", WIDTH])],
        [models.constant("w", weights)],
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(model())
    return tmp_path


def shown(page: Path) -> list[Step]:
    return [step for step in steps(page) if step.kind[0] != "{"]  # without directives of MyST


@pytest.mark.parametrize("page", [page for page in PAGES if shown(page)], ids=lambda one: one.stem)
def test_a_page_does_what_it_says(page, folder):
    found = shown(page)
    assert {step.kind for step in found} <= {"python", *DO}
    for step in found:
        if step.kind in DO:
            DO[step.kind](step, folder)
    if code := [(page.name, step.line, step.text) for step in found if step.kind == "python"]:
        run_python(code, folder)


@pytest.mark.parametrize("page", PAGES, ids=lambda one: one.stem)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_figures_are_those_of_the_benchmarks():
    run([sys.executable, str(REPOSITORY / "tools" / "figures.py"), "--check"], REPOSITORY)


def test_the_benchmarks_page_is_short_and_its_tables_are_in_the_appendix():
    page, appendix = (REPOSITORY / "docs" / f"benchmarks{end}.md" for end in ("", "-appendix"))
    assert len(page.read_text().splitlines()) <= 250
    questions = re.findall(r"^## (.*\?)$", page.read_text(), re.MULTILINE)
    assert questions == re.findall(r"^## (.*)$", appendix.read_text(), re.MULTILINE)


def test_the_reference_has_every_public_name_once():
    text = (REPOSITORY / "docs" / "api.md").read_text()
    named = re.findall(r"auto(?:class|exception|function):: ortmmap\.(\w+)$", text, re.MULTILINE)
    assert len(named) == len(set(named))
    elsewhere = {"Session", "capi", "errors"}  # another name, and modules
    assert {*named, *elsewhere} == set(ortmmap.__all__) - set(ortmmap.errors.__all__)
