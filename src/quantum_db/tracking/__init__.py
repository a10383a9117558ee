"""Experiment tracking: what a run was given, what it measured on the way, and which model versions came of it.

`Tracker` is the protocol that training talks to. `MlflowTracker` writes to an MLflow store, `BufferedTracker` puts
a queue in front of any tracker so that an outage never stops or slows training, `NullTracker` keeps nothing.
`ModelRegistry` holds the registered versions and their aliases. MLflow is imported in this package only.
"""

from quantum_db.tracking.tracker import NullTracker, Tracker, TrackingError

__all__ = ["NullTracker", "Tracker", "TrackingError"]
