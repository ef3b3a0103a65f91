from ortmmap import *
from ortmmap import __all__ as __all__

__version__: str
