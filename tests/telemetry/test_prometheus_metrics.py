import re

import pytest

from quantum_db.telemetry.metrics import METRICS
from quantum_db.telemetry.prometheus_metrics import PrometheusMetrics


def test_names_follow_the_conventions_and_are_unique() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert re.fullmatch(r"qstore_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert list(metric.buckets) == sorted(set(metric.buckets))
        assert metric.help.endswith(".")


def test_what_is_counted_is_exposed() -> None:
    metrics = PrometheusMetrics()
    metrics.count("qstore_serving_requests_total", ("/predict", "POST", "200"))
    metrics.count("qstore_serving_predictions_total", ("setosa",), amount=5)
    metrics.observe("qstore_serving_request_seconds", 0.02, ("/predict",))
    metrics.set("qstore_serving_ready", 1)
    text, content_type = metrics.exposition()
    lines = text.decode().splitlines()
    assert 'qstore_serving_requests_total{method="POST",route="/predict",status="200"} 1.0' in lines
    assert 'qstore_serving_predictions_total{label="setosa"} 5.0' in lines
    assert 'qstore_serving_request_seconds_bucket{le="0.01",route="/predict"} 0.0' in lines
    assert 'qstore_serving_request_seconds_bucket{le="0.025",route="/predict"} 1.0' in lines
    assert "qstore_serving_ready 1.0" in lines
    assert content_type.startswith("text/plain")


def test_two_exporters_do_not_mix() -> None:
    first, second = PrometheusMetrics(), PrometheusMetrics()
    first.count("qstore_serving_predictions_total", ("a",))
    assert b'label="a"' not in second.exposition()[0]


def test_a_name_outside_the_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        PrometheusMetrics().count("qstore_other_total")
