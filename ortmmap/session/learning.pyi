from ortmmap.session.filing import Filing
from ortmmap.session.recorded_creation import RecordedCreation

def learn(creation: RecordedCreation, filing: Filing) -> None: ...
