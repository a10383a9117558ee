"""Circuits that differ in their numbers only: the first is read gate by gate, all others by what it left here."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import numpy as np
import numpy.typing as npt

from quantum_db.circuits.ionq.decomposition import Step, Steps
from quantum_db.circuits.ionq.gate_reading import NUMBER_KEYS, GateReader, Numbers, shown
from quantum_db.circuits.ionq.program import FloatArray, Gateset, JsonPath, Structure, WireError, WireLimits

MAX_STEPS = 1_000_000
"""Gates of the table that the circuits of a job may be written in: bounds memory, whatever gates are sent."""
LARGEST_NUMBER = 1e9
"""Beyond it a double has fewer than seven digits after the point left for an angle."""
_REMEMBERED, _REMEMBERED_GATES, _REMEMBERED_STEPS = 256, 200, 800
"""How many forms a process keeps, and how large they may be: some 100 MB with their circuits, at the very most."""


@dataclass(frozen=True, eq=False)
class Form:
    """What circuits with the same gates share.

    The numbers of a circuit, in the order of its gates, are its row. Feature k is column `first[k]` of the row, times
    column `second[k]` unless that is -1. `places` are the paths of the columns below the circuit's list of gates,
    `durations` those columns that may not be negative. `qubits` is the smallest width that holds the active qubits.
    """

    structure: Structure
    active: tuple[int, ...]
    gates_1q: int
    gates_2q: int
    n_gates: int
    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    places: tuple[JsonPath, ...]
    durations: tuple[int, ...]

    @property
    def qubits(self) -> int:
        """The smallest declared width that fits."""
        return self.active[-1] + 1 if self.active else 1

    def features(self, rows: FloatArray) -> FloatArray:
        """The values of the slots (rows, n_features), read-only, of checked numbers (rows, columns)."""
        table = rows[:, self.first]
        products = np.flatnonzero(self.second >= 0)
        table[:, products] *= rows[:, self.second[products]]
        table.setflags(write=False)
        return table


class FormReader:
    """Reads a circuit gate by gate into a Form."""

    def __init__(self, gateset: Gateset, qubits: int, limits: WireLimits) -> None:
        self.limits = limits
        self.gateset = gateset
        self.features: dict[tuple[int, ...], int] = {}
        self.places: list[JsonPath] = []
        self.durations: list[int] = []
        self.steps = Steps()
        self.reader = GateReader(gateset, qubits, limits, self._feature_of, self.steps)

    def read(self, gates: Sequence[Mapping[str, object]], path: JsonPath) -> Form:
        """Read all gates; raise WireError with the place of the first that is malformed."""
        for number, gate in enumerate(gates):
            self.reader.read(gate, self._numbers(gate, (number,), path), (*path, number))
            if len(self.steps.steps) > MAX_STEPS:
                raise WireError(
                    f"the gates of the circuit come to more than {MAX_STEPS:,} one- and two-qubit gates; use fewer "
                    f"controls and Pauli terms, or several jobs",
                    "QuantumCircuitComplexityError",
                    (*path, number),
                )
        active = tuple(sorted({qubit for _, qubits, _ in self.steps.steps for qubit in qubits}))
        if len(active) > self.limits.max_active:
            raise WireError(
                f"the gates act on {len(active)} qubits, the limit is {self.limits.max_active}",
                "NotEnoughQubits",
                path,
            )
        columns = list(self.features)
        return Form(
            structure=_structure(self.steps.steps, active, self.gateset == "native"),
            active=active,
            gates_1q=self.reader.gates_1q,
            gates_2q=self.reader.gates_2q,
            n_gates=len(gates),
            first=np.array([pair[0] for pair in columns], dtype=np.int64),
            second=np.array([pair[1] if len(pair) > 1 else -1 for pair in columns], dtype=np.int64),
            places=tuple(self.places),
            durations=tuple(self.durations),
        )

    def _numbers(self, gate: Mapping[str, object], place: JsonPath, path: JsonPath) -> Numbers:
        """Give every number of the gate its column, in the order in which `reading.flattened` finds them."""
        numbers: dict[str, int | tuple[int, ...] | None] = {}
        for key in gate:
            if key not in NUMBER_KEYS:
                continue
            value = gate[key]
            if isinstance(value, list):
                numbers[key] = tuple(self._column(v, (*place, key, k), path) for k, v in enumerate(value))
            else:
                numbers[key] = None if value is None else self._column(value, (*place, key), path)
        return numbers

    def _column(self, value: object, place: JsonPath, path: JsonPath) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise WireError(f"a number was expected, got {shown(value)}", keys=(*path, *place))
        if place[1] == "time":
            self.durations.append(len(self.places))
        self.places.append(place)
        return len(self.places) - 1

    def _feature_of(self, columns: tuple[int, ...]) -> int:
        return self.features.setdefault(columns, len(self.features))


class FormMemory:
    """The forms of the last small circuits of a process, for jobs that repeat them; may be used from any thread."""

    def __init__(self) -> None:
        self._forms: OrderedDict[Hashable, Form] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> Form | None:
        """The form kept under `key`, if it still is."""
        with self._lock:
            form = self._forms.get(key)
            if form is not None:
                self._forms.move_to_end(key)
            return form

    def keep(self, key: Hashable, form: Form) -> None:
        """Keep `form` unless it is large; the one that was not asked for the longest makes room."""
        if form.n_gates > _REMEMBERED_GATES or len(form.structure.steps) > _REMEMBERED_STEPS:
            return
        with self._lock:
            self._forms[key] = form
            if len(self._forms) > _REMEMBERED:
                self._forms.popitem(last=False)


def _structure(steps: Sequence[Step], active: tuple[int, ...], virtual_rz: bool) -> Structure:
    wire = {qubit: number for number, qubit in enumerate(active)}
    moved = tuple((gate, tuple(wire[qubit] for qubit in qubits), angle) for gate, qubits, angle in steps)
    if len(moved) > _REMEMBERED_STEPS:
        return Structure(moved, len(active), virtual_rz)
    return _shared_structure(moved, len(active), virtual_rz)


_shared_structure = lru_cache(maxsize=_REMEMBERED)(Structure)
