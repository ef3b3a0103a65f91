from typing import final

@final
class Weights: ...
