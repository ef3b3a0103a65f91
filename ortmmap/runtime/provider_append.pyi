from typing_extensions import disjoint_base

@disjoint_base
class Texts:
    def __init__(self, settings: dict[str, str]) -> None: ...
