import os

class LoraAdapter:
    @staticmethod
    def Load(adapter_path: str | os.PathLike) -> LoraAdapter: ...  # noqa: N802 - onnxruntime's

class RunOptions:
    log_severity_level: int
    log_verbosity_level: int
    logid: str
    terminate: bool
    only_execute_path_to_fetches: bool
    def __init__(self) -> None: ...
    def add_run_config_entry(self, key: str, value: str) -> None: ...
    def get_run_config_entry(self, key: str) -> str: ...
    def add_active_adapter(self, adapter: LoraAdapter) -> None: ...
