from typing_extensions import disjoint_base

from ortmmap.session.recorded_creation import RecordedCreation

MOST_TRIES: int

@disjoint_base
class PrepackedCreation(RecordedCreation): ...
