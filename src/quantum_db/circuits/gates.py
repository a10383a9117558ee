"""The one table of gates: arity, matrix, generator and shift rule of each.

Conventions: qubit 0 is the most significant bit; for a two-qubit gate on wires (a, b) the basis order of the matrix
is |ab> = 00, 01, 10, 11, so a CNOT's control is its first wire. A parametrised gate is U(t) = exp(-i t G) with a
Hermitian generator G whose eigenvalues are within {-l, 0, +l}. Then G^3 = l^2 G and

    U(t) = C + cos(l t) A + sin(l t) B,   A = G^2 / l^2,   B = -i G / l,   C = 1 - A,

which every simulator evaluates instead of a matrix exponential. The shift rules follow from the gaps between the
eigenvalues (Wierichs et al., "General parameter-shift rules for quantum gradients", arXiv:2107.12390):
one gap of 1 gives the two-term rule, gaps {1/2, 1} give the four-term rule of controlled rotations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from quantum_db.errors import CircuitError

ComplexMatrix = npt.NDArray[np.complex128]
ShiftRule = tuple[tuple[float, float], ...]
"""Pairs (coefficient, shift): dE/dt = sum of coefficient * E(t + shift)."""


def kron(*matrices: ComplexMatrix) -> ComplexMatrix:
    """The Kronecker product, first matrix most significant."""
    product: ComplexMatrix = np.eye(1, dtype=np.complex128)
    for matrix in matrices:
        product = np.asarray(np.kron(product, matrix), dtype=np.complex128)
    return product


_I = np.eye(2, dtype=np.complex128)
PAULI: dict[str, ComplexMatrix] = {
    "I": _I,
    "X": np.array([[0, 1], [1, 0]], dtype=np.complex128),
    "Y": np.array([[0, -1j], [1j, 0]], dtype=np.complex128),
    "Z": np.array([[1, 0], [0, -1]], dtype=np.complex128),
}
"""The Pauli matrices by letter."""

_TWO_TERM: ShiftRule = ((0.5, np.pi / 2), (-0.5, -np.pi / 2))
_PLUS = (np.sqrt(2) + 1) / (4 * np.sqrt(2))
_MINUS = (np.sqrt(2) - 1) / (4 * np.sqrt(2))
_FOUR_TERM: ShiftRule = (
    (_PLUS, np.pi / 2),
    (-_PLUS, -np.pi / 2),
    (-_MINUS, 3 * np.pi / 2),
    (_MINUS, -3 * np.pi / 2),
)


@dataclass(frozen=True)
class Gate:
    """One kind of gate; `fixed` is its matrix if it has no angle, `generator` is G if it has one."""

    name: str
    arity: int
    fixed: ComplexMatrix | None = None
    generator: ComplexMatrix | None = None

    @property
    def has_angle(self) -> bool:
        """Whether the gate takes an angle (in radians)."""
        return self.generator is not None

    @cached_property
    def frequency(self) -> float:
        """The largest eigenvalue l of the generator; the angle enters as cos(l t) and sin(l t)."""
        return float(np.max(np.abs(np.linalg.eigvalsh(self._generator))))

    @cached_property
    def terms(self) -> tuple[ComplexMatrix, ComplexMatrix, ComplexMatrix]:
        """The matrices (C, A, B) of U(t) = C + cos(l t) A + sin(l t) B, each (2^arity, 2^arity)."""
        generator, frequency = self._generator, self.frequency
        cosine = generator @ generator / frequency**2
        return np.eye(len(generator)) - cosine, cosine, -1j * generator / frequency

    @cached_property
    def shift_rule(self) -> ShiftRule:
        """The exact shift rule of an expectation value in this gate's angle."""
        values = np.unique(np.round(np.linalg.eigvalsh(self._generator), 12))
        gaps = {round(float(a - b), 12) for a in values for b in values if a > b}
        rules = {frozenset({1.0}): _TWO_TERM, frozenset({0.5, 1.0}): _FOUR_TERM}
        return rules[frozenset(gaps)]

    @property
    def is_diagonal(self) -> bool:
        """Whether the matrix is diagonal for every angle."""
        matrix = self.fixed if self.fixed is not None else self._generator
        return bool(np.all(matrix == np.diag(np.diag(matrix))))

    @property
    def permutation(self) -> tuple[int, ...] | None:
        """For a gate that only permutes basis states: the target of each basis state; None otherwise."""
        if self.fixed is None or not np.all(np.isin(self.fixed, (0, 1))):
            return None
        return tuple(int(row) for row in np.argmax(self.fixed.real, axis=0))

    def matrix(self, angle: float | None = None) -> ComplexMatrix:
        """The unitary, shape (2^arity, 2^arity); `angle` in radians, for gates that take one."""
        if self.fixed is not None:
            if angle is not None:
                raise CircuitError(f"gate {self.name} takes no angle, got {angle!r}; leave the angle out")
            return self.fixed
        if angle is None:
            raise CircuitError(f"gate {self.name} needs an angle in radians; give a number or a slot")
        constant, cosine, sine = self.terms
        cos, sin = np.cos(self.frequency * angle), np.sin(self.frequency * angle)
        return np.asarray(constant + cos * cosine + sin * sine, dtype=np.complex128)

    @property
    def _generator(self) -> ComplexMatrix:
        if self.generator is None:
            raise CircuitError(f"gate {self.name} takes no angle, so it has neither a generator nor a shift rule")
        return self.generator


def _controlled(block: ComplexMatrix, on_zero: ComplexMatrix) -> ComplexMatrix:
    return np.kron(np.diag([1, 0]), on_zero) + np.kron(np.diag([0, 1]), block)


def _fixed(name: str, matrix: object) -> Gate:
    array = np.array(matrix, dtype=np.complex128)
    return Gate(name, arity=int(np.log2(len(array))), fixed=array)


def _rotation(name: str, generator: ComplexMatrix) -> Gate:
    return Gate(name, arity=int(np.log2(len(generator))), generator=np.asarray(generator, dtype=np.complex128))


_NOTHING = np.zeros((2, 2), dtype=np.complex128)
_ALL = (
    _fixed("X", PAULI["X"]),
    _fixed("Y", PAULI["Y"]),
    _fixed("Z", PAULI["Z"]),
    _fixed("H", np.array([[1, 1], [1, -1]]) / np.sqrt(2)),
    _fixed("S", np.diag([1, 1j])),
    _fixed("Sdg", np.diag([1, -1j])),
    _fixed("T", np.diag([1, np.exp(0.25j * np.pi)])),
    _fixed("Tdg", np.diag([1, np.exp(-0.25j * np.pi)])),
    _rotation("RX", PAULI["X"] / 2),
    _rotation("RY", PAULI["Y"] / 2),
    _rotation("RZ", PAULI["Z"] / 2),
    _rotation("PhaseShift", np.diag([0.0, -1.0]).astype(np.complex128)),
    _fixed("CNOT", _controlled(PAULI["X"], _I)),
    _fixed("CZ", np.diag([1, 1, 1, -1])),
    _fixed("SWAP", np.eye(4)[[0, 2, 1, 3]]),
    _rotation("RXX", kron(PAULI["X"], PAULI["X"]) / 2),
    _rotation("RYY", kron(PAULI["Y"], PAULI["Y"]) / 2),
    _rotation("RZZ", kron(PAULI["Z"], PAULI["Z"]) / 2),
    _rotation("CRX", _controlled(PAULI["X"] / 2, _NOTHING)),
    _rotation("CRY", _controlled(PAULI["Y"] / 2, _NOTHING)),
    _rotation("CRZ", _controlled(PAULI["Z"] / 2, _NOTHING)),
)
GATES: dict[str, Gate] = {gate.name: gate for gate in _ALL}
"""Every gate by name."""


def gate(name: str) -> Gate:
    """Return the gate called `name`; raise CircuitError with the known names if there is none."""
    try:
        return GATES[name]
    except KeyError:
        raise CircuitError(f"unknown gate {name!r}; known: {', '.join(GATES)}") from None
