"""The models that the machine's processes hold, read from /proc without their cooperation.

`snapshot` returns the processes and their models, as ``ortmmap ps`` shows them; `Collector` gives
the same to a registry of ``prometheus_client``.
"""

from ortmmap.monitor.collector import Collector
from ortmmap.monitor.snapshot import Holding, Model, Snapshot, snapshot

__all__ = ["Collector", "Holding", "Model", "Snapshot", "snapshot"]
