"""What the gradient methods of simulators share: values that torch can differentiate, exact and without shots."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from quantum_db.backends.protocols import CircuitRows, Executor
from quantum_db.circuits.circuit import Circuit
from quantum_db.errors import ConfigurationError
from quantum_db.gradients.method import Jacobian, Wanted


class SimulatedGradient(ABC):
    """Derivatives through the simulation itself; no circuit is run for them."""

    name: ClassVar[str]

    @abstractmethod
    def values(self, circuit: Circuit, weights: Tensor, features: Tensor, initial_states: Tensor | None) -> Tensor:
        """Expectation values (rows, observables), differentiable; arguments as for `simulate`."""

    def check(self, executor: Executor, shots: int | None) -> None:
        """Raise ConfigurationError where this does not exist: on machines, and for sampled values."""
        if not executor.differentiable:
            raise ConfigurationError(
                f"gradient method {self.name!r} needs a simulator, but the target is {executor.name!r}; use "
                f"'parameter_shift'"
            )
        if shots is not None:
            raise ConfigurationError(
                f"gradient method {self.name!r} needs exact values, but shots_per_circuit is {shots}; use "
                f"'parameter_shift', or leave shots_per_circuit out"
            )

    def jacobian(self, executor: Executor, rows: CircuitRows, wanted: Wanted) -> Jacobian:
        """One backward pass per observable, in complex128."""
        self.check(executor, wanted.shots)
        shape = (rows.n_rows, len(rows.circuit.observables))
        nothing = Jacobian(np.zeros((*shape, rows.circuit.n_weights)), np.zeros((*shape, rows.circuit.n_features)))
        if 0 in shape:
            return nothing
        weights = torch.tensor(rows.weights, requires_grad=True)
        features = torch.tensor(rows.features, requires_grad=True)
        values = self.values(rows.circuit, weights, features, None)
        if not values.requires_grad:  # no gate has a slot
            return nothing
        grads = [
            torch.autograd.grad(
                column.sum(), (weights, features), retain_graph=True, allow_unused=True, materialize_grads=True
            )
            for column in values.unbind(dim=1)
        ]
        by_weight, by_feature = (torch.stack([pair[i] for pair in grads], dim=1).numpy() for i in (0, 1))
        return Jacobian(by_weight * wanted.weights, by_feature * wanted.features)
