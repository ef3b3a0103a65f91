"""A program that binds its memory: IOBinding, OrtValue, DLPack, one buffer for all runs."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

import ortmmap

Vectors = npt.NDArray[np.float32]


class Embedder:
    def __init__(self, path: str, batch: int) -> None:
        self.session = ortmmap.Session(path, cache=False)
        (source,) = self.session.get_inputs()
        (target,) = self.session.get_outputs()
        width = source.shape[1]
        depth = target.shape[1]
        if not isinstance(width, int) or not isinstance(depth, int):
            raise TypeError(f"{source.name} and {target.name} have a width that is not known")
        self.input: Vectors = np.zeros((batch, width), np.float32)
        self.output = ortmmap.OrtValue.ortvalue_from_shape_and_type((batch, depth), np.float32)
        self.binding = self.session.io_binding()
        self.binding.bind_cpu_input(source.name, self.input)
        self.binding.bind_ortvalue_output(target.name, self.output)

    def embed(self, vectors: Vectors) -> Vectors:
        self.input[:] = vectors
        self.session.run_with_iobinding(self.binding)
        return self.output.numpy()

    def embed_without_copy(self, vectors: Vectors) -> Vectors:
        self.input[:] = vectors
        self.session.run_with_iobinding(self.binding)
        return np.from_dlpack(self.output).view(np.float32)


def copied(session: ortmmap.Session, vectors: Vectors) -> list[Vectors]:
    binding = ortmmap.IOBinding(session)
    names = [argument.name for argument in session.get_outputs()]
    binding.bind_input(
        name=session.get_inputs()[0].name,
        device_type="cpu",
        device_id=0,
        element_type=np.float32,
        shape=vectors.shape,
        buffer_ptr=vectors.ctypes.data,
    )
    for name in names:
        binding.bind_output(name, "cpu")
    binding.synchronize_inputs()
    session.run_with_iobinding(binding)
    outputs = binding.copy_outputs_to_cpu()
    assert outputs[0].shape == tuple(binding.get_outputs()[0].shape())
    return outputs


def values(session: ortmmap.Session, arrays: Sequence[Vectors]) -> list[Vectors]:
    made = [ortmmap.OrtValue.ortvalue_from_numpy(array) for array in arrays]
    found = [session.run_with_ort_values(None, {"x": value})[0] for value in made]
    return [np.asarray(value) for value in found]


def vector(session: ortmmap.Session, value: ortmmap.OrtValue) -> int:
    fetches = ortmmap.OrtValueVector()
    device = ortmmap.OrtDevice.make("cpu", 0)
    session.run_with_ortvaluevector(None, ["x"], [value], ["y"], fetches, [device])
    return sum(fetch.tensor_size_in_bytes() for fetch in fetches)


def main(path: str) -> None:
    embedder = Embedder(path, 2)
    vectors = np.ones((2, 8), np.float32)
    first = embedder.embed(vectors)
    assert np.array_equal(embedder.embed_without_copy(vectors), first)
    assert np.array_equal(copied(embedder.session, vectors)[0], first)
    assert np.array_equal(values(embedder.session, [vectors])[0], first)
    value = ortmmap.OrtValue.from_dlpack(vectors)
    assert vector(embedder.session, value) == first.nbytes
    value.update_inplace(np.zeros_like(vectors))
    assert value.is_tensor()
    assert value.data_type() == "tensor(float)"
