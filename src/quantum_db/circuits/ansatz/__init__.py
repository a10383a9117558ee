"""Ansaetze: the trainable part of a circuit."""

from quantum_db.circuits.ansatz.ansatz import Ansatz
from quantum_db.registry import Table

ANSAETZE = Table(
    "ansatz",
    {
        "hardware_efficient": "quantum_db.circuits.ansatz.hardware_efficient:HardwareEfficientAnsatz",
        "strongly_entangling": "quantum_db.circuits.ansatz.strongly_entangling:StronglyEntanglingAnsatz",
    },
)

__all__ = ["ANSAETZE", "Ansatz"]
