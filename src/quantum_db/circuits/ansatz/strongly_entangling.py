"""The strongly entangling ansatz: free rotations, then a ring of CNOTs whose reach changes from layer to layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from quantum_db.circuits.ansatz.ansatz import Ansatz
from quantum_db.circuits.circuit import Circuit, op


@dataclass(frozen=True)
class StronglyEntanglingAnsatz(Ansatz):
    """RZ RY RZ on each qubit, then CNOT(i, i + r mod n) with r = 1 + (layer mod n - 1).

    Schuld et al., "Circuit-centric quantum classifiers", arXiv:1804.00633. The entanglement pattern of the
    configuration does not enter: the reach r takes its place.
    """

    name: ClassVar[str] = "strongly_entangling"

    @property
    def weights_per_layer(self) -> int:
        """Three angles per qubit."""
        return 3 * self.n_qubits

    def layer(self, number: int) -> Circuit:
        """One layer of rotations and CNOTs."""
        rotations = self.rotations(number, ("RZ", "RY", "RZ"))
        return Circuit(self.n_qubits, (*rotations, *(op("CNOT", *pair) for pair in self._pairs(number))))

    def _pairs(self, number: int) -> tuple[tuple[int, int], ...]:
        n = self.n_qubits
        if n < 3:  # a ring of two would apply the same CNOT pair both ways; a ring of one has no pair
            return ((0, 1),) if n == 2 else ()
        reach = 1 + number % (n - 1)
        return tuple((wire, (wire + reach) % n) for wire in range(n))
