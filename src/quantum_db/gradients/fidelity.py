"""How much two states of one circuit overlap, and the estimate of the metric that follows from it.

|<psi(w) | psi(w + d)>|^2 is the probability of reading 0...0 after the circuit at w + d and then its inverse at w, so
it can be measured on every machine, at twice the depth. Gacon et al., "Simultaneous Perturbation Stochastic
Approximation of the Quantum Fisher Information", arXiv:2103.09232.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from quantum_db.backends.protocols import Batch, CircuitRows, Executor
from quantum_db.circuits.circuit import Circuit, Operation

FloatArray = npt.NDArray[np.float64]
_INVERSES = {"S": "Sdg", "Sdg": "S", "T": "Tdg", "Tdg": "T"}


def inverse(circuit: Circuit) -> Circuit:
    """The circuit that undoes `circuit`, with the same slots and without observables."""
    return Circuit(circuit.n_qubits, tuple(map(_undone, reversed(circuit.operations))))


def fidelities(
    executor: Executor, rows: CircuitRows, moves: npt.ArrayLike, shots: int | None = None, seed: int = 0
) -> FloatArray:
    """|<psi(w) | psi(w + d)>|^2 for each row and each d of `moves` (moves, n_weights), shape (rows, moves)."""
    offsets = np.atleast_2d(np.asarray(moves, dtype=np.float64))
    shape = (rows.n_rows, len(offsets), rows.circuit.n_weights)
    there = (rows.weights[:, None, :] + offsets).reshape(-1, shape[2])
    back = np.repeat(rows.weights, len(offsets), axis=0)
    features = np.repeat(rows.features, len(offsets), axis=0)
    both = CircuitRows(_there_and_back(rows.circuit), np.concatenate([back, there], axis=1), features)
    (result,) = executor.run(Batch((both,), shots, seed))
    return result.values[:, 0].reshape(shape[:2])


def perturbed_metric(
    executor: Executor,
    rows: CircuitRows,
    directions: tuple[FloatArray, FloatArray],
    spread: float = 0.1,
    shots: int | None = None,
    seed: int = 0,
) -> FloatArray:
    """One estimate of the metric, averaged over the rows, (n_weights, n_weights), from four circuits per row.

    `directions` are two vectors of +1 and -1 (0 for weights that are left alone). The mean over directions drawn at
    random is the Fubini-Study metric, up to about spread^2 (and the diagonal of weights left alone, which is 0).
    """
    first, second = directions
    moves = spread * np.stack([first + second, first, second - first, -first])
    both, plus, crossed, minus = fidelities(executor, rows, moves, shots, seed).mean(axis=0)
    slope = (both - plus - crossed + minus) / (2 * spread**2)  # first . Hessian . second
    product = np.outer(first, second)
    return np.asarray(-0.25 * slope * (product + product.T), dtype=np.float64)


def _undone(operation: Operation) -> Operation:
    name = _INVERSES.get(operation.gate, operation.gate)
    return Operation(name, operation.wires, None if operation.angle is None else -operation.angle)


@lru_cache(maxsize=64)
def _there_and_back(circuit: Circuit) -> Circuit:
    """The circuit with its second set of weights, then its inverse with the first."""
    there = tuple(_second_set(operation, circuit.n_weights) for operation in circuit.operations)
    return Circuit(circuit.n_qubits, there).then(inverse(circuit))


def _second_set(operation: Operation, count: int) -> Operation:
    slot = operation.slot
    if slot is None or slot.kind != "weight":
        return operation
    return replace(operation, angle=replace(slot, index=slot.index + count))
