"""Readout correction, qubit by qubit: the distribution that explains best what was read, never negative.

Inverting the confusion matrix gives negative probabilities as soon as there is shot noise. Instead the distribution x
that minimises |A x - p|^2 is taken, with p what was read and A the product of the qubits' own confusion matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import prod, sqrt

import numpy as np
import numpy.typing as npt

from quantum_db.backends.protocols import Batch, CircuitRows, Executor
from quantum_db.circuits.circuit import Circuit, op
from quantum_db.circuits.observables import single_qubit
from quantum_db.errors import BackendError, ConfigurationError
from quantum_db.simulation.noise import Readout

FloatArray = npt.NDArray[np.float64]

_STEPS = 20000
_TOLERANCE = 1e-13


@dataclass(frozen=True)
class ReadoutCalibration:
    """The readout errors of each qubit of a machine, in order, and when they were measured (UTC, ISO 8601)."""

    qubits: tuple[Readout, ...]
    target: str = ""
    shots: int | None = None
    measured_at: str = ""

    def __post_init__(self) -> None:
        for wire, readout in enumerate(self.qubits):
            if readout.one_from_zero + readout.zero_from_one >= 1:
                raise ConfigurationError(
                    f"qubit {wire} reads 1 from |0> with {readout.one_from_zero} and 0 from |1> with "
                    f"{readout.zero_from_one}; that is no better than guessing and cannot be corrected. Measure again"
                )

    def confusions(self, wires: Sequence[int]) -> tuple[FloatArray, ...]:
        """P(read i | state j) of each of `wires`; ConfigurationError for a wire that was not measured."""
        if wires and max(wires) >= len(self.qubits):
            raise ConfigurationError(
                f"the readout of {len(self.qubits)} qubits was measured, but qubit {max(wires)} is in use; measure all"
            )
        return tuple(self.qubits[wire].confusion for wire in wires)

    def age(self, now: datetime | None = None) -> timedelta:
        """How old the figures are; ConfigurationError where they do not say when they were measured."""
        if not self.measured_at:
            raise ConfigurationError("the readout calibration does not say when it was measured")
        return (now or datetime.now(UTC)) - datetime.fromisoformat(self.measured_at)


def calibrate_readout(executor: Executor, n_qubits: int, shots: int | None, seed: int = 0) -> ReadoutCalibration:
    """Measure the readout errors of `n_qubits` on the machine, with two circuits of `shots` each (None: exact values).

    One circuit flips the even qubits, the other the odd ones: each qubit is read in both states, and none of the
    circuits is without gates. Errors of the flips themselves are counted as errors of reading.
    """
    width = max(n_qubits, 2)
    parts = tuple(
        CircuitRows.of(Circuit(width, tuple(op("X", wire) for wire in range(first, width, 2)), single_qubit(width)))
        for first in (0, 1)
    )
    even, odd = (result.values[0] for result in executor.run(Batch(parts, shots, seed, as_written=True)))
    ones = [(1 - even) / 2, (1 - odd) / 2]
    found = []
    for wire in range(n_qubits):
        flipped, plain = ones[wire % 2][wire], ones[1 - wire % 2][wire]
        found.append(Readout(float(np.clip(plain, 0, 1)), float(np.clip(1 - flipped, 0, 1))))
    return ReadoutCalibration(tuple(found), executor.name, shots, datetime.now(UTC).isoformat())


def along_qubits(matrices: Sequence[FloatArray], table: FloatArray) -> FloatArray:
    """Apply one 2 x 2 matrix to each qubit of `table` (rows, 2^n), the first matrix to the most significant bit."""
    cube = table.reshape(len(table), *(2,) * len(matrices))
    for axis, matrix in enumerate(matrices, start=1):
        cube = np.moveaxis(np.tensordot(matrix, cube, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(cube.reshape(table.shape))


def on_simplex(table: FloatArray) -> FloatArray:
    """The nearest distribution to each row (Held, Wolfe and Crowder; by sorting)."""
    falling = -np.sort(-table, axis=1)
    excess = (np.cumsum(falling, axis=1) - 1) / np.arange(1, table.shape[1] + 1)
    last = (falling > excess).sum(axis=1) - 1
    return np.clip(table - np.take_along_axis(excess, last[:, None], axis=1), 0.0, None)


def corrected_distributions(read: FloatArray, confusions: Sequence[FloatArray]) -> FloatArray:
    """For each row of `read` (rows, 2^n) the distribution x of least |A x - read|^2, on the probability simplex.

    Where the inverse of A gives no negative number it is the answer. Otherwise projected gradients with momentum are
    followed to 1e-13; BackendError where that is not reached.
    """
    found = along_qubits([_inverse(matrix) for matrix in confusions], read)
    negative = found.min(axis=1) < 0
    if negative.any():
        found[negative] = _least_squares(read[negative], confusions, on_simplex(found[negative]))
    return found


def _inverse(matrix: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def _least_squares(read: FloatArray, confusions: Sequence[FloatArray], start: FloatArray) -> FloatArray:
    scales = [np.linalg.svd(matrix, compute_uv=False) for matrix in confusions]
    steepest, flattest = (prod(float(scale[i]) ** 2 for scale in scales) for i in (0, 1))
    momentum = (sqrt(steepest) - sqrt(flattest)) / (sqrt(steepest) + sqrt(flattest))
    transposed = [matrix.T for matrix in confusions]
    point = ahead = start
    for _ in range(_STEPS):
        slope = along_qubits(transposed, along_qubits(confusions, ahead) - read)
        following = on_simplex(ahead - slope / steepest)
        moved = float(np.abs(following - point).max())
        ahead = following + momentum * (following - point)
        point = following
        if moved < _TOLERANCE:
            return point
    raise BackendError(
        f"readout correction of {len(confusions)} qubits did not settle in {_STEPS} steps; the readout errors are too "
        f"large for so many qubits, measure fewer of them together or without correction"
    )


def value_variances(read: FloatArray, confusions: Sequence[FloatArray], weights: Sequence[FloatArray]) -> FloatArray:
    """The variance of one shot's contribution to sum of (weights x) where x = A^-1 read, for each row.

    `weights` has one pair of numbers per qubit, whose products weigh the basis states: (1, -1) each for a parity.
    """
    single: list[FloatArray] = [_inverse(matrix).T @ weight for matrix, weight in zip(confusions, weights, strict=True)]
    shot: FloatArray = np.ones(1)
    for pair in single:
        shot = np.asarray(np.kron(shot, pair), dtype=np.float64)
    return np.asarray(np.clip(read @ shot**2 - (read @ shot) ** 2, 0.0, None))


def state_variances(read: FloatArray, confusions: Sequence[FloatArray]) -> FloatArray:
    """The variance of one shot's contribution to each entry of A^-1 read, for each row."""
    inverses = [_inverse(matrix) for matrix in confusions]
    squares = along_qubits([matrix**2 for matrix in inverses], read)
    return np.clip(squares - along_qubits(inverses, read) ** 2, 0.0, None)
