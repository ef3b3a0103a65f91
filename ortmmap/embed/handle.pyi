from typing import final

from ortmmap.model.source import ModelSource
from ortmmap.session.metadata import NodeArg

@final
class Description:
    def __init__(self, args: list[NodeArg], model: ModelSource) -> None: ...
