import os
from collections.abc import Callable, Coroutine, Sequence
from collections.abc import Mapping as MappingABC
from types import TracebackType
from typing import Any, Self, TypedDict

import numpy.typing as npt
from typing_extensions import Buffer, Unpack, disjoint_base

from ortmmap.model.mapping import Mapping
from ortmmap.options import SessionOptions
from ortmmap.session.binding import IOBinding
from ortmmap.session.cached import Cached
from ortmmap.session.call import _Output
from ortmmap.session.metadata import ModelMetadata, NodeArg
from ortmmap.session.native_options import RunOptions
from ortmmap.session.open_session import Memory, OpenSession
from ortmmap.values.devices import OrtDevice
from ortmmap.values.ort_value import OrtValue
from ortmmap.values.ort_value_vector import OrtValueVector

class _Keywords(TypedDict, total=False):
    disabled_optimizers: Sequence[str] | None
    enable_fallback: int
    read_config_from_model: int

@disjoint_base
class Session:
    def __init__(
        self,
        path_or_bytes: str | os.PathLike[str] | Buffer,
        sess_options: SessionOptions | None = None,
        providers: Sequence[str | tuple[str, dict[Any, Any]]] | None = None,
        provider_options: Sequence[dict[Any, Any]] | None = None,
        *,
        cache: bool | str | os.PathLike[str] | None = None,
        prefault: bool = False,
        lock: bool = False,
        **kwargs: Unpack[_Keywords],
    ) -> None: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: dict[int, Any] | None) -> Self: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
    @property
    def mapping(self) -> Mapping | None: ...
    def changed(self) -> bool: ...
    def memory(self) -> Memory: ...
    @property
    def cached(self) -> Cached: ...
    def close(self) -> None: ...
    def run(
        self,
        output_names: Sequence[str] | None,
        input_feed: MappingABC[str, Any],
        run_options: RunOptions | None = None,
    ) -> list[_Output]: ...
    def run_with_ort_values(
        self,
        output_names: Sequence[str] | None,
        input_dict_ort_values: MappingABC[str, OrtValue],
        run_options: RunOptions | None = None,
    ) -> list[OrtValue]: ...
    def run_with_ortvaluevector(
        self,
        run_options: RunOptions | None,
        feed_names: Sequence[str],
        feeds: Sequence[OrtValue],
        fetch_names: Sequence[str],
        fetches: OrtValueVector,
        fetch_devices: Sequence[OrtDevice] | None = None,
    ) -> None: ...
    def io_binding(self) -> IOBinding: ...
    def run_with_iobinding(
        self, iobinding: IOBinding, run_options: RunOptions | None = None
    ) -> None: ...
    def run_async(
        self,
        output_names: Sequence[str] | None,
        input_feed: MappingABC[str, Any],
        # Any, so that a callback may declare the outputs that its model has.
        callback: Callable[[list[Any], Any, str], object],
        user_data: Any,
        run_options: RunOptions | None = None,
    ) -> None: ...
    def run_awaitable(
        self,
        output_names: Sequence[str] | None,
        input_feed: MappingABC[str, Any],
        run_options: RunOptions | None = None,
    ) -> Coroutine[Any, Any, list[_Output]]: ...
    def create_ortvalue_from_shape_and_type(
        self,
        shape: Sequence[int],
        element_type: npt.DTypeLike | int,
        device_type: str,
        device_id: int = 0,
        vendor_id: int = -1,
    ) -> OrtValue: ...
    def _arguments(self) -> dict[str, Any]: ...
    def get_inputs(self) -> list[NodeArg]: ...
    def get_outputs(self) -> list[NodeArg]: ...
    def get_overridable_initializers(self) -> list[NodeArg]: ...
    def get_modelmeta(self) -> ModelMetadata: ...
    def get_session_options(self) -> SessionOptions: ...
    def get_providers(self) -> list[str]: ...
    def get_provider_options(self) -> dict[str, dict[str, str]]: ...
    def set_providers(
        self,
        providers: Sequence[str | tuple[str, dict[Any, Any]]] | None = None,
        provider_options: Sequence[dict[Any, Any]] | None = None,
    ) -> None: ...
    def enable_fallback(self) -> None: ...
    def disable_fallback(self) -> None: ...
    def set_ep_dynamic_options(self, options: MappingABC[str, str]) -> None: ...
    def release_captured_graph(self, graph_annotation_id: int = 0) -> None: ...
    def end_profiling(self) -> str: ...
    def get_profiling_start_time_ns(self) -> int: ...
    def _opened(self) -> OpenSession: ...
