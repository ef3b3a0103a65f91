"""Tests that fail under qemu's emulation of a CPU, each with the reason, as far as it is known.

They are skipped where ``ORTMMAP_EMULATED`` is set, which ``tools/arm64/run`` does, and run on every
real machine. A test that is named here but no longer exists is an error.
"""

import os
from pathlib import Path

import pytest

# The path below tests/, and after it the function's name.
REASONS = {
    "cache/test_sessions.py::test_the_first_process_fills_the_cache_and_the_second_shares_it": (
        "private memory includes the emulator's, 28 MB of translated code and more"
    ),
    "cache/test_sessions.py::test_a_model_whose_weights_the_optimizer_makes_anew_is_copied": (
        "private memory includes the emulator's, 28 MB of translated code and more"
    ),
    "session/test_fork.py::test_a_thousand_children_leave_nothing_behind": (
        "anonymous memory includes the emulator's; whether more grows was not examined"
    ),
}

TESTS = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not os.environ.get("ORTMMAP_EMULATED"):
        return
    found = {_name(item): [] for item in items}
    for item in items:
        found[_name(item)].append(item)
    files = {name.partition("::")[0] for name in found}
    narrowed = config.option.keyword or any("::" in str(each) for each in config.args)
    for name, reason in REASONS.items():
        if name in found:
            for item in found[name]:
                item.add_marker(pytest.mark.skip(reason=f"emulated: {reason}"))
        elif name.partition("::")[0] in files and not narrowed:
            raise pytest.UsageError(f"tests/emulation.py names a test that is not there: {name}")


def _name(item: pytest.Item) -> str:
    function = getattr(item, "originalname", item.name)
    return f"{item.path.relative_to(TESTS).as_posix()}::{function}"
