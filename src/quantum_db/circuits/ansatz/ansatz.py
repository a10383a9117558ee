"""What every ansatz is: layers of gates whose angles are trainable weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

from quantum_db.circuits.circuit import Circuit, Operation, op, weight
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

    def rotations(self, number: int, names: tuple[str, ...]) -> tuple[Operation, ...]:
        """The rotations `names` of each qubit in layer `number`, one weight each, qubit by qubit."""
        first = number * self.weights_per_layer
        return tuple(
            op(name, wire, angle=weight(first + len(names) * wire + k))
            for wire in range(self.n_qubits)
            for k, name in enumerate(names)
        )

    def circuit(self) -> Circuit:
        """All layers."""
        return reduce(Circuit.then, (self.layer(number) for number in range(self.depth)))
