from typing import Any

from ortmmap.session.creation import Attempt, Creation

MOST_REWRITTEN: int

class Refused(Exception): ...  # noqa: N818

def optimized(creation: Creation, store: Any, key: Any) -> list[Attempt]: ...
def save_optimized(creation: Creation, draft: Any) -> None: ...
def saved_order(metadata: dict[str, str], entries: list[Any]) -> dict[str, str]: ...
