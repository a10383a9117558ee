"""The component of the stage quantum-encode."""

from components.quantum_encode.component import quantum_encode

__all__ = ["quantum_encode"]
