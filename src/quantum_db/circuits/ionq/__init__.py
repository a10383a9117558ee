"""IonQ's wire format of circuits and results (API v0.4), without any client of theirs."""

from quantum_db.circuits.ionq.program import Structure, WireCircuit, WireError, WireLimits, WireProgram
from quantum_db.circuits.ionq.reading import read_input

__all__ = ["Structure", "WireCircuit", "WireError", "WireLimits", "WireProgram", "read_input"]
