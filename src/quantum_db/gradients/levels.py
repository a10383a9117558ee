"""Gates that stand side by side, and their generators as sums of Pauli strings.

The weights' gates of a circuit fall into levels: a gate is one level above the last ones that act before it on its
wires. Gates of one level share no wire, so they commute, and the circuit can be cut in front of all of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from quantum_db.circuits.circuit import Circuit, Operation
from quantum_db.circuits.gates import PAULI, ComplexMatrix, gate, kron

Factors = tuple[tuple[int, str], ...]
PauliSum = dict[Factors, float]
"""Coefficients by the factors (wire, letter) of a Pauli string, wires ascending; () is the identity."""


@dataclass(frozen=True)
class Level:
    """Gates side by side, as positions in the circuit's operations, and the operations that act before them."""

    positions: tuple[int, ...]
    prefix: tuple[Operation, ...]


def levels(circuit: Circuit, weights: Sequence[int]) -> tuple[Level, ...]:
    """The levels of the gates whose angle is one of `weights`, from the first to the last."""
    wanted = set(weights)
    height = [0] * circuit.n_qubits
    found: list[list[int]] = []
    for position, operation in enumerate(circuit.operations):
        level = max(height[wire] for wire in operation.wires)
        slot = operation.slot
        if slot is not None and slot.kind == "weight" and slot.index in wanted:
            found += [[]] * (level == len(found))
            found[level] = [*found[level], position]
            level += 1
        for wire in operation.wires:
            height[wire] = level
    return tuple(Level(tuple(positions), _before(circuit, set(positions))) for positions in found)


def _before(circuit: Circuit, positions: set[int]) -> tuple[Operation, ...]:
    needed: set[int] = set()
    kept: list[Operation] = []
    for position, operation in reversed(tuple(enumerate(circuit.operations))):
        if position in positions:
            needed.update(operation.wires)
        elif not needed.isdisjoint(operation.wires):
            needed.update(operation.wires)
            kept.append(operation)
    return tuple(reversed(kept))


def generator(operation: Operation, power: int = 1) -> PauliSum:
    """The generator of a gate, or its square, on the gate's wires."""
    return {
        tuple(sorted((operation.wires[place], letter) for place, letter in word)): coefficient
        for word, coefficient in _decomposed(operation.gate, power)
    }


def multiplied(first: PauliSum, second: PauliSum) -> PauliSum:
    """The product of two sums on different wires."""
    return {
        tuple(sorted(a + b)): coefficient * other for a, coefficient in first.items() for b, other in second.items()
    }


@lru_cache(maxsize=64)
def _decomposed(name: str, power: int) -> tuple[tuple[Factors, float], ...]:
    kind = gate(name)
    matrix: ComplexMatrix = np.linalg.matrix_power(np.asarray(kind.generator), power)
    terms: list[tuple[Factors, float]] = []
    for letters in product("IXYZ", repeat=kind.arity):
        word = kron(*(PAULI[letter] for letter in letters))
        coefficient = float(np.trace(word @ matrix).real) / len(matrix)
        if abs(coefficient) > 1e-12:
            terms.append((tuple((place, x) for place, x in enumerate(letters) if x != "I"), coefficient))
    return tuple(terms)
