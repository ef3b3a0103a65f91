from typing import Self, final

from typing_extensions import Buffer, CapsuleType

from ortmmap._core import Session
from ortmmap.session.metadata import NodeArg
from ortmmap.session.model import Model

_C_API: CapsuleType

def get_capi() -> int: ...

@final
class SessionHandle:
    def __new__(cls, session: Session) -> Self: ...

@final
class PreparedRun: ...

@final
class LentMemory(Buffer): ...

@final
class Description:
    def __init__(self, args: list[NodeArg], model: Model) -> None: ...
