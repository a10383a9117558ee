"""The table of metrics as Prometheus collectors; the only importer of prometheus_client."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from quantum_db.registry import require_package
from quantum_db.telemetry.metrics import METRICS, Metric


class PrometheusMetrics:
    """Collectors for rows of the table in a registry of their own, so that two servers in a process do not mix.

    A name that is not in the table, or labels other than the table's, raise an error of the client library.
    """

    def __init__(self, metrics: Iterable[Metric] = METRICS) -> None:
        self._client = require_package("prometheus_client", "serve", "Exporting metrics")
        self._registry = self._client.CollectorRegistry()
        self._collectors = {metric.name: self._collector(metric) for metric in metrics}

    def count(self, name: str, labels: tuple[str, ...] = (), amount: int = 1) -> None:
        """Add `amount` to a counter; `labels` in the order of the table."""
        self._labelled(name, labels).inc(amount)

    def observe(self, name: str, value: float, labels: tuple[str, ...] = ()) -> None:
        """Add one observation to a histogram."""
        self._labelled(name, labels).observe(value)

    def set(self, name: str, value: float, labels: tuple[str, ...] = ()) -> None:
        """Set a gauge."""
        self._labelled(name, labels).set(value)

    def exposition(self) -> tuple[bytes, str]:
        """All metrics in Prometheus' text format, and its content type."""
        return self._client.generate_latest(self._registry), self._client.CONTENT_TYPE_LATEST

    def _labelled(self, name: str, labels: tuple[str, ...]) -> Any:
        collector = self._collectors[name]
        return collector.labels(*labels) if labels else collector

    def _collector(self, metric: Metric) -> Any:
        kinds = {"counter": self._client.Counter, "gauge": self._client.Gauge, "histogram": self._client.Histogram}
        buckets = {"buckets": metric.buckets} if metric.kind == "histogram" else {}
        return kinds[metric.kind](metric.name, metric.help, metric.labels, registry=self._registry, **buckets)
