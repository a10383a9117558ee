"""Batched simulation of density matrices, for small circuits with noise.

A gate and the channels that follow it are one matrix on the ket and bra indices of rho. One-qubit matrices are kept
back and multiplied into the next two-qubit one on their wire, so that only two-qubit gates pass over the whole state.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from quantum_db.circuits.circuit import Circuit, Operation
from quantum_db.circuits.gates import PAULI
from quantum_db.circuits.observables import PauliString
from quantum_db.errors import ConfigurationError
from quantum_db.simulation.gatewise import COMPLEX_OF, apply_matrix, checked_slots, constant, gate_matrix, pair_matrix
from quantum_db.simulation.memory import available_bytes
from quantum_db.simulation.noise import IDEAL, Channel, NoiseModel

_NOTHING = np.eye(4, dtype=np.complex128)
_WORK = 3
"""States alive at once while a gate is applied: the old one, its reordered copy, the product."""


def density_bytes(n_qubits: int, rows: int, amplitude_bytes: int) -> int:
    """Bytes that simulating `rows` density matrices at once takes, with those of their gates."""
    return rows * amplitude_bytes * ((_WORK << (2 * n_qubits)) + 4 * 256)


def check_density_memory(n_qubits: int, rows: int, amplitude_bytes: int, device: torch.device) -> None:
    """Raise ConfigurationError with the GiB needed and the largest circuit that fits, if this one does not."""
    needed = density_bytes(n_qubits, rows, amplitude_bytes)
    if needed < 2**26:
        return
    free = available_bytes(device)
    if needed <= free:
        return
    fits = n_qubits
    while fits > 1 and density_bytes(fits, rows, amplitude_bytes) > free:
        fits -= 1
    raise ConfigurationError(
        f"the density matrices of {n_qubits} qubits with {rows} row(s) at once need {needed / 2**30:,.1f} GiB, and "
        f"{free / 2**30:,.1f} GiB are free; {fits} qubits fit. Use qpu_target 'trajectories', fewer qubits, a smaller "
        f"max_concurrent_circuits, or complex64"
    )


def simulate_density(
    circuit: Circuit, weights: Tensor, features: Tensor | None = None, noise: NoiseModel = IDEAL
) -> Tensor:
    """Return the final density matrices, complex (rows, 2^n, 2^n), qubit 0 most significant.

    `weights` is (n_weights,) or (rows, n_weights), `features` (rows, n_features); the dtype of the weights (float32 or
    float64) sets that of the states. Readout errors are not part of a state, see `simulation.readout`. Raises
    CircuitError when shapes do not fit, ConfigurationError when the states do not fit into memory.
    """
    weights, features, rows = checked_slots(circuit, weights, features)
    dtype, n_qubits = COMPLEX_OF[weights.dtype], circuit.n_qubits
    check_density_memory(n_qubits, rows, dtype.itemsize, weights.device)
    rho = torch.zeros(rows, 4**n_qubits, dtype=dtype, device=weights.device)
    rho[:, 0] = 1
    for matrix, wires in _matrices(circuit, weights, features, noise):
        rho = _apply(matrix, rho, wires, n_qubits)
    return rho.reshape(rows, 2**n_qubits, 2**n_qubits)


def rotated(rho: Tensor, operations: tuple[Operation, ...]) -> Tensor:
    """`rho` (rows, 2^n, 2^n) after noiseless `operations` without open slots."""
    n_qubits = rho.shape[1].bit_length() - 1
    nothing = torch.zeros(1, 0, dtype=rho.real.dtype, device=rho.device)
    flat = rho.reshape(len(rho), -1)
    for matrix, wires in _matrices(Circuit(n_qubits, operations), nothing, nothing, IDEAL):
        flat = _apply(matrix, flat, wires, n_qubits)
    return flat.reshape(rho.shape)


def density_probabilities(rho: Tensor) -> Tensor:
    """Probabilities of the basis states, real (rows, 2^n)."""
    return rho.diagonal(dim1=1, dim2=2).real


def density_expectations(rho: Tensor, observables: tuple[PauliString, ...]) -> Tensor:
    """Expectation values tr(rho P), real (rows, observables), without readout errors."""
    n_qubits = rho.shape[1].bit_length() - 1
    columns = []
    for observable in observables:
        turned = rho
        for wire, letter in observable.factors:
            pauli = constant(PAULI[letter], rho.real)
            turned = apply_matrix(pauli, turned.reshape(len(rho), -1), (wire,), 2 * n_qubits)
        trace = turned.reshape(rho.shape).diagonal(dim1=1, dim2=2).sum(dim=1).real
        columns.append(observable.coefficient * trace)
    return torch.stack(columns, dim=1)


def _matrices(
    circuit: Circuit, weights: Tensor, features: Tensor, noise: NoiseModel
) -> Iterator[tuple[Tensor, tuple[int, ...]]]:
    """The matrices (1 or rows, 4^k, 4^k) that pass over the state, with their wires, in order."""
    waiting: dict[int, Tensor] = {}
    nothing = constant(_NOTHING, weights)
    for operation in circuit.operations:
        unitary = gate_matrix(operation, weights, features)
        matrix = pair_matrix(unitary, unitary.conj())
        for channel, wires in noise.channels_after(operation):
            matrix = _channel_matrix(channel, wires, operation.wires, weights) @ matrix
        if len(operation.wires) == 1:
            wire = operation.wires[0]
            waiting[wire] = matrix @ waiting[wire] if wire in waiting else matrix
            continue
        before = [waiting.pop(wire, None) for wire in operation.wires]
        if any(earlier is not None for earlier in before):
            first, second = (nothing if earlier is None else earlier for earlier in before)
            matrix = matrix @ _side_by_side(first, second)
        yield matrix, operation.wires
    for wire, matrix in sorted(waiting.items(), key=lambda entry: entry[0]):
        yield matrix, (wire,)


def _apply(matrix: Tensor, rho: Tensor, wires: tuple[int, ...], n_qubits: int) -> Tensor:
    bras = tuple(n_qubits + wire for wire in wires)
    return apply_matrix(matrix, rho, wires + bras, 2 * n_qubits)


def _channel_matrix(channel: Channel, wires: tuple[int, ...], of: tuple[int, ...], like: Tensor) -> Tensor:
    """The channel's matrix on the wires of the gate it follows."""
    matrix = constant(channel.superoperator, like)
    if len(wires) == len(of):
        return matrix
    nothing = constant(_NOTHING, like)
    return _side_by_side(matrix, nothing) if wires[0] == of[0] else _side_by_side(nothing, matrix)


def _side_by_side(first: Tensor, second: Tensor) -> Tensor:
    """Two one-qubit matrices on (ket, bra) as one two-qubit matrix on (ket, ket, bra, bra)."""
    both = pair_matrix(first, second).reshape(-1, *(2,) * 8)
    return both.permute(0, 1, 3, 2, 4, 5, 7, 6, 8).reshape(-1, 16, 16)
