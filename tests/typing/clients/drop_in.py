"""Code written for onnxruntime, with one line changed."""

import numpy as np
import numpy.typing as npt

import ortmmap as ort


class Model:
    def __init__(self, path: str, providers: list[str] | None = None) -> None:
        self.session: ort.InferenceSession = ort.InferenceSession(
            path, providers=providers or ort.get_available_providers()
        )
        self.inputs: list[ort.NodeArg] = self.session.get_inputs()

    def __call__(self, *arrays: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        feed = {argument.name: array for argument, array in zip(self.inputs, arrays, strict=True)}
        outputs: list[npt.NDArray[np.float32]] = self.session.run(None, feed)
        return outputs[0]

    def normalized(self, *arrays: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        embeddings = self.session.run(None, self.feed(*arrays))[0][:, :2]
        norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
        scaled = embeddings / np.maximum(norms, 1e-12)
        normalized: npt.NDArray[np.float32] = scaled.astype(np.float32)
        return normalized

    def feed(self, *arrays: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        return dict(zip([argument.name for argument in self.inputs], arrays, strict=True))


class Counting(ort.InferenceSession):
    """A subclass, as other packages derive them from onnxruntime's."""

    def __init__(self, path: str, sess_options: ort.SessionOptions | None = None) -> None:
        super().__init__(path, sess_options, providers=["CPUExecutionProvider"])
        self.opened = 1

    def opens(self) -> int:
        return self.opened


def dynamic_axes(session: ort.InferenceSession) -> list[str]:
    shapes = [argument.shape for argument in session.get_inputs()]
    return [size for shape in shapes for size in shape if isinstance(size, str)]


def message(path: str) -> str:
    try:
        ort.InferenceSession(path)
    except (ort.errors.NoSuchFile, ort.errors.InvalidProtobuf) as error:
        return str(error)
    except ort.capi.onnxruntime_pybind11_state.RuntimeException as error:
        return str(error)
    return ""


def main(path: str) -> None:
    model = Model(path)
    x = np.ones((2, 8), np.float32)
    assert model(x).shape == (2, 4)
    assert model.normalized(x).shape == (2, 2)
    assert dynamic_axes(model.session)
    assert Counting(path).opens() == 1
    assert "nothing.onnx" in message("/nothing.onnx")
    assert ort.__version__
    assert ort.get_version_string().startswith("1.")
