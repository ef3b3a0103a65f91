from typing import Self, final

from typing_extensions import CapsuleType

from ortmmap._core import Session

_C_API: CapsuleType

def get_capi() -> int: ...

@final
class SessionHandle:
    def __new__(cls, session: Session) -> Self: ...

@final
class PreparedRun: ...
