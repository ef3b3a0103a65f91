from typing import Any, TypeAlias, final

import numpy.typing as npt

# One output of a run: an array for a tensor, of which nearly all outputs are. A model can also have
# outputs that are a list (a sequence), a dict (a map), None (an empty optional) or a SparseTensor.
# A union of all these would force every caller to narrow or cast; `Any` in the union lets a caller
# who knows the model use an output as it is, while an array's attributes are still checked.
_Output: TypeAlias = npt.NDArray[Any] | Any

@final
class Call: ...
