"""`Circuit`: an immutable list of gates with typed slots for weights and features, and what is measured."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isfinite
from typing import Literal, SupportsFloat, SupportsIndex

import numpy as np
import numpy.typing as npt

from quantum_db.circuits.gates import ComplexMatrix, gate
from quantum_db.circuits.observables import PauliString, as_observables
from quantum_db.errors import CircuitError

SlotKind = Literal["weight", "feature"]


def _whole(what: str, value: SupportsIndex) -> int:
    """`value` as a plain int, so that numpy's integers name the same wire or slot as Python's."""
    try:
        return operator.index(value)
    except TypeError:
        raise CircuitError(f"{what} must be an integer, got {value!r}") from None


def _finite(what: str, value: SupportsFloat) -> float:
    """`value` as a plain finite float, numpy's numbers of any precision included."""
    if not isinstance(value, SupportsFloat) or not isfinite(value):
        raise CircuitError(f"{what} must be a finite number, got {value!r}")
    return float(value)


@dataclass(frozen=True, order=True)
class Slot:
    """A place in a circuit that is filled per run: a trainable weight or a feature of a sample.

    As an angle it enters as `scale * value + offset` (radians). The same slot may stand in several gates.
    """

    kind: SlotKind
    index: int
    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("weight", "feature"):
            raise CircuitError(f"a slot is a 'weight' or a 'feature', got {self.kind!r}")
        object.__setattr__(self, "index", _whole("a slot's index", self.index))
        if self.index < 0:
            raise CircuitError(f"a slot's index starts at 0, got {self.index}")
        object.__setattr__(self, "scale", _finite("a slot's scale", self.scale))
        object.__setattr__(self, "offset", _finite("a slot's offset", self.offset))

    def __mul__(self, factor: float) -> Slot:
        return replace(self, scale=self.scale * factor, offset=self.offset * factor)

    __rmul__ = __mul__

    def __add__(self, shift: float) -> Slot:
        return replace(self, offset=self.offset + shift)

    __radd__ = __add__

    def __neg__(self) -> Slot:
        return self * -1.0


def weight(index: int) -> Slot:
    """The trainable weight number `index`."""
    return Slot("weight", index)


def feature(index: int) -> Slot:
    """The feature number `index` of the sample."""
    return Slot("feature", index)


Angle = Slot | float


@dataclass(frozen=True)
class Operation:
    """One gate on named wires; `angle` is a number in radians, a slot, or None for gates without an angle."""

    gate: str
    wires: tuple[int, ...]
    angle: Angle | None = None

    def __post_init__(self) -> None:
        kind = gate(self.gate)
        object.__setattr__(self, "wires", tuple(_whole(f"a wire of gate {self.gate}", wire) for wire in self.wires))
        if len(self.wires) != kind.arity or len(set(self.wires)) != kind.arity or min(self.wires) < 0:
            raise CircuitError(f"gate {self.gate} needs {kind.arity} different wire(s) >= 0, got {self.wires}")
        if kind.has_angle != (self.angle is not None):
            need = "needs an angle" if kind.has_angle else "takes no angle"
            raise CircuitError(f"gate {self.gate} {need}, got {self.angle!r}")
        if self.angle is not None and not isinstance(self.angle, Slot):
            place = f"the angle of gate {self.gate} on wires {self.wires}"
            object.__setattr__(self, "angle", _finite(place, self.angle))

    @property
    def slot(self) -> Slot | None:
        """The slot that fills the angle, if one does."""
        return self.angle if isinstance(self.angle, Slot) else None


def op(name: str, *wires: int, angle: Angle | None = None) -> Operation:
    """Short form of Operation: `op("RX", 0, angle=weight(3))`."""
    return Operation(name, tuple(wires), angle)


@dataclass(frozen=True, eq=False)
class Circuit:
    """A circuit on `n_qubits` wires and the observables measured at its end.

    Two circuits are equal when they apply the same gates in the same order on every wire and measure the same
    observables, whatever the order in which gates on different wires were written down.
    """

    n_qubits: int
    operations: tuple[Operation, ...] = ()
    observables: tuple[PauliString, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.n_qubits < 1:
            raise CircuitError(f"a circuit needs at least one qubit, got {self.n_qubits}")
        object.__setattr__(self, "operations", tuple(self.operations))
        object.__setattr__(self, "observables", as_observables(self.observables))
        items: tuple[Operation | PauliString, ...] = (*self.operations, *self.observables)
        for item in items:
            if item.wires and max(item.wires) >= self.n_qubits:
                raise CircuitError(f"{item} is outside a circuit of {self.n_qubits} qubits (0..{self.n_qubits - 1})")

    @cached_property
    def n_weights(self) -> int:
        """The number of weights: the largest weight index in use, plus one."""
        return self._count("weight")

    @cached_property
    def n_features(self) -> int:
        """The number of features: the largest feature index in use, plus one."""
        return self._count("feature")

    @cached_property
    def canonical_operations(self) -> tuple[Operation, ...]:
        """The operations sorted by (earliest moment, wires): the same for all equal circuits."""
        depth_of = [0] * self.n_qubits
        keyed = []
        for operation in self.operations:
            moment = max(depth_of[wire] for wire in operation.wires)
            for wire in operation.wires:
                depth_of[wire] = moment + 1
            keyed.append((moment, operation.wires, operation))
        return tuple(operation for _, _, operation in sorted(keyed, key=lambda entry: entry[:2]))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the canonical form; the same in every process and on every machine."""
        from quantum_db.circuits.fingerprint import fingerprint

        return fingerprint(self)

    @property
    def depth(self) -> int:
        """The number of moments when every gate is placed as early as its wires allow."""
        depth_of = [0] * self.n_qubits
        for operation in self.operations:
            moment = max(depth_of[wire] for wire in operation.wires) + 1
            for wire in operation.wires:
                depth_of[wire] = moment
        return max(depth_of)

    def gate_counts(self) -> dict[str, int]:
        """How often each gate stands in the circuit, sorted by name."""
        return dict(sorted(Counter(operation.gate for operation in self.operations).items()))

    def count_by_arity(self) -> tuple[int, int]:
        """The numbers of one-qubit and of two-qubit gates."""
        ones = sum(len(operation.wires) == 1 for operation in self.operations)
        return ones, len(self.operations) - ones

    def entanglement_map(self) -> tuple[tuple[int, int], ...]:
        """The pairs of wires joined by a two-qubit gate, each once, sorted."""
        pairs = {(min(o.wires), max(o.wires)) for o in self.operations if len(o.wires) == 2}
        return tuple(sorted(pairs))

    def then(self, other: Circuit) -> Circuit:
        """This circuit followed by `other`, which shares its slots; the observables of `other` win if it has any."""
        if other.n_qubits != self.n_qubits:
            raise CircuitError(f"cannot join circuits of {self.n_qubits} and {other.n_qubits} qubits")
        return Circuit(self.n_qubits, self.operations + other.operations, other.observables or self.observables)

    def measuring(self, observables: Iterable[PauliString | str]) -> Circuit:
        """The same gates, measured for `observables`."""
        return Circuit(self.n_qubits, self.operations, as_observables(observables))

    def bind(self, weights: Sequence[float] = (), features: Sequence[float] = ()) -> Circuit:
        """Fill all slots with numbers; raise CircuitError when the numbers do not fit or are not finite."""
        values = {"weight": self._checked("weight", weights), "feature": self._checked("feature", features)}

        def filled(operation: Operation) -> Operation:
            slot = operation.slot
            if slot is None:
                return operation
            return replace(operation, angle=float(slot.scale * values[slot.kind][slot.index] + slot.offset))

        return Circuit(self.n_qubits, tuple(map(filled, self.operations)), self.observables)

    def unitary(self) -> ComplexMatrix:
        """The matrix of a circuit without open slots, shape (2^n, 2^n); for small n, made gate by gate."""
        if self.n_weights or self.n_features:
            raise CircuitError("the circuit has open slots; bind weights and features before asking for its unitary")
        total = np.eye(2**self.n_qubits, dtype=np.complex128).reshape((2,) * self.n_qubits + (-1,))
        for operation in self.operations:
            angle = operation.angle if not isinstance(operation.angle, Slot) else None
            matrix = gate(operation.gate).matrix(angle).reshape((2,) * (2 * len(operation.wires)))
            arity = len(operation.wires)
            total = np.tensordot(matrix, total, axes=(range(arity, 2 * arity), operation.wires))
            total = np.moveaxis(total, range(arity), operation.wires)
        return total.reshape(2**self.n_qubits, -1)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Circuit):
            return NotImplemented
        return self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __str__(self) -> str:
        from quantum_db.circuits.drawing import draw_text

        return draw_text(self)

    def _count(self, kind: SlotKind) -> int:
        slots = (o.slot for o in self.operations)
        return 1 + max((slot.index for slot in slots if slot is not None and slot.kind == kind), default=-1)

    def _checked(self, kind: SlotKind, values: Sequence[float]) -> npt.NDArray[np.float64]:
        array = np.asarray(values, dtype=np.float64)
        wanted = self._count(kind)
        if array.shape != (wanted,):
            raise CircuitError(f"the circuit takes {wanted} {kind}(s), got an array of shape {array.shape}")
        if not np.all(np.isfinite(array)):
            bad = int(np.flatnonzero(~np.isfinite(array))[0])
            raise CircuitError(f"{kind} {bad} is {array[bad]}; every slot needs a finite number")
        return array
