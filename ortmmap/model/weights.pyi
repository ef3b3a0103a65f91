from typing import final

from ortmmap.model.mapping import Mapping

@final
class Weight:
    name: bytes
    value: object
    mapping: Mapping
    offset: int
    nbytes: int
