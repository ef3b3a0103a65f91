from typing import final

@final
class OpenSession: ...
