"""The snapshot as a collector for a registry of ``prometheus_client``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ortmmap.monitor.metrics import families
from ortmmap.monitor.snapshot import snapshot

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

__all__ = ["Collector"]


class Collector:
    """Metrics of all processes on the machine, or in the container, that hold models.

    ``prometheus_client.REGISTRY.register(ortmmap.monitor.Collector())``. It needs the package
    prometheus_client, and Linux. Each collection examines all processes: register it in one
    process of a service, or let each answer, since all answer alike.

    In prometheus_client's multiprocess mode, register it with the registry that the view of the
    metrics makes: it keeps no values, so there is nothing to merge.
    """

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Examine the processes, and yield the metrics."""
        from prometheus_client.core import GaugeMetricFamily

        for family in families(snapshot()):
            gauge = GaugeMetricFamily(family.name, family.help, labels=family.labels)
            for labels, value in family.values.items():
                gauge.add_metric(labels, value)
            yield gauge

    def describe(self) -> list[GaugeMetricFamily]:
        """Return nothing, so that registering does not examine the processes."""
        return []
