"""The hardware-efficient ansatz: free rotations of each qubit, then two-qubit gates along a pattern."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from quantum_db.circuits.ansatz.ansatz import Ansatz
from quantum_db.circuits.circuit import Circuit, op
from quantum_db.circuits.entanglement import edges


@dataclass(frozen=True)
class HardwareEfficientAnsatz(Ansatz):
    """RX RY RZ on each qubit, then a CNOT on each pair of the pattern; weight 3 (n l + i) + k is rotation k.

    Kandala et al., "Hardware-efficient variational quantum eigensolver", arXiv:1704.05018.
    """

    name: ClassVar[str] = "hardware_efficient"

    @property
    def weights_per_layer(self) -> int:
        """Three angles per qubit."""
        return 3 * self.n_qubits

    def layer(self, number: int) -> Circuit:
        """One layer of rotations and CNOTs."""
        rotations = self.rotations(number, ("RX", "RY", "RZ"))
        entanglers = [op("CNOT", *pair) for pair in edges(self.entanglement, self.n_qubits)]
        return Circuit(self.n_qubits, (*rotations, *entanglers))
