"""ortmmap's sessions and bindings that take and return onnxruntime's values.

The module imports the native layer. It is imported when the first large model is opened.
"""

from typing import Any

from ortmmap.compat import between
from ortmmap.inference_session import InferenceSession
from ortmmap.session.binding import IOBinding
from ortmmap.session.inner_session import InnerSession
from ortmmap.values.ort_value_vector import OrtValueVector

__all__ = ["ConvertingBinding", "ConvertingSession"]


class ConvertingSession(InferenceSession):
    """A session of ortmmap's for programs that see onnxruntime's values."""

    __module__ = "onnxruntime"  # a pickle names the class of ortmmap's that it derives from

    def run(self, output_names: Any, input_feed: Any, run_options: Any = None) -> list:
        """Compute the outputs; sparse inputs may be onnxruntime's."""
        return super().run(output_names, between.feed_to_ours(input_feed), run_options)

    def run_with_ort_values(
        self, output_names: Any, input_dict_ort_values: Any, run_options: Any = None
    ) -> list:
        """Compute the outputs, each as onnxruntime's OrtValue."""
        values = super().run_with_ort_values(output_names, input_dict_ort_values, run_options)
        return [between.to_theirs(value) for value in values]

    def run_with_ortvaluevector(self, *arguments: Any) -> None:
        """Compute outputs into onnxruntime's vector: write into its values, or fill it."""
        run_options, feed_names, feeds, fetch_names, fetches = arguments[:5]  # then devices
        results = OrtValueVector(fetches)
        super().run_with_ortvaluevector(run_options, feed_names, feeds, fetch_names, results)
        if not len(fetches):
            for value in results:
                fetches.push_back(between.inner_to_theirs(value))

    def io_binding(self) -> "ConvertingBinding":
        """Return a new binding of this session."""
        return ConvertingBinding(self)

    @property
    def _sess(self) -> "_ConvertingInner":  # type: ignore[override]
        return _ConvertingInner(self)


class _ConvertingInner(InnerSession):
    """Stands for onnxruntime's C++ session."""

    __slots__ = ()

    def run_with_ort_values(self, feeds: Any, output_names: Any, run_options: Any = None) -> Any:
        values = InferenceSession.run_with_ort_values(
            self._session, output_names, feeds, run_options
        )
        return between.vector_to_theirs(values)


class ConvertingBinding(IOBinding):
    """A binding of ortmmap's that returns onnxruntime's values."""

    __module__ = "onnxruntime"

    def get_outputs(self) -> list:
        """Return the outputs of the last run, each as onnxruntime's OrtValue."""
        return [between.to_theirs(value) for value in super().get_outputs()]

    def get_outputs_as_ortvaluevector(self) -> Any:
        """Return the outputs of the last run, as onnxruntime's OrtValueVector."""
        return between.vector_to_theirs(super().get_outputs())
