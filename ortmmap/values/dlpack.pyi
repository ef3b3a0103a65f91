from typing import final

@final
class Imported: ...
