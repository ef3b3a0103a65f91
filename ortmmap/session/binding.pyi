from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
from typing_extensions import disjoint_base

from ortmmap._core import Session
from ortmmap.session.call import _Output
from ortmmap.session.inner_session import InnerBinding
from ortmmap.session.native_options import RunOptions
from ortmmap.session.open_session import Binding
from ortmmap.values.devices import OrtDevice
from ortmmap.values.ort_value import OrtValue
from ortmmap.values.ort_value_vector import OrtValueVector

@disjoint_base
class IOBinding(Binding):
    def __init__(self, session: Session) -> None: ...
    @property
    def _iobinding(self) -> InnerBinding: ...
    def bind_cpu_input(self, name: str, arr_on_cpu: Any) -> None: ...
    def bind_input(
        self,
        name: str,
        device_type: str | OrtDevice,
        device_id: int,
        element_type: npt.DTypeLike | int,
        shape: Sequence[int],
        buffer_ptr: int,
    ) -> None: ...
    def bind_ortvalue_input(self, name: str, ortvalue: OrtValue) -> None: ...
    def bind_output(
        self,
        name: str,
        device_type: str | OrtDevice = "cpu",
        device_id: int = 0,
        element_type: npt.DTypeLike | int | None = None,
        shape: Sequence[int] | None = None,
        buffer_ptr: int | None = None,
    ) -> None: ...
    def bind_ortvalue_output(self, name: str, ortvalue: OrtValue) -> None: ...
    def get_outputs(self) -> list[OrtValue]: ...
    def get_outputs_as_ortvaluevector(self) -> OrtValueVector: ...
    def copy_outputs_to_cpu(self) -> list[_Output]: ...
    def clear_binding_inputs(self) -> None: ...
    def clear_binding_outputs(self) -> None: ...
    def synchronize_inputs(self) -> None: ...
    def synchronize_outputs(self) -> None: ...

def run_with_vector(
    session: Session,
    options: RunOptions | None,
    feed_names: Sequence[str],
    feeds: Sequence[OrtValue],
    fetch_names: Sequence[str],
    fetches: OrtValueVector,
    fetch_devices: Sequence[OrtDevice] | None,
) -> None: ...
