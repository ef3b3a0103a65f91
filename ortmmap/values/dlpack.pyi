from typing import Any, final

import numpy.typing as npt

@final
class Imported: ...

def array_from_dlpack(source: object) -> npt.NDArray[Any]: ...
