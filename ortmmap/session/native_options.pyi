from typing import Never, Self, final

from typing_extensions import disjoint_base

from ortmmap.options import SessionOptions
from ortmmap.session.adapter import LoraAdapter

AFFINITIES: str
CPU_ARENA: str
LEAST_PARALLEL_PREPACKING: int
MODEL_CONFIG_VARIABLE: str
PARALLEL_PREPACKING: str
SHRINKAGE: str

@final
class Initializers:
    def __new__(cls, options: SessionOptions) -> Self: ...

@disjoint_base
class NativeOptions:
    def set_load_cancellation_flag(self, cancel: bool) -> None: ...

@disjoint_base
class RunOptions:
    log_severity_level: int
    log_verbosity_level: int
    logid: str
    terminate: bool
    only_execute_path_to_fetches: bool
    def __init__(self, *args: Never) -> None: ...  # takes none; Cython's signature has *args
    def _assign_only_to_fetches(self, value: bool) -> None: ...
    def add_run_config_entry(self, key: str, value: str) -> None: ...
    def get_run_config_entry(self, key: str) -> str: ...
    def add_active_adapter(self, adapter: LoraAdapter) -> None: ...
