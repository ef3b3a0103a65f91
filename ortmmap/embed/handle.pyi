from typing import final

from ortmmap.session.metadata import NodeArg
from ortmmap.session.model import Model

@final
class Description:
    def __init__(self, args: list[NodeArg], model: Model) -> None: ...
