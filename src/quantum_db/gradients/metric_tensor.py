"""The Fubini-Study metric of a circuit's state in its weights, exact, from the simulator.

    g_ij = Re(<d_i psi | d_j psi> - <d_i psi | psi> <psi | d_j psi>)

so that |<psi(w) | psi(w + d)>|^2 = 1 - d g d + O(d^3). The quantum Fisher information matrix is 4 g; what is often
printed as "the Fisher matrix" is g. Stokes et al., "Quantum natural gradient", arXiv:1909.02108.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from quantum_db.backends.protocols import CircuitRows
from quantum_db.circuits.circuit import Circuit, Slot
from quantum_db.circuits.gates import gate
from quantum_db.errors import CircuitError
from quantum_db.gradients.levels import levels
from quantum_db.gradients.unrolling import angles, unrolled
from quantum_db.simulation.statevector import simulate

FloatArray = npt.NDArray[np.float64]
_STATES_AT_ONCE = 2048


def exact_metric(rows: CircuitRows, weights: Sequence[int] | None = None, blocks: bool = False) -> FloatArray:
    """The metric of each row, (rows, k, k), for the k chosen `weights` (all by default), in complex128.

    With `blocks` only gates of one level (gates side by side, see `levels`) are related to each other, as in what can
    be measured without an extra qubit. Simulates one state per gate with a chosen weight, two for controlled rotations
    and phase shifts. Raises CircuitError for a weight that the circuit does not have, ConfigurationError when the
    states do not fit into memory.
    """
    chosen = chosen_weights(rows.circuit, weights)
    circuit, slots = unrolled(rows.circuit)
    rules = _derivative_rules(rows.circuit, slots, chosen)
    scales = np.array([[slots[number].scale * (slots[number].index == w) for number in rules] for w in chosen])
    mask = _level_mask(rows.circuit, chosen, tuple(rules)) if blocks else None
    metric = np.zeros((rows.n_rows, len(chosen), len(chosen)))
    points = 1 + sum(map(len, rules.values()))
    values = angles(rows, slots)
    step = max(1, _STATES_AT_ONCE // points)
    for first in range(0, rows.n_rows if rules else 0, step):
        gram = _gram(circuit, values[first : first + step], rules)
        metric[first : first + step] = scales @ (gram if mask is None else gram * mask) @ scales.T
    return metric


def quantum_fisher_information(rows: CircuitRows, weights: Sequence[int] | None = None) -> FloatArray:
    """The quantum Fisher information matrix of each row, 4 times the Fubini-Study metric, (rows, k, k)."""
    return 4.0 * exact_metric(rows, weights)


def chosen_weights(circuit: Circuit, weights: Sequence[int] | None) -> tuple[int, ...]:
    """`weights`, or all weights of `circuit` for None; CircuitError for one that the circuit does not have."""
    chosen = tuple(range(circuit.n_weights)) if weights is None else tuple(weights)
    outside = [index for index in chosen if not 0 <= index < circuit.n_weights]
    if outside:
        raise CircuitError(f"weight {outside[0]} was asked for, but the circuit has {circuit.n_weights} weight(s)")
    return chosen


def _derivative_rules(
    circuit: Circuit, slots: tuple[Slot, ...], chosen: tuple[int, ...]
) -> dict[int, tuple[tuple[float, float], ...]]:
    """By number of the angle, pairs (factor, shift): d psi = sum of factor * psi(angle + shift).

    With U(t) = C + cos(l t) A + sin(l t) B the derivative is l / 2 (U(t + pi / 2l) - U(t - pi / 2l)), exactly, and
    l U(t + pi / 2l) where C is zero.
    """
    kinds = [gate(operation.gate) for operation in circuit.operations if operation.slot is not None]
    rules: dict[int, tuple[tuple[float, float], ...]] = {}
    for number, (slot, kind) in enumerate(zip(slots, kinds, strict=True)):
        if slot.kind != "weight" or slot.index not in chosen:
            continue
        frequency, shift = kind.frequency, np.pi / (2 * kind.frequency)
        plain = not np.any(kind.terms[0])
        rules[number] = ((frequency, shift),) if plain else ((frequency / 2, shift), (-frequency / 2, -shift))
    return rules


def _gram(circuit: Circuit, values: FloatArray, rules: dict[int, tuple[tuple[float, float], ...]]) -> FloatArray:
    """The metric between all chosen gates, (rows, gates, gates), for `values` (rows, angles)."""
    moves = [(number, shift) for number, rule in rules.items() for _, shift in rule]
    table = np.zeros((1 + len(moves), values.shape[1]))
    for place, (number, shift) in enumerate(moves, start=1):
        table[place, number] = shift
    points = (values[:, None, :] + table).reshape(-1, values.shape[1])
    with torch.no_grad():
        flat = simulate(circuit, torch.as_tensor(points)).numpy()
    states = flat.reshape(len(values), len(table), -1)
    factors = np.zeros((len(rules), len(moves)))
    columns = iter(range(len(moves)))
    for place, rule in enumerate(rules.values()):
        for factor, _ in rule:
            factors[place, next(columns)] = factor
    derivatives = factors @ states[:, 1:]
    overlaps = derivatives.conj() @ states[:, 0, :, None]
    gram = derivatives.conj() @ derivatives.transpose(0, 2, 1) - overlaps @ overlaps.conj().transpose(0, 2, 1)
    return np.asarray(gram.real, dtype=np.float64)


def _level_mask(circuit: Circuit, chosen: tuple[int, ...], numbers: tuple[int, ...]) -> FloatArray:
    """1 where two gates stand in one level, (gates, gates)."""
    slotted = [position for position, operation in enumerate(circuit.operations) if operation.slot is not None]
    level_of = {p: place for place, level in enumerate(levels(circuit, chosen)) for p in level.positions}
    places = np.array([level_of[slotted[number]] for number in numbers])
    return np.asarray(places[:, None] == places[None, :], dtype=np.float64)
