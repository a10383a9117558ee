"""Circuits, gates, observables, encoders and ansaetze. No input or output, no simulation, no torch."""

from quantum_db.circuits.circuit import Circuit, Operation, Slot, feature, op, weight
from quantum_db.circuits.gates import GATES, Gate
from quantum_db.circuits.observables import PauliString, class_observables, single_qubit

__all__ = [
    "GATES",
    "Circuit",
    "Gate",
    "Operation",
    "PauliString",
    "Slot",
    "class_observables",
    "feature",
    "op",
    "single_qubit",
    "weight",
]
