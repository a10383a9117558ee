"""Observables: weighted Pauli strings, whose expectation values are what a circuit is measured for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import isfinite

from quantum_db.circuits.gates import PAULI, ComplexMatrix, kron
from quantum_db.errors import CircuitError

_TERM = re.compile(r"([XYZ])(\d+)$")


@dataclass(frozen=True, order=True)
class PauliString:
    """A product of Pauli matrices on some wires, times a real coefficient.

    `factors` are pairs (wire, letter) sorted by wire; no factor is the identity. Build one with
    `PauliString.of("Z0 X2")`.
    """

    factors: tuple[tuple[int, str], ...]
    coefficient: float = 1.0

    def __post_init__(self) -> None:
        wires = [wire for wire, _ in self.factors]
        if wires != sorted(set(wires)) or any(wire < 0 for wire in wires):
            raise CircuitError(f"Pauli factors {self.factors} must name each wire >= 0 once, in ascending order")
        if any(letter not in ("X", "Y", "Z") for _, letter in self.factors):
            raise CircuitError(f"Pauli factors {self.factors} may use the letters X, Y and Z only")
        if not isfinite(self.coefficient):
            raise CircuitError(f"the coefficient of a Pauli string must be finite, got {self.coefficient}")

    @classmethod
    def of(cls, text: str, coefficient: float = 1.0) -> PauliString:
        """Read "Z0", "X0 Z3" or "I" (the identity)."""
        words = [] if text.strip() in ("", "I") else text.split()
        matches = [(_TERM.match(word), word) for word in words]
        bad = [word for match, word in matches if match is None]
        if bad:
            raise CircuitError(f"cannot read {bad[0]!r} in the observable {text!r}; write for example 'Z0' or 'X0 Y2'")
        pairs = sorted((int(match[2]), match[1]) for match, _ in matches if match is not None)
        return cls(tuple(pairs), coefficient)

    @property
    def wires(self) -> tuple[int, ...]:
        """The wires on which the string is not the identity, ascending."""
        return tuple(wire for wire, _ in self.factors)

    @property
    def is_diagonal(self) -> bool:
        """Whether the string holds only Z, so that it is read from the measured bits as they are."""
        return all(letter == "Z" for _, letter in self.factors)

    def matrix(self, n_qubits: int) -> ComplexMatrix:
        """The dense matrix, shape (2^n, 2^n), qubit 0 most significant."""
        letters: Mapping[int, str] = dict(self.factors)
        return self.coefficient * kron(*(PAULI[letters.get(wire, "I")] for wire in range(n_qubits)))

    def __str__(self) -> str:
        word = " ".join(f"{letter}{wire}" for wire, letter in self.factors) or "I"
        return word if self.coefficient == 1.0 else f"{self.coefficient:g} {word}"


def single_qubit(n_qubits: int, basis: str = "Z") -> tuple[PauliString, ...]:
    """The Pauli matrix `basis` on each qubit in turn."""
    return tuple(PauliString(((wire, basis),)) for wire in range(n_qubits))


def class_observables(n_qubits: int, n_classes: int, basis: str = "Z") -> tuple[PauliString, ...]:
    """One observable for each class: first the single qubits, then pairs of qubits.

    Raises CircuitError when there are more classes than n + n(n-1)/2.
    """
    singles = single_qubit(n_qubits, basis)
    pairs = tuple(PauliString(((a, basis), (b, basis))) for a, b in combinations(range(n_qubits), 2))
    known = singles + pairs
    if n_classes > len(known):
        raise CircuitError(
            f"{n_classes} classes need {n_classes} observables, but {n_qubits} qubits give {len(known)} single and "
            f"pair observables; use more qubits or a hybrid model"
        )
    return known[:n_classes]


def as_observables(items: Iterable[PauliString | str]) -> tuple[PauliString, ...]:
    """Turn strings such as "Z0 Z1" into Pauli strings; Pauli strings pass."""
    return tuple(item if isinstance(item, PauliString) else PauliString.of(item) for item in items)


def qubit_wise_commuting_groups(observables: Iterable[PauliString]) -> tuple[tuple[int, ...], ...]:
    """Group the positions of observables that can be measured in one basis (first fit, order kept).

    Two strings share a group when on every wire they have the same letter or one of them none.
    """
    groups: list[tuple[dict[int, str], list[int]]] = []
    for position, observable in enumerate(observables):
        letters = dict(observable.factors)
        for basis, members in groups:
            if all(basis.get(wire, letter) == letter for wire, letter in letters.items()):
                basis.update(letters)
                members.append(position)
                break
        else:
            groups.append((letters, [position]))
    return tuple(tuple(members) for _, members in groups)
