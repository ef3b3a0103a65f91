class ElementType:
    name: str
    ort_number: int | None
    onnx_number: int
    bits: int
    dtype: str | None
    dlpack_code: int | None
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
