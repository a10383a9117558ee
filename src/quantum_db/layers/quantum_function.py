"""The quantum part of a model without any framework: values forward, vector-Jacobian product backward."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantum_db.backends.protocols import Batch, CircuitRows, Executor
from quantum_db.circuits.circuit import Circuit
from quantum_db.gradients.method import GradientMethod, Wanted

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class QuantumFunction:
    """f(weights, slots) = expectation values of the circuit, on any executor, with any gradient method."""

    circuit: Circuit
    executor: Executor
    method: GradientMethod
    shots: int | None = None

    def forward(self, weights: FloatArray, slots: FloatArray, seed: int = 0) -> FloatArray:
        """Expectation values (rows, observables) for `weights` (n_weights,) and `slots` (rows, feature slots)."""
        rows = CircuitRows.of(self.circuit, weights, slots)
        return self.executor.run(Batch((rows,), self.shots, seed))[0].values

    def vjp(
        self, weights: FloatArray, slots: FloatArray, cotangent: FloatArray, wanted: Wanted
    ) -> tuple[FloatArray, FloatArray]:
        """The gradient of sum(cotangent * f) in the weights (n_weights,) and in the slots (rows, feature slots)."""
        rows = CircuitRows.of(self.circuit, weights, slots)
        jacobian = self.method.jacobian(self.executor, rows, wanted)
        return (
            np.einsum("ro,row->w", cotangent, jacobian.weights),
            np.einsum("ro,rof->rf", cotangent, jacobian.features),
        )
