from typing import Any

from ortmmap.values.value import Value

def as_value(data: Any, name: str) -> Value: ...
