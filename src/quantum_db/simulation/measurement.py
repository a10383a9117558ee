"""Seeded measurement of simulated states: counts, and expectation values with their standard errors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quantum_db.circuits.circuit import Circuit, Operation, op
from quantum_db.circuits.observables import PauliString, qubit_wise_commuting_groups
from quantum_db.errors import CircuitError
from quantum_db.simulation.statevector import probabilities, simulate

FloatArray = npt.NDArray[np.float64]


def check_shots(shots: int) -> int:
    """Return `shots` if it is a positive integer; raise CircuitError otherwise."""
    if isinstance(shots, bool) or not isinstance(shots, int) or shots < 1:
        raise CircuitError(f"shots must be a positive integer, got {shots!r}; leave it out for exact values")
    return shots


def sample_counts(states: Tensor, shots: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """Counts of each basis state, int64 (rows, 2^n), each row summing to `shots`."""
    check_shots(shots)
    exact = probabilities(states).detach().cpu().to(torch.float64).numpy()
    counts = generator.multinomial(shots, exact / exact.sum(axis=1, keepdims=True))
    return np.asarray(counts, dtype=np.int64)


def sampled_expectations(
    states: Tensor, observables: tuple[PauliString, ...], shots: int, generator: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Estimates and standard errors, each (rows, observables).

    Observables that commute qubit by qubit share one basis and one set of `shots`, as on hardware.
    """
    n_qubits = states.shape[1].bit_length() - 1
    values = np.empty((len(states), len(observables)))
    errors = np.empty_like(values)
    for group in qubit_wise_commuting_groups(observables):
        members = [observables[position] for position in group]
        counts = sample_counts(_in_basis_of(states, members, n_qubits), shots, generator)
        for position, observable in zip(group, members, strict=True):
            signs = parity_signs(observable, n_qubits)
            mean = counts @ signs / shots
            values[:, position] = observable.coefficient * mean
            spread = np.sqrt(np.clip(1.0 - mean**2, 0.0, None) / max(shots - 1, 1))
            errors[:, position] = abs(observable.coefficient) * spread
    return values, errors


def parity_signs(observable: PauliString, n_qubits: int) -> FloatArray:
    """+1 or -1 for each basis state: the value of the string once its basis is measured, shape (2^n,)."""
    index = np.arange(2**n_qubits)
    mask = sum(1 << (n_qubits - 1 - wire) for wire in observable.wires)
    return np.asarray(1.0 - 2.0 * (np.bitwise_count(index & mask) & 1))


def basis_change(observables: list[PauliString]) -> tuple[Operation, ...]:
    """The gates after which all `observables` (qubit-wise commuting) are read from the bits."""
    letters = {wire: letter for observable in observables for wire, letter in observable.factors}
    operations: list[Operation] = []
    for wire, letter in sorted(letters.items()):
        if letter == "Y":
            operations.append(op("Sdg", wire))
        if letter in ("X", "Y"):
            operations.append(op("H", wire))
    return tuple(operations)


def _in_basis_of(states: Tensor, observables: list[PauliString], n_qubits: int) -> Tensor:
    operations = basis_change(observables)
    if not operations:
        return states
    with torch.no_grad():
        return simulate(Circuit(n_qubits, operations), states.real.new_zeros(0), initial_states=states.detach())
