from typing import Any

from typing_extensions import CapsuleType, disjoint_base

@disjoint_base
class Texts:
    def __init__(self, settings: dict[str, str]) -> None: ...

def append_to(
    capsule: CapsuleType, options: Any, providers: list[tuple[str, dict[str, str]]]
) -> None: ...
def set_dynamic_options(capsule: CapsuleType, settings: dict[str, str]) -> None: ...
