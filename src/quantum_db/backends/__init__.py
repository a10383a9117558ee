"""Machines that run circuits, one row per target."""

from quantum_db.registry import Table

BACKENDS = Table(
    "qpu target",
    {
        "simulator": "quantum_db.backends.statevector:StatevectorExecutor",
        "noisy_simulator": "quantum_db.backends.noisy:NoisySimulator",
        "trajectories": "quantum_db.backends.trajectories:TrajectoryExecutor",
    },
)

__all__ = ["BACKENDS"]
