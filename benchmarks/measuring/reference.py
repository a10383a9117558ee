"""The same step in float64 and complex128, by numpy alone: what every contender's rounding error is measured against.

Nothing of Q-Store or of a peer is used, so that an error of Q-Store's own cannot hide in its reference. Rows run one by
one; the rotations of a wire and layer (in the first layer the encoding too) are one 2x2 matrix M, and the backward
sweep undoes it on the state psi and on lambda, the observables applied to it and weighted by the loss's gradient:
dL/dt = 2 Re sum_ab dM_ab/dt E_ab with E_ab = <lambda_a | psi_b>, where a and b are the wire's values and psi is that
before M. Two states of 2^n * 16 bytes; about a second per row at 16 qubits, half a minute at 20.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.measuring.work import SCALE, Case, Numbers

ComplexArray = npt.NDArray[np.complex128]
FloatArray = npt.NDArray[np.float64]

_PAULIS = {
    "X": np.array([[0, 1], [1, 0]], dtype=np.complex128),
    "Y": np.array([[0, -1j], [1j, 0]], dtype=np.complex128),
    "Z": np.array([[1, 0], [0, -1]], dtype=np.complex128),
}


def reference_step(case: Case, numbers: Numbers) -> dict[str, FloatArray]:
    """Loss (), gradient in the weights (L, n, 3) and in the features (B, n)."""
    weights, features, targets = (
        part.astype(np.float64) for part in (numbers.weights, numbers.features, numbers.targets)
    )
    losses, by_weight, by_feature = np.zeros(case.batch), np.zeros(weights.shape), np.zeros(features.shape)
    for row in range(case.batch):
        matrices = [_layer(weights[layer], features[row] if layer == 0 else None) for layer in range(case.layers)]
        psi = _forward(matrices, case.n)
        off = _z_values(psi, case.n) - targets[row]
        losses[row] = (off**2).mean()
        lam = psi * _weighted_z(2 * off / (case.batch * case.n))
        found, by_feature[row] = _backward(matrices, psi, lam)
        by_weight += found
    return {"loss": np.asarray(losses.mean()), "weights": by_weight, "features": by_feature}


def write_reference(path: Path, case: Case, numbers: Numbers) -> None:
    """Write the reference of a case for the processes that measure it."""
    np.savez(path, **reference_step(case, numbers))  # type: ignore[arg-type]


def read_reference(path: Path) -> dict[str, FloatArray]:
    """Read what `write_reference` wrote."""
    with np.load(path) as found:
        return {name: found[name] for name in ("loss", "weights", "features")}


class _Wire:
    """The matrix of one wire in one layer, and its derivatives in the angles RX, RY, RZ and, last, in the feature."""

    def __init__(self, angles: FloatArray, feature: float | None) -> None:
        factors = [_rotation("X", angles[0]), _rotation("Y", angles[1]), _rotation("Z", angles[2])]
        if feature is not None:
            factors = [_rotation("Y", SCALE * feature, SCALE), *factors]
        self.matrix = _product([matrix for matrix, _ in factors])
        slopes = [
            _product([slope if number == moved else matrix for number, (matrix, slope) in enumerate(factors)])
            for moved in range(len(factors))
        ]
        self.by_angle, self.by_feature = slopes[-3:], slopes[0] if feature is not None else None


def _rotation(axis: str, angle: float, scale: float = 1.0) -> tuple[ComplexArray, ComplexArray]:
    """exp(-i angle P / 2), and its derivative times `scale`."""
    pauli = _PAULIS[axis]
    matrix = np.cos(angle / 2) * np.eye(2) - 1j * np.sin(angle / 2) * pauli
    return matrix, -0.5j * scale * pauli @ matrix


def _product(factors: list[ComplexArray]) -> ComplexArray:
    """The product of `factors`, the first of which acts first."""
    total = np.eye(2, dtype=np.complex128)
    for factor in factors:
        total = factor @ total
    return total


def _layer(angles: FloatArray, features: FloatArray | None) -> list[_Wire]:
    return [_Wire(angles[q], None if features is None else float(features[q])) for q in range(len(angles))]


def _forward(matrices: list[list[_Wire]], n: int) -> ComplexArray:
    psi = np.zeros(2**n, dtype=np.complex128)
    psi[0] = 1.0
    for layer in matrices:
        for wire, own in enumerate(layer):
            psi = _applied(own.matrix, psi, wire)
        psi = psi[_cnots(n)]
    return psi


def _backward(matrices: list[list[_Wire]], psi: ComplexArray, lam: ComplexArray) -> tuple[FloatArray, FloatArray]:
    """The gradient of one row's part of the loss in the weights (L, n, 3) and in its features (n,)."""
    n = len(matrices[0])
    order = np.argsort(_cnots(n))
    by_weight, by_feature = np.zeros((len(matrices), n, 3)), np.zeros(n)
    for number in reversed(range(len(matrices))):
        psi, lam = psi[order], lam[order]
        for wire, own in enumerate(matrices[number]):
            undo = own.matrix.conj().T
            psi = _applied(undo, psi, wire)
            overlaps = _by_wire(lam, wire).conj() @ _by_wire(psi, wire).T
            by_weight[number, wire] = [2 * (slope * overlaps).sum().real for slope in own.by_angle]
            if own.by_feature is not None:
                by_feature[wire] = 2 * (own.by_feature * overlaps).sum().real
            lam = _applied(undo, lam, wire)
    return by_weight, by_feature


def _by_wire(state: ComplexArray, wire: int) -> ComplexArray:
    """The state as (2, rest), first where `wire` is 0; wire 0 is the most significant bit."""
    return state.reshape(2**wire, 2, -1).transpose(1, 0, 2).reshape(2, -1)


def _applied(matrix: ComplexArray, state: ComplexArray, wire: int) -> ComplexArray:
    moved = (matrix @ _by_wire(state, wire)).reshape(2, 2**wire, -1)
    return moved.transpose(1, 0, 2).reshape(-1)


def _cnots(n: int) -> npt.NDArray[np.int64]:
    """Where each amplitude comes from in CNOTs (0, 1), (1, 2), ...: each bit becomes the parity of those before it."""
    index = np.arange(2**n, dtype=np.int64)
    return np.asarray(index ^ (index >> 1), dtype=np.int64)


def _z_values(psi: ComplexArray, n: int) -> FloatArray:
    chances = np.abs(psi) ** 2
    return np.array([np.subtract(*chances.reshape(2**q, 2, -1).sum(axis=(0, 2))) for q in range(n)])


def _weighted_z(factors: FloatArray) -> FloatArray:
    """The diagonal of sum_q factors_q Z_q, (2^n,)."""
    total = np.zeros(1)
    for factor in factors:
        total = (total[:, None] + np.array([factor, -factor])).ravel()
    return total
