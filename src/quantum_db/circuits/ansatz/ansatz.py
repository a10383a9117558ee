"""What every ansatz is: layers of gates whose angles are trainable weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

from quantum_db.circuits.circuit import Circuit
from quantum_db.circuits.entanglement import edges
from quantum_db.errors import ConfigurationError


@dataclass(frozen=True)
class Ansatz(ABC):
    """`depth` layers on `n_qubits` wires, joined by the entanglement pattern."""

    n_qubits: int
    depth: int
    entanglement: str = "linear"

    name: ClassVar[str]

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise ConfigurationError(f"the circuit depth must be at least 1 layer, got {self.depth}")
        edges(self.entanglement, self.n_qubits)

    @property
    @abstractmethod
    def weights_per_layer(self) -> int:
        """The number of weights in one layer."""

    @property
    def n_weights(self) -> int:
        """The number of weights in all layers."""
        return self.depth * self.weights_per_layer

    @abstractmethod
    def layer(self, number: int) -> Circuit:
        """The gates of layer `number`, with the weight slots of that layer."""

    def circuit(self) -> Circuit:
        """All layers."""
        return reduce(Circuit.then, (self.layer(number) for number in range(self.depth)))
