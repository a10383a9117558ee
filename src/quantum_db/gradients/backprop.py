"""Backpropagation through the torch simulation."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from quantum_db.circuits.circuit import Circuit
from quantum_db.gradients.simulated import SimulatedGradient
from quantum_db.simulation.statevector import expectation_values, simulate


class Backprop(SimulatedGradient):
    """Automatic differentiation of every step; the memory grows with the depth. It can be differentiated again."""

    name: ClassVar[str] = "backprop"

    def values(self, circuit: Circuit, weights: Tensor, features: Tensor, initial_states: Tensor | None) -> Tensor:
        """Expectation values from the torch simulation."""
        return expectation_values(simulate(circuit, weights, features, initial_states), circuit.observables)
