"""What the processes of Q-Store tell about themselves: the table of metrics, and its Prometheus form."""

from quantum_db.telemetry.metrics import METRICS, Metric

__all__ = ["METRICS", "Metric"]
