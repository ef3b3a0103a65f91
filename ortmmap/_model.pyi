from ortmmap._mapping import Mapping

class Model:
    @property
    def path(self) -> str | None: ...
    @property
    def mapping(self) -> Mapping | None: ...
