"""The adjoint method: the backward sweep undoes the gates instead of storing states."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from quantum_db.circuits.circuit import Circuit
from quantum_db.gradients.simulated import SimulatedGradient
from quantum_db.simulation.adjoint import differentiable_expectations


class Adjoint(SimulatedGradient):
    """Two states per row of memory whatever the depth (Jones and Gacon, arXiv:2009.02823), on the compiled kernel.

    Where no kernel was built, and on CUDA, the same derivatives come from backpropagation. It can be differentiated
    once.
    """

    name: ClassVar[str] = "adjoint"

    def values(self, circuit: Circuit, weights: Tensor, features: Tensor, initial_states: Tensor | None) -> Tensor:
        """Expectation values from the compiled kernel."""
        return differentiable_expectations(circuit, weights, features, initial_states)
