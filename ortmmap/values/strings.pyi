from typing_extensions import disjoint_base

from ortmmap.values.value import Value

@disjoint_base
class StringTensor(Value): ...
