"""IQP encoding, also called the ZZ feature map."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import ClassVar

from quantum_db.circuits.circuit import Circuit, feature, op
from quantum_db.circuits.encoders.encoder import Encoder, Term
from quantum_db.circuits.entanglement import edges
from quantum_db.errors import ConfigurationError


@dataclass(frozen=True)
class IQPEncoder(Encoder):
    """Hadamards, then phases 2 x_i on each qubit and 2 (pi - x_i)(pi - x_j) on each pair, `repetitions` times.

    The feature map of Havlicek et al., "Supervised learning with quantum-enhanced feature spaces",
    arXiv:1804.11326; features lie in [-1, 1] and are used as radians.
    """

    repetitions: int = 2
    entanglement: str = "full"

    name: ClassVar[str] = "iqp"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.repetitions < 1:
            raise ConfigurationError(f"the iqp encoder needs at least one repetition, got {self.repetitions}")
        self.refuse_surplus(self.n_qubits, "reduce them (PCA) or use more qubits")

    def circuit(self, layer: int = 0) -> Circuit:
        """Slots 0..n-1 hold x_i, the following ones the products of the pairs."""
        wires = range(self.n_features)
        block = [op("H", wire) for wire in wires]
        block += [op("PhaseShift", wire, angle=feature(wire) * 2.0) for wire in wires]
        # exp(-i phi ZZ / 2) is the phase phi on the odd states, up to a global phase
        block += [
            op("RZZ", *pair, angle=feature(self.n_features + number) * 2.0) for number, pair in enumerate(self._pairs)
        ]
        return Circuit(self.n_qubits, tuple(block) * self.repetitions)

    def terms(self) -> tuple[Term, ...]:
        """Single features, then (x_i - pi)(x_j - pi)."""
        return (*super().terms(), *(Term(pair, offset=-pi) for pair in self._pairs))

    @property
    def _pairs(self) -> tuple[tuple[int, int], ...]:
        return edges(self.entanglement, self.n_features)
