"""A libFuzzer target for atheris: the scan alone, under AddressSanitizer. See the script asan."""

import random
import sys
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from mutate import mutate  # noqa: E402 - found in the folders above

from ortmmap import errors  # noqa: E402
from ortmmap.model.skeleton import scan  # noqa: E402
from ortmmap.model.wire import fields  # noqa: E402

THRESHOLD = 64
CORPUS = [path.read_bytes() for path in sorted(Path(sys.argv[-1]).iterdir())]


def check(data: bytes) -> None:
    """Scan a model, and then its skeleton, in which nothing is left to replace."""
    try:
        skeleton = scan(data, b"model.onnx", threshold=THRESHOLD)
    except errors.OrtError:
        return
    if skeleton.model is not None:
        again = scan(skeleton.model, b"model.onnx", threshold=THRESHOLD)
        assert again.externalized == 0
        assert again.external_bytes >= skeleton.mapped_bytes
    for tensor in skeleton.tensors:
        fields(data, tensor.start, tensor.stop)


def mutated(data: bytes, most: int, seed: int) -> bytes:
    rng = random.Random(seed)
    if rng.random() < 0.5:
        return atheris.Mutate(data, most)
    return mutate(data, CORPUS, rng)[:most]


atheris.Setup(sys.argv, check, custom_mutator=mutated)
atheris.Fuzz()
