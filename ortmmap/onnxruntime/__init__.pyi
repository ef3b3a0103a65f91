from ortmmap import *  # noqa: F403
from ortmmap import __all__ as __all__

__version__: str
