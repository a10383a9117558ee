"""Machines that run circuits, one row per target."""

from quantum_db.registry import Table

BACKENDS = Table("qpu target", {"simulator": "quantum_db.backends.statevector:StatevectorExecutor"})

__all__ = ["BACKENDS"]
