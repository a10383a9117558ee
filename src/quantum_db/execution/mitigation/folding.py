"""Unitary folding: the same unitary with more gates, so that a machine's noise grows by a known factor.

A gate G becomes G G^-1 G, or the whole circuit C becomes C C^-1 C; see Giurgica-Tiron et al., "Digital zero noise
extrapolation for quantum error mitigation", arXiv:2005.10921. A compiler that optimises would take the additions out
again, so folded circuits must run as they are written.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import floor
from typing import Literal

import numpy as np

from quantum_db.circuits.circuit import Circuit, Operation
from quantum_db.errors import ConfigurationError

Folding = Literal["global", "gates"]
FOLDINGS: tuple[Folding, ...] = ("global", "gates")

_INVERSE = {"S": "Sdg", "Sdg": "S", "T": "Tdg", "Tdg": "T"}


@dataclass(frozen=True)
class FoldedCircuit:
    """A circuit with the same unitary as the original, and by what its noise has grown.

    `factor` is what was reached, which with few gates may differ from what was asked: (weighted) gates over those of
    the original.
    """

    circuit: Circuit
    factor: float


def inverse(operation: Operation) -> Operation:
    """The gate that undoes `operation`; a slot stays a slot, with the opposite sign."""
    if operation.angle is not None:
        return replace(operation, angle=-operation.angle)
    return replace(operation, gate=_INVERSE.get(operation.gate, operation.gate))


def fold(
    circuit: Circuit, factor: float, folding: Folding = "global", gate_weights: tuple[float, float] = (1.0, 1.0)
) -> FoldedCircuit:
    """`circuit` with its noise scaled by `factor`, at least 1.

    Odd whole factors are exact. For others, "global" repeats only the last gates once more; "gates" repeats gates
    spread evenly over the circuit, among those on one qubit and those on two separately, so that both kinds grow alike
    (up to whole gates).
    `gate_weights` are the noise of a one-qubit and of a two-qubit gate in any unit; (1, 1) counts gates.
    Raises ConfigurationError for a factor below 1, an unknown folding or impossible weights.
    """
    check_folding(factor, folding, gate_weights)
    if not circuit.operations:
        return FoldedCircuit(circuit, 1.0)
    weights = [gate_weights[len(operation.wires) - 1] for operation in circuit.operations]
    if not sum(weights):
        raise ConfigurationError(f"all gates of the circuit have weight 0 in gate_weights {gate_weights}")
    make = _global if folding == "global" else _by_gate
    operations = make(circuit.operations, factor, weights)
    reached = sum(gate_weights[len(operation.wires) - 1] for operation in operations) / sum(weights)
    return FoldedCircuit(Circuit(circuit.n_qubits, operations, circuit.observables), reached)


def check_folding(factor: float, folding: str, gate_weights: tuple[float, float]) -> None:
    """Raise ConfigurationError unless `fold` can be asked for these."""
    if folding not in FOLDINGS:
        raise ConfigurationError(f"unknown folding {folding!r}; known: {', '.join(FOLDINGS)}")
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 1 <= factor < 1000:
        raise ConfigurationError(f"a noise factor must be a number from 1 to 1000, got {factor!r}")
    if len(gate_weights) != 2 or not all(np.isfinite(w) and w >= 0 for w in gate_weights) or not sum(gate_weights):
        raise ConfigurationError(
            f"gate_weights must be the noise of a one-qubit and of a two-qubit gate, both at least 0 and not both 0, "
            f"got {gate_weights!r}"
        )


def _undone(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
    return tuple(inverse(operation) for operation in reversed(operations))


def _global(operations: tuple[Operation, ...], factor: float, weights: list[float]) -> tuple[Operation, ...]:
    whole = floor((factor - 1) / 2 + 1e-12)
    folded = operations + (_undone(operations) + operations) * whole
    # the rest: how many of the last gates, each counting twice, come nearest
    missing = (factor - 1 - 2 * whole) * sum(weights)
    tails = 2 * np.concatenate([[0.0], np.cumsum(weights[::-1])])
    last = operations[len(operations) - int(np.argmin(np.abs(tails - missing))) :]
    return folded + _undone(last) + last


def _by_gate(operations: tuple[Operation, ...], factor: float, weights: list[float]) -> tuple[Operation, ...]:
    arities = [len(operation.wires) for operation in operations]
    pairs = _pairs(arities, factor, weights)
    met = {1: 0, 2: 0}
    folded: list[Operation] = []
    for operation, arity in zip(operations, arities, strict=True):
        # spread evenly: the first k gates of a kind get k times their share of pairs, rounded down
        count, number = arities.count(arity), met[arity]
        times = (number + 1) * pairs[arity] // count - number * pairs[arity] // count
        met[arity] += 1
        folded += [operation, *(inverse(operation), operation) * times]
    return tuple(folded)


def _pairs(arities: list[int], factor: float, weights: list[float]) -> dict[int, int]:
    """How many times a pair G^-1 G is added to gates on one and on two qubits.

    The two-qubit gates, which are the noisy ones, come as near to the factor as they can by themselves; those on one
    qubit make up for what rounding left.
    """
    own = dict(zip(arities, weights, strict=True))
    pairs = {arity: round(arities.count(arity) * (factor - 1) / 2) for arity in (1, 2)}
    if own.get(1):
        missing = sum(weights) * (factor - 1) / 2 - own.get(2, 0.0) * pairs[2]
        pairs[1] = max(0, round(missing / own[1]))
    return pairs
