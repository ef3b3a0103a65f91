"""A session of models.affine(), and a handle of it; capi_table skips tests that lack cffi."""

from collections.abc import Iterator

import numpy as np
import pytest
from support import ortmmap_session

import ortmmap


@pytest.fixture
def session(onnx_file) -> Iterator[ortmmap.Session]:
    with ortmmap_session(onnx_file) as opened:
        yield opened


@pytest.fixture
def handle(session) -> Iterator[object]:
    from capi_table import open_python, table

    made = open_python(session)
    yield made
    table.session_release(made)


@pytest.fixture
def expected(session) -> np.ndarray:
    from capi_table import X

    return session.run(None, {"x": X})[0]
