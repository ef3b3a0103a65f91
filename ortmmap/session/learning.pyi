from ortmmap.session.filing import Filing
from ortmmap.session.recorded_creation import RecordedCreation

LOG_ERRORS: int
AFFINITIES: str

def learn(creation: RecordedCreation, filing: Filing) -> None: ...
