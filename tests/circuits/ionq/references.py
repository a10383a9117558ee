"""Matrices of IonQ's gates written down from their definition, and what a circuit on the wire comes to."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi
from typing import Any

import numpy as np
from scipy.linalg import expm

from quantum_db.circuits.gates import PAULI, kron
from quantum_db.circuits.ionq import WireCircuit, read_input

MATRICES: dict[str, np.ndarray] = {
    "x": PAULI["X"],
    "y": PAULI["Y"],
    "z": PAULI["Z"],
    "h": np.array([[1, 1], [1, -1]]) / np.sqrt(2),
    "s": np.diag([1, 1j]),
    "si": np.diag([1, -1j]),
    "t": np.diag([1, np.exp(0.25j * pi)]),
    "ti": np.diag([1, np.exp(-0.25j * pi)]),
    "v": np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2,
    "vi": np.array([[1 - 1j, 1 + 1j], [1 + 1j, 1 - 1j]]) / 2,
    "swap": np.eye(4)[[0, 2, 1, 3]],
}


def rotation(word: str, angle: float) -> np.ndarray:
    return np.asarray(expm(-0.5j * angle * kron(*(PAULI[letter] for letter in word))))


def embedded(matrix: np.ndarray, targets: Sequence[int], controls: Sequence[int], n_qubits: int) -> np.ndarray:
    """`matrix` on `targets` (first most significant) where all controls are 1; qubit 0 is most significant."""
    block = np.eye(len(matrix) << len(controls), dtype=np.complex128)
    block[-len(matrix) :, -len(matrix) :] = matrix
    wires = [*controls, *targets]
    rest = [qubit for qubit in range(n_qubits) if qubit not in wires]
    full = np.kron(block, np.eye(2 ** len(rest))).reshape((2,) * (2 * n_qubits))
    order = np.argsort([*wires, *rest])
    return full.transpose([*order, *(order + n_qubits)]).reshape(2**n_qubits, -1)


def read_one(gates: list[dict[str, Any]], **fields: Any) -> WireCircuit:
    return read_input("ionq.circuit.v1", {"circuit": gates, **fields}).circuits[0]


def unitary(circuit: WireCircuit) -> np.ndarray:
    """The matrix of what was read, on the active qubits."""
    return circuit.structure.circuit.bind(features=circuit.angles.tolist()).unitary()


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """The largest difference of two unitaries, apart from a global phase."""
    phase = np.trace(second.conj().T @ first)
    return float(np.max(np.abs(first - second * phase / abs(phase))))
