"""IonQ's gates, with any number of controls, as exact sequences of the gate table.

Angles are in radians, numbers or multiples of a feature. Everything is exact up to a global phase of the whole circuit,
controlled phases included. A phase on the states where N qubits are all 1 is written as phases of the parities of their
subsets,
    N-qubit product x1 x2 ... xN = 2^(1-N) * sum over subsets S of (-1)^(|S|+1) * parity(S),
reached in Gray-code order with one CNOT each (Barenco et al., "Elementary gates for quantum computation",
arXiv:quant-ph/9503016, section 7.1): 2^N - 2 CNOTs, no helper qubit, and linear in the angle, so that it stays a
multiple of a feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import pi


@dataclass(frozen=True, slots=True)
class Multiple:
    """A feature times a number; lighter than a Slot, which it becomes in the circuit."""

    feature: int
    scale: float = 1.0

    def __mul__(self, factor: float) -> Multiple:
        return Multiple(self.feature, self.scale * factor)


Angle = Multiple | float
Step = tuple[str, tuple[int, ...], Angle | None]
"""A gate of the table, the qubits it acts on, and its angle."""

# Uncontrolled, each is one gate of the table; V is RX(pi/2) up to a global phase.
_PLAIN: dict[str, tuple[str, float | None]] = {
    "x": ("X", None),
    "y": ("Y", None),
    "z": ("Z", None),
    "h": ("H", None),
    "s": ("S", None),
    "si": ("Sdg", None),
    "t": ("T", None),
    "ti": ("Tdg", None),
    "v": ("RX", pi / 2),
    "vi": ("RX", -pi / 2),
}
# As U = after * diag(1, exp(i angle)) * before, phases included; steps in order of time.
_DIAGONAL: dict[str, tuple[tuple[tuple[str, float | None], ...], float, tuple[tuple[str, float | None], ...]]] = {
    "z": ((), pi, ()),
    "s": ((), pi / 2, ()),
    "si": ((), -pi / 2, ()),
    "t": ((), pi / 4, ()),
    "ti": ((), -pi / 4, ()),
    "v": ((("H", None),), pi / 2, (("H", None),)),
    "vi": ((("H", None),), -pi / 2, (("H", None),)),
    "h": ((("RY", -pi / 4),), pi, (("RY", pi / 4),)),
}
FIXED = frozenset(_PLAIN)
"""The one-qubit gates without an angle."""


@dataclass
class Steps:
    """Collects the steps of a circuit, in order of time."""

    steps: list[Step] = field(default_factory=list)

    def fixed(self, name: str, target: int, controls: Sequence[int] = ()) -> None:
        """One of the gates `FIXED`, with any number of controls."""
        if not controls:
            gate, angle = _PLAIN[name]
            self._add(gate, target, angle=angle)
        elif name == "x":
            self.controlled_x(controls, target)
        elif name == "y":
            self._add("Sdg", target)
            self.controlled_x(controls, target)
            self._add("S", target)
        else:
            before, angle, after = _DIAGONAL[name]
            for gate, turn in before:
                self._add(gate, target, angle=turn)
            self.phase((*controls, target), angle)
            for gate, turn in after:
                self._add(gate, target, angle=turn)

    def controlled_x(self, controls: Sequence[int], target: int) -> None:
        """X where all `controls` (one at least) are 1."""
        if len(controls) == 1:
            self._add("CNOT", controls[0], target)
            return
        self._add("H", target)
        self.phase((*controls, target), pi)
        self._add("H", target)

    def swap(self, first: int, second: int, controls: Sequence[int] = ()) -> None:
        """Swap, where all `controls` are 1."""
        if not controls:
            self._add("SWAP", first, second)
            return
        self._add("CNOT", second, first)
        self.controlled_x((*controls, first), second)
        self._add("CNOT", second, first)

    def phase(self, qubits: Sequence[int], angle: Angle) -> None:
        """exp(i angle) on the states where all `qubits` (one at least) are 1."""
        if len(qubits) == 1:
            self._add("PhaseShift", *qubits, angle=angle)
        elif len(qubits) == 2 and angle == pi:
            self._add("CZ", *qubits)
        elif len(qubits) == 2:
            self._add("PhaseShift", qubits[0], angle=angle * 0.5)
            self._add("CRZ", *qubits, angle=angle)
        else:
            self._parity_phases(qubits, angle * 0.5 ** (len(qubits) - 1))

    def rotation(self, letters: Sequence[tuple[int, str]], angle: Angle, controls: Sequence[int] = ()) -> None:
        """exp(-i angle / 2 P) where all `controls` are 1; `letters` are pairs (qubit, X | Y | Z) of the Pauli string P.

        Without letters P is the identity: a phase, seen only with controls.
        """
        if len(letters) == 1 and not controls:  # by far the most frequent
            self.steps.append((f"R{letters[0][1]}", (letters[0][0],), angle))
            return
        qubits, word = tuple(qubit for qubit, _ in letters), "".join(letter for _, letter in letters)
        if not letters:
            if controls:
                self.phase(controls, angle * -0.5)
        elif len(qubits) == len(controls) == 1:
            self._add(f"CR{word}", *controls, *qubits, angle=angle)
        elif not controls and word in ("XX", "YY", "ZZ"):
            self._add(f"R{word}", *qubits, angle=angle)
        else:
            self._rotation_of_parity(letters, angle, controls)

    def gpi(self, target: int, turns: Angle) -> None:
        """[[0, e^-ia], [e^ia, 0]] with a = 2 pi `turns`."""
        self._add("X", target)
        self._add("RZ", target, angle=turns * (4 * pi))

    def gpi2(self, target: int, turns: Angle) -> None:
        """[[1, -i e^-ia], [-i e^ia, 1]] / sqrt(2) with a = 2 pi `turns`."""
        self._add("RZ", target, angle=turns * (-2 * pi))
        self._add("RX", target, angle=pi / 2)
        self._add("RZ", target, angle=turns * (2 * pi))

    def ms(self, targets: tuple[int, int], phases: tuple[Angle, Angle], turns: Angle) -> None:
        """IonQ's Molmer-Sorensen gate: exp(-i pi `turns` XX) in the frames turned by `phases`; all in turns."""
        for target, phase in zip(targets, phases, strict=True):
            self._add("RZ", target, angle=phase * (-2 * pi))
        self._add("RXX", *targets, angle=turns * (2 * pi))
        for target, phase in zip(targets, phases, strict=True):
            self._add("RZ", target, angle=phase * (2 * pi))

    def zz(self, targets: tuple[int, int], turns: Angle) -> None:
        """IonQ's native ZZ: exp(-i pi `turns` ZZ)."""
        self._add("RZZ", *targets, angle=turns * (2 * pi))

    def _rotation_of_parity(self, letters: Sequence[tuple[int, str]], angle: Angle, controls: Sequence[int]) -> None:
        self._to_z(letters)
        *others, last = (qubit for qubit, _ in letters)
        if not controls and len(others) == 1:
            self._add("RZZ", *others, last, angle=angle)
        else:
            for qubit in others:
                self._add("CNOT", qubit, last)
            self._controlled_rz(controls, last, angle)
            for qubit in reversed(others):
                self._add("CNOT", qubit, last)
        self._from_z(letters)

    def _controlled_rz(self, controls: Sequence[int], target: int, angle: Angle) -> None:
        if len(controls) < 2:
            self._add("C" * len(controls) + "RZ", *controls, target, angle=angle)
            return
        self.phase(controls, angle * -0.5)
        self.phase((*controls, target), angle)

    def _to_z(self, letters: Sequence[tuple[int, str]]) -> None:
        # X = H Z H and Y = S H Z H Sdg
        for qubit, letter in letters:
            if letter == "Y":
                self._add("Sdg", qubit)
            if letter in ("X", "Y"):
                self._add("H", qubit)

    def _from_z(self, letters: Sequence[tuple[int, str]]) -> None:
        for qubit, letter in letters:
            if letter in ("X", "Y"):
                self._add("H", qubit)
            if letter == "Y":
                self._add("S", qubit)

    def _parity_phases(self, qubits: Sequence[int], angle: Angle) -> None:
        # for each qubit: the subsets in which it is the last, its own wire holding their parity
        by_parity = angle, angle * -1.0
        for place, qubit in enumerate(qubits):
            self._add("PhaseShift", qubit, angle=angle)
            subset = 0
            for number in range(1, 2**place):
                flipped = (number & -number).bit_length() - 1
                subset ^= 1 << flipped
                self._add("CNOT", qubits[flipped], qubit)
                self._add("PhaseShift", qubit, angle=by_parity[subset.bit_count() & 1])
            if place:
                self._add("CNOT", qubits[place - 1], qubit)

    def _add(self, gate: str, *qubits: int, angle: Angle | None = None) -> None:
        self.steps.append((gate, qubits, angle))
