"""From the probabilities of basis states to what is read: bases of measurement, readout errors, samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quantum_db.circuits.circuit import Operation
from quantum_db.circuits.observables import PauliString, qubit_wise_commuting_groups
from quantum_db.simulation.gatewise import apply_matrix
from quantum_db.simulation.measurement import basis_change, parity_signs
from quantum_db.simulation.noise import Readout

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Setting:
    """One basis of measurement: the gates that change to it, and the observables that are read in it.

    `positions` are those of the observables in the circuit, `signs` (observables, 2^n) their values (coefficient
    included) on each basis state. `coefficients` are those of the observables.
    """

    operations: tuple[Operation, ...]
    positions: tuple[int, ...]
    signs: FloatArray
    coefficients: FloatArray


def settings(observables: tuple[PauliString, ...], n_qubits: int) -> tuple[Setting, ...]:
    """The bases that `observables` need: those that commute qubit by qubit share one, as on hardware."""
    found: list[Setting] = []
    for positions in qubit_wise_commuting_groups(observables):
        members = [observables[position] for position in positions]
        coefficients = np.array([member.coefficient for member in members])
        signs = np.stack([parity_signs(member, n_qubits) for member in members]) * coefficients[:, None]
        found.append(Setting(basis_change(members), positions, signs, coefficients))
    return tuple(found)


def confused(probabilities: Tensor, readout: Readout) -> Tensor:
    """The probabilities (rows, 2^n) of what is read, given those of the basis states."""
    if readout.is_ideal:
        return probabilities
    n_qubits = probabilities.shape[1].bit_length() - 1
    matrix = torch.as_tensor(readout.confusion, dtype=probabilities.dtype, device=probabilities.device)[None]
    for wire in range(n_qubits):
        probabilities = apply_matrix(matrix, probabilities, (wire,), n_qubits)
    return probabilities


def as_distribution(probabilities: Tensor) -> FloatArray:
    """Float64 rows that are at least 0 and sum to 1, whatever rounding did to `probabilities`."""
    table = np.clip(probabilities.detach().cpu().to(torch.float64).numpy(), 0.0, None)
    return np.asarray(table / table.sum(axis=1, keepdims=True))


def parity_estimates(setting: Setting, counts: npt.NDArray[np.int64], shots: int) -> tuple[FloatArray, FloatArray]:
    """Estimates and standard errors (rows, observables of the setting) from `counts` (rows, 2^n) of `shots` each."""
    values = counts @ setting.signs.T / shots
    spread = np.clip(setting.coefficients**2 - values**2, 0.0, None) / max(shots - 1, 1)
    return values, np.sqrt(spread)


def share_estimates(counts: npt.NDArray[np.int64], shots: int) -> tuple[FloatArray, FloatArray]:
    """Shares of each basis state and their standard errors, (rows, 2^n)."""
    share = counts / shots
    return share, np.sqrt(share * (1 - share) / shots)
