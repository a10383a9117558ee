"""Backpropagation through the simulation: exact values only, simulators only."""

from __future__ import annotations

import numpy as np
import torch

from quantum_db.backends.protocols import CircuitRows, Executor
from quantum_db.errors import ConfigurationError
from quantum_db.gradients.method import Jacobian, Wanted
from quantum_db.simulation.statevector import expectation_values, simulate


class Backprop:
    """Derivatives by automatic differentiation of the state-vector simulation, in complex128."""

    def jacobian(self, executor: Executor, rows: CircuitRows, wanted: Wanted) -> Jacobian:
        """One backward pass per observable."""
        check_backprop(executor, wanted.shots)
        shape = (rows.n_rows, len(rows.circuit.observables))
        nothing = Jacobian(np.zeros((*shape, rows.circuit.n_weights)), np.zeros((*shape, rows.circuit.n_features)))
        if 0 in shape:
            return nothing
        weights = torch.tensor(rows.weights, requires_grad=True)
        features = torch.tensor(rows.features, requires_grad=True)
        values = expectation_values(simulate(rows.circuit, weights, features), rows.circuit.observables)
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


def check_backprop(executor: Executor, shots: int | None) -> None:
    """Raise ConfigurationError where backpropagation does not exist: on machines, and for sampled values."""
    if not executor.differentiable:
        raise ConfigurationError(
            f"gradient method 'backprop' needs a simulator, but the target is {executor.name!r}; use 'parameter_shift'"
        )
    if shots is not None:
        raise ConfigurationError(
            f"gradient method 'backprop' needs exact values, but shots_per_circuit is {shots}; use 'parameter_shift', "
            f"or leave shots_per_circuit out"
        )
