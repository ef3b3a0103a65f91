from typing import final

@final
class ElementType:
    @property
    def name(self) -> str: ...
    @property
    def ort_number(self) -> int | None: ...
    @property
    def onnx_number(self) -> int: ...
    @property
    def bits(self) -> int: ...
    @property
    def dtype(self) -> str | None: ...
    @property
    def dlpack_code(self) -> int | None: ...
    def __init__(
        self,
        name: str,
        ort_number: int | None,
        onnx_number: int,
        bits: int,
        dtype: str | None,
        dlpack_code: int | None,
    ) -> None: ...

ELEMENT_TYPES: tuple[ElementType, ...]

def onnx_name(data_type: int) -> str: ...
