"""Execution providers that are set on a session: unknown ones raise as in onnxruntime."""

import models
import numpy as np
import onnxruntime
import pytest
from support import caught, class_names

import ortmmap

MODEL = models.affine()
FEED = {"x": np.ones((2, 8), "f4")}

pytestmark = pytest.mark.filterwarnings("ignore:Specified provider")


@pytest.mark.parametrize(
    "providers",
    [["Nonsense"], ["Nonsense", "CPUExecutionProvider"], [("Nonsense", {"a": 1})]],
    ids=str,
)
def test_an_unknown_provider_raises(providers):
    theirs = caught(onnxruntime.InferenceSession(MODEL).set_providers, providers)
    ours = caught(ortmmap.Session(MODEL).set_providers, providers)
    assert type(theirs).__name__ in class_names(ours)
    assert str(ours).startswith(str(theirs))


def test_a_provider_of_another_build_is_as_in_onnxruntime():
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    found = []
    for cls in (onnxruntime.InferenceSession, ortmmap.Session):
        session = cls(MODEL)
        session.set_providers(providers)
        found.append(session.get_providers())
    assert found[0] == found[1]


def test_a_session_stays_as_it_was_when_providers_are_refused():
    """Better than onnxruntime's, which cannot be used any more."""
    session = ortmmap.Session(MODEL)
    caught(session.set_providers, ["Nonsense"])
    caught(session.set_providers, [3])
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert session.run(None, FEED)[0].shape == (2, 4)
