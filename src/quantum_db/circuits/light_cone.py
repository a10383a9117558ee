"""Which slots can move a measured value at all.

Every observable is followed backwards through the circuit (Heisenberg picture). On each wire the set of Pauli letters
it may consist of is kept, an upper bound. A rotation whose generator commutes with everything that may arrive has a
gradient of exactly zero for all angles: it is dead, and shifting it on hardware would be paid for nothing. Seen from
the other end, a diagonal rotation of wires that are still in a basis state only turns a global phase; it is dead too.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np

from quantum_db.circuits.circuit import Circuit, Operation, Slot
from quantum_db.circuits.gates import PAULI, ComplexMatrix, gate, kron
from quantum_db.circuits.observables import PauliString

_GENERIC_ANGLE = 0.7853  # no multiple of pi/4, so that every letter that can arise does arise


def live_slots(circuit: Circuit) -> frozenset[tuple[str, int]]:
    """The slots as (kind, index) that at least one observable may depend on."""
    idle = _phase_only(circuit)
    live: set[tuple[str, int]] = set()
    for observable in circuit.observables:
        live |= _live_for(circuit, observable, idle)
    return frozenset(live)


def dead_weights(circuit: Circuit) -> tuple[int, ...]:
    """The weights whose gradient is zero by construction, ascending."""
    live = live_slots(circuit)
    return tuple(index for index in range(circuit.n_weights) if ("weight", index) not in live)


def _phase_only(circuit: Circuit) -> frozenset[int]:
    """The positions of diagonal gates on wires that are in a basis state whatever the angles are."""
    in_basis_state = set(range(circuit.n_qubits))
    found: set[int] = set()
    for position, operation in enumerate(circuit.operations):
        kind, wires = gate(operation.gate), operation.wires
        if kind.is_diagonal:
            if in_basis_state.issuperset(wires):
                found.add(position)
        elif operation.gate == "SWAP":
            swapped = {wires[1 - wires.index(wire)] for wire in wires if wire in in_basis_state}
            in_basis_state = in_basis_state.difference(wires) | swapped
        elif operation.gate == "CNOT" and wires[0] in in_basis_state:
            pass  # the control only decides whether the target is flipped; each stays as known as it was
        elif kind.permutation is None or not in_basis_state.issuperset(wires):
            in_basis_state.difference_update(wires)
    return frozenset(found)


def _live_for(circuit: Circuit, observable: PauliString, idle: frozenset[int]) -> set[tuple[str, int]]:
    letters: dict[int, frozenset[str]] = {wire: frozenset(letter) for wire, letter in observable.factors}
    live: set[tuple[str, int]] = set()
    for position, operation in reversed(tuple(enumerate(circuit.operations))):
        arriving = tuple(letters.get(wire, frozenset()) for wire in operation.wires)
        if not any(arriving):
            continue
        slot = operation.slot
        moves = slot is not None and slot.scale != 0 and position not in idle
        if slot is not None and moves and not _commutes(operation.gate, arriving):
            live.add((slot.kind, slot.index))
        leaving = _pulled_back(operation.gate, arriving, _angle(operation))
        letters.update(zip(operation.wires, leaving, strict=True))
    return live


def _angle(operation: Operation) -> float | None:
    return _GENERIC_ANGLE if isinstance(operation.angle, Slot) else operation.angle


def _words(arriving: tuple[frozenset[str], ...]) -> list[tuple[str, ...]]:
    return list(product(*(("I", *sorted(letters)) for letters in arriving)))


def _word_matrix(word: tuple[str, ...]) -> ComplexMatrix:
    return kron(*(PAULI[letter] for letter in word))


@lru_cache(maxsize=4096)
def _commutes(name: str, arriving: tuple[frozenset[str], ...]) -> bool:
    generator = gate(name).generator
    if generator is None:
        return True
    words = (_word_matrix(word) for word in _words(arriving))
    return all(np.allclose(generator @ word, word @ generator, atol=1e-12) for word in words)


@lru_cache(maxsize=4096)
def _pulled_back(name: str, arriving: tuple[frozenset[str], ...], angle: float | None) -> tuple[frozenset[str], ...]:
    matrix = gate(name).matrix(angle)
    after: list[set[str]] = [set() for _ in arriving]
    basis = list(product("IXYZ", repeat=len(arriving)))
    for word in _words(arriving):
        image = matrix.conj().T @ _word_matrix(word) @ matrix
        for candidate in basis:
            overlap = np.trace(_word_matrix(candidate) @ image) / len(image)
            if abs(overlap) > 1e-12:
                for wire, letter in enumerate(candidate):
                    after[wire] |= {letter} - {"I"}
    return tuple(frozenset(letters) for letters in after)
