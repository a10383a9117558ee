"""The table of metrics: one row per metric. Names follow Prometheus: unit in the name, counters end in _total.

Labels take few values: a route is its pattern (never the address that was called), a class is one of the model's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One metric: its exported name, its type, what it tells, its labels, and the bounds of a histogram's buckets."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

METRICS: tuple[Metric, ...] = (
    Metric(
        "qstore_serving_requests_total",
        "counter",
        "Requests answered by the model server, by route, method and status.",
        ("route", "method", "status"),
    ),
    Metric(
        "qstore_serving_request_seconds",
        "histogram",
        "Seconds from a request's arrival to the end of its answer, by route.",
        ("route",),
        _SECONDS,
    ),
    Metric(
        "qstore_serving_inference_seconds",
        "histogram",
        "Seconds the model took for the rows of one request.",
        (),
        _SECONDS,
    ),
    Metric("qstore_serving_rows", "histogram", "Rows in one prediction request.", (), _ROWS),
    Metric("qstore_serving_predictions_total", "counter", "Rows predicted, by predicted class.", ("label",)),
    Metric("qstore_serving_ready", "gauge", "1 when the model reproduces its golden predictions, else 0."),
)
