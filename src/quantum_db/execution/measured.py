"""The one place where a batch becomes the circuits that a machine runs, and where histograms become values.

A machine runs circuits without open slots and reads bits. So each row of a part is filled with its values, its
observables are gathered into bases of measurement, and the gates that change to each basis are appended. What is equal
after that is run once. On the way back, every row finds its circuits' histograms again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from quantum_db.backends.protocols import Batch, CircuitRows, RowResults
from quantum_db.circuits.circuit import Angle, Circuit, Operation, Slot, feature
from quantum_db.circuits.observables import PauliString, qubit_wise_commuting_groups
from quantum_db.errors import BackendError, CircuitError
from quantum_db.execution.readings import LARGEST_DENSE, NOTHING_HAPPENED, MaskArray, Reading
from quantum_db.simulation.measurement import basis_change, check_shots

FloatArray = npt.NDArray[np.float64]

LARGEST = 64
"""The most qubits that a basis state's number may have here."""
_LOCAL = -1


@dataclass(frozen=True, eq=False)
class Basis:
    """One basis in which a circuit is read: gates to append, and which observables follow from which bits.

    `positions` are those of the observables in the circuit; each is `coefficients` times the parity of the bits in
    `masks`. A circuit without observables has one basis without positions: all its probabilities are read.
    """

    operations: tuple[Operation, ...]
    positions: tuple[int, ...]
    coefficients: FloatArray
    masks: MaskArray

    @property
    def is_constant(self) -> bool:
        """Whether every observable is a multiple of the identity, so that nothing need be measured."""
        return bool(self.positions) and not self.masks.any()


def parity_mask(wires: Sequence[int], n_qubits: int) -> int:
    """The number of the basis state that is 1 on `wires` and 0 elsewhere; qubit 0 is the most significant bit."""
    return sum(1 << (n_qubits - 1 - wire) for wire in wires)


def bases(circuit: Circuit) -> tuple[Basis, ...]:
    """The bases that the observables of `circuit` need: those that commute qubit by qubit share one."""
    found = []
    for positions in qubit_wise_commuting_groups(circuit.observables):
        members = [circuit.observables[position] for position in positions]
        masks = np.array([parity_mask(member.wires, circuit.n_qubits) for member in members], dtype=np.uint64)
        coefficients = np.array([member.coefficient for member in members])
        found.append(Basis(basis_change(members), positions, coefficients, masks))
    return tuple(found) or (Basis((), (), np.zeros(0), np.zeros(0, dtype=np.uint64)),)


@dataclass(frozen=True, eq=False)
class PartReading:
    """How one part is read: `places[row, basis]` is the circuit that each row runs in each basis, or -1 for none."""

    n_qubits: int
    width: int
    bases: tuple[Basis, ...]
    places: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MeasuredBatch:
    """The circuits that a batch needs, each once, and the way back to the batch's results.

    Circuit number k is `structures[of[k]]`, whose feature slots are its angles, filled with `angles[k]`.
    """

    structures: tuple[Circuit, ...]
    of: tuple[int, ...]
    angles: tuple[FloatArray, ...]
    parts: tuple[PartReading, ...]

    @property
    def n_circuits(self) -> int:
        """How many circuits run."""
        return len(self.of)

    @cached_property
    def circuits(self) -> tuple[Circuit, ...]:
        """The circuits in order of first use: no open slots, no observables, at least one gate, no two equal."""
        pairs = zip(self.of, self.angles, strict=True)
        # shifted circuits differ in one angle only, so most gates are made once for all of them
        known: dict[tuple[str, tuple[int, ...], float], Operation] = {}
        return tuple(filled(self.structures[number], values, known) for number, values in pairs)

    @cached_property
    def wanted(self) -> tuple[tuple[int, ...] | None, ...]:
        """For each circuit the masks whose parities are read, ascending; None where all probabilities are."""
        masks: list[set[int] | None] = [set() for _ in self.of]
        for part in self.parts:
            for basis, column in zip(part.bases, part.places.T, strict=True):
                for place in {int(place) for place in column} - {_LOCAL}:
                    known = masks[place]
                    if not basis.positions:
                        masks[place] = None
                    elif known is not None:
                        known.update(int(mask) for mask in basis.masks)
        return tuple(None if found is None else tuple(sorted(found)) for found in masks)

    def combine(self, histograms: Sequence[Mapping[int, float]], shots: int | None) -> tuple[RowResults, ...]:
        """The batch's results from one histogram per circuit, in the order of `circuits`.

        A histogram maps a basis state (qubit 0 most significant) to its probability (`shots` None) or to its share of
        the shots. Standard errors are those of one sample of `shots`. Raises BackendError when a histogram is missing,
        is of another circuit's size or holds no distribution.
        """
        if len(histograms) != self.n_circuits:
            raise BackendError(
                f"{self.n_circuits} circuits were run, but {len(histograms)} results came back; none of them is used, "
                f"because which ones are missing is not known"
            )
        sizes = [self.structures[number].n_qubits for number in self.of]
        readings = [
            Reading.of(histogram, size, shots, f"circuit {number}")
            for number, (histogram, size) in enumerate(zip(histograms, sizes, strict=True))
        ]
        return self.collect(readings.__getitem__, shots is not None)

    def collect(self, reading: Callable[[int], Reading | Sampled], sampled: bool) -> tuple[RowResults, ...]:
        """The batch's results from a reading of each circuit; `sampled` says whether there are standard errors."""
        return tuple(_read_part(part, reading, sampled) for part in self.parts)


@dataclass(frozen=True, eq=False)
class Sampled:
    """What stands for a Reading where only the values of some masks are known: mask -> (mean parity, error)."""

    known: Mapping[int, tuple[float, float]]

    def parities(self, masks: MaskArray) -> tuple[FloatArray, FloatArray]:
        """The known means and standard errors of `masks`."""
        pairs = np.array([self.known[int(mask)] for mask in masks]).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def probabilities(self, n_qubits: int) -> tuple[FloatArray, FloatArray]:
        """Not known."""
        raise BackendError(f"all probabilities of {n_qubits} qubits were asked of a circuit that was read in parities")


def _read_part(part: PartReading, reading: Callable[[int], Reading | Sampled], sampled: bool) -> RowResults:
    values = np.zeros((len(part.places), part.width))
    errors = np.zeros_like(values)
    for basis, column in zip(part.bases, part.places.T, strict=True):
        for row, place in enumerate(column):
            source = NOTHING_HAPPENED if place == _LOCAL else reading(int(place))
            if not basis.positions:
                values[row], errors[row] = source.probabilities(part.n_qubits)
                continue
            means, spreads = source.parities(basis.masks)
            values[row, basis.positions] = basis.coefficients * means
            errors[row, basis.positions] = np.abs(basis.coefficients) * spreads
    return RowResults(values, errors if sampled else None)


def measured_circuits(batch: Batch) -> MeasuredBatch:
    """The circuits that a machine runs for `batch`.

    Rotations by exactly 0 are left out (unless the batch runs as written): they change nothing and would be paid for.
    A circuit without any gate is not run; its answer is |0...0>. Raises CircuitError for impossible shots, BackendError
    for probabilities of more than 20 qubits.
    """
    if batch.shots is not None:
        check_shots(batch.shots)
    found = _Circuits(batch.as_written)
    parts = tuple(found.part(part) for part in batch.parts)
    return MeasuredBatch(tuple(found.structures), tuple(found.of), tuple(found.angles), parts)


@dataclass
class _Circuits:
    """The different circuits met so far."""

    as_written: bool
    structures: list[Circuit] = field(default_factory=list)
    of: list[int] = field(default_factory=list)
    angles: list[FloatArray] = field(default_factory=list)
    _places: dict[tuple[int, bytes], int] = field(default_factory=dict)
    _numbers: dict[tuple[object, ...], int] = field(default_factory=dict)

    def part(self, part: CircuitRows) -> PartReading:
        circuit = part.circuit
        if circuit.n_qubits > LARGEST:
            raise CircuitError(f"circuits of at most {LARGEST} qubits can be read, got {circuit.n_qubits}")
        if not circuit.observables and circuit.n_qubits > LARGEST_DENSE:
            raise BackendError(
                f"all probabilities of {circuit.n_qubits} qubits are 2^{circuit.n_qubits} numbers; up to "
                f"{LARGEST_DENSE} qubits are returned so. Ask for observables"
            )
        needed = bases(circuit)
        values = _angle_table(part)
        kept = np.ones_like(values, dtype=bool) if self.as_written else values != 0
        places = np.full((part.n_rows, len(needed)), _LOCAL, dtype=np.int64)
        plans: dict[bytes, list[_Structure | None]] = {}
        for row in range(part.n_rows):
            pattern = kept[row].tobytes()
            if pattern not in plans:
                plans[pattern] = [self._structure(circuit, kept[row], basis) for basis in needed]
            for column, plan in enumerate(plans[pattern]):
                if plan is not None:
                    places[row, column] = self._place(plan.number, values[row, plan.columns])
        width = len(circuit.observables) or 2**circuit.n_qubits
        return PartReading(circuit.n_qubits, width, needed, places)

    def _structure(self, circuit: Circuit, kept: npt.NDArray[np.bool_], basis: Basis) -> _Structure | None:
        """The structure of `circuit` in `basis` without the angles that are not `kept`; None if no gate is left."""
        rotations = iter(range(len(kept)))
        operations: list[Operation] = []
        for operation in circuit.operations:
            if operation.angle is None:
                operations.append(operation)
            elif kept[number := next(rotations)]:
                operations.append(Operation(operation.gate, operation.wires, feature(number)))
        if basis.is_constant or not (operations or basis.operations):
            return None
        ordered = Circuit(circuit.n_qubits, (*operations, *basis.operations)).canonical_operations
        columns = [operation.slot.index for operation in ordered if operation.slot is not None]
        key = (circuit.n_qubits, *((operation.gate, operation.wires) for operation in ordered))
        if key not in self._numbers:
            self._numbers[key] = len(self._numbers)
            self.structures.append(Circuit(circuit.n_qubits, _renumbered(ordered)))
        return _Structure(self._numbers[key], np.array(columns, dtype=np.int64))

    def _place(self, structure: int, values: FloatArray) -> int:
        key = (structure, values.tobytes())
        if key not in self._places:
            self._places[key] = len(self.of)
            self.of.append(structure)
            self.angles.append(values)
        return self._places[key]


@dataclass(frozen=True, eq=False)
class _Structure:
    """The number of a structure, and which of a part's angles fill it, in order."""

    number: int
    columns: npt.NDArray[np.int64]


def _renumbered(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
    numbers = iter(range(len(operations)))
    return tuple(
        operation if operation.slot is None else Operation(operation.gate, operation.wires, feature(next(numbers)))
        for operation in operations
    )


def _angle_table(part: CircuitRows) -> FloatArray:
    """The angle of every gate that has one, (rows, gates), with the rounding of `Circuit.bind`."""
    angles: list[Angle] = [o.angle for o in part.circuit.operations if o.angle is not None]
    table = np.empty((part.n_rows, len(angles)))
    for column, angle in enumerate(angles):
        if isinstance(angle, Slot):
            values = part.weights if angle.kind == "weight" else part.features
            table[:, column] = angle.scale * values[:, angle.index] + angle.offset
        else:
            table[:, column] = angle
    return table + 0.0  # makes -0.0 and 0.0 one number


def filled(
    structure: Circuit, angles: FloatArray, known: dict[tuple[str, tuple[int, ...], float], Operation] | None = None
) -> Circuit:
    """`structure` with its feature slots filled; faster than `bind`. Gates are taken from `known`, or added to it."""
    gates = {} if known is None else known
    values = iter(angles.tolist())
    operations = []
    for operation in structure.operations:
        if operation.angle is not None:
            key = (operation.gate, operation.wires, next(values))
            operation = gates.get(key) or gates.setdefault(key, Operation(*key))
        operations.append(operation)
    return Circuit(structure.n_qubits, tuple(operations))


def parity(mask: int, n_qubits: int) -> PauliString:
    """The product of Z on the wires whose bit in `mask` is 1."""
    return PauliString(tuple((wire, "Z") for wire in range(n_qubits) if mask >> (n_qubits - 1 - wire) & 1))
