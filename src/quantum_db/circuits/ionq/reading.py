"""Reads the `input` of a job in IonQ's wire format.

Jobs hold hundreds of circuits that differ in their angles only. Each circuit is taken apart in a few passes that run
inside the interpreter's C code, into its numbers and all the rest; circuits with the same rest share a Form, and their
numbers become the rows of one array, checked at once.
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping, Sequence
from itertools import chain, compress
from typing import Any, NoReturn

import numpy as np

from quantum_db.circuits.ionq.form import LARGEST_NUMBER, Form, FormMemory, FormReader
from quantum_db.circuits.ionq.gate_reading import NUMBER_KEYS, shown
from quantum_db.circuits.ionq.program import (
    FloatArray,
    Gateset,
    JsonPath,
    WireCircuit,
    WireError,
    WireLimits,
    WireProgram,
)

SINGLE, MULTI = "ionq.circuit.v1", "ionq.multi-circuit.v1"
_GATESETS: dict[str, Gateset] = {"qis": "qis", "native": "native"}
_NUMBER_TYPES = frozenset({int, float})
_SCALAR, _NULL, _WRONG = -1, -2, -3
_MEMORY = FormMemory()


def read_input(kind: str, given: object, limits: WireLimits | None = None) -> WireProgram:
    """Read the `input` of a job of type `kind` ("ionq.circuit.v1" or "ionq.multi-circuit.v1"), parsed from JSON.

    `given` is not changed. Unknown fields are ignored. Without `qubits` a circuit is as wide as its last active qubit
    asks for. Raises WireError, with IonQ's failure code and the path of the offending place.
    """
    limits = WireLimits() if limits is None else limits
    if kind not in (SINGLE, MULTI):
        raise WireError(f"circuits come as {SINGLE} or {MULTI}, got {shown(kind)}", keys=("type",))
    if not isinstance(given, dict):
        raise WireError(f"the input of a job is an object, got {shown(given)}", keys=("input",))
    entries = _entries(kind, given, limits)
    reader = _Reader(limits, _gateset(given, "qis", ("input",)), _qubits(given, None, limits, ("input",)))
    for entry, path in entries:
        reader.take(entry, path)
    return WireProgram(reader.finished())


def _entries(kind: str, given: Mapping[str, object], limits: WireLimits) -> list[tuple[Mapping[str, object], JsonPath]]:
    """The objects that hold a list of gates each, with their paths, once there are not too many of either."""
    if kind == SINGLE:
        entries: list[tuple[Mapping[str, object], JsonPath]] = [(given, ("input",))]
    else:
        circuits = given.get("circuits")
        if not isinstance(circuits, list) or not circuits:
            raise WireError(f"{MULTI} needs 'circuits', a list of at least one circuit", keys=("input", "circuits"))
        if len(circuits) > limits.max_circuits:
            raise WireError(
                f"{len(circuits):,} circuits in one job, the limit is {limits.max_circuits:,}; send several jobs",
                keys=("input", "circuits"),
            )
        entries = []
        for number, circuit in enumerate(circuits):
            if not isinstance(circuit, dict):
                raise WireError(
                    f"a circuit is an object with a list of gates, got {shown(circuit)}",
                    keys=("input", "circuits", number),
                )
            entries.append((circuit, ("input", "circuits", number)))
    n_gates = sum(len(_gates(entry, path)) for entry, path in entries)
    if n_gates > limits.max_gates:
        raise WireError(
            f"{n_gates:,} gates in one job, the limit is {limits.max_gates:,}; send several jobs",
            "TooManyGates",
            ("input",),
        )
    return entries


def _gates(entry: Mapping[str, object], path: JsonPath) -> list[dict[str, object]]:
    gates = entry.get("circuit")
    if not isinstance(gates, list):
        raise WireError(f"'circuit' is the list of gates, got {shown(gates)}", keys=(*path, "circuit"))
    if not set(map(type, gates)) <= {dict}:
        number, gate = next((number, gate) for number, gate in enumerate(gates) if type(gate) is not dict)
        raise WireError(f"a gate is an object, got {shown(gate)}", keys=(*path, "circuit", number))
    return gates


def _gateset(entry: Mapping[str, object], default: Gateset, path: JsonPath) -> Gateset:
    given = entry.get("gateset")
    if given is None:
        return default
    if not isinstance(given, str) or given not in _GATESETS:
        raise WireError(f"unknown gate set {shown(given)}; known: qis, native", keys=(*path, "gateset"))
    return _GATESETS[given]


def _qubits(entry: Mapping[str, object], default: int | None, limits: WireLimits, path: JsonPath) -> int | None:
    given = entry.get("qubits")
    if given is None:
        return default
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise WireError(f"'qubits' is an integer of at least 1, got {shown(given)}", keys=(*path, "qubits"))
    if given > limits.max_qubits:
        raise WireError(
            f"a circuit of {shown(given)} qubits, the limit is {limits.max_qubits}",
            "NotEnoughQubits",
            (*path, "qubits"),
        )
    return given


class _Reader:
    """Collects the circuits of one job, grouped by their form."""

    def __init__(self, limits: WireLimits, gateset: Gateset, qubits: int | None) -> None:
        self.limits, self.gateset, self.qubits = limits, gateset, qubits
        self.masks: dict[tuple[str, ...], tuple[list[bool], list[bool]]] = {}
        self.forms: dict[object, Form] = {}
        self.heads: list[tuple[int | None, Gateset, str | None, JsonPath]] = []
        self.members: dict[Form, list[int]] = {}
        self.rows: dict[Form, list[Sequence[float]]] = {}

    def take(self, entry: Mapping[str, object], path: JsonPath) -> None:
        """Read everything of one circuit but the values of its numbers."""
        gateset = _gateset(entry, self.gateset, path)
        qubits = _qubits(entry, self.qubits, self.limits, path)
        name = entry.get("name")
        if name is not None and not isinstance(name, str):
            raise WireError(f"the name of a circuit is a string, got {shown(name)}", keys=(*path, "name"))
        gates: list[dict[str, object]] = entry["circuit"]  # type: ignore[assignment]  # `_entries` has checked it
        form, row = self._form(gates, gateset, qubits, (*path, "circuit"))
        self.members.setdefault(form, []).append(len(self.heads))
        self.rows.setdefault(form, []).append(row)
        self.heads.append((qubits, gateset, name, (*path, "circuit")))

    def finished(self) -> tuple[WireCircuit, ...]:
        """All circuits in order, once their numbers are checked."""
        circuits: list[WireCircuit | None] = [None] * len(self.heads)
        for form, members in self.members.items():
            angles = self._angles(form, members)
            for number, row in zip(members, angles, strict=True):
                qubits, gateset, name, _ = self.heads[number]
                circuits[number] = WireCircuit(
                    form.qubits if qubits is None else qubits,
                    form.active,
                    form.gates_1q,
                    form.gates_2q,
                    form.n_gates,
                    form.structure,
                    row,
                    gateset,
                    name,
                )
        return tuple(circuit for circuit in circuits if circuit is not None)

    def _form(
        self, gates: list[dict[str, object]], gateset: Gateset, qubits: int | None, path: JsonPath
    ) -> tuple[Form, Sequence[float]]:
        keys = tuple(chain.from_iterable(gates))
        masks = self.masks.get(keys)
        if masks is None:
            holds_number = [key in NUMBER_KEYS for key in keys]
            masks = self.masks[keys] = holds_number, [not holds for holds in holds_number]
        values: list[Any] = list(chain.from_iterable(map(dict.values, gates)))
        row, shape = flattened(list(compress(values, masks[0])))
        try:
            # unlike a comparison, this tells 1 from true and from 1.0; version 2 has no references between objects
            rest = marshal.dumps(tuple(compress(values, masks[1])), 2)
        except ValueError as error:
            raise WireError("a field of a gate is nested too deeply", keys=path) from error
        key = (gateset, qubits, tuple(map(len, gates)), keys, rest, shape)
        form = self.forms.get(key)
        if form is None:
            form = self.forms[key] = self._remembered(key, gates, gateset, qubits, path)
        return form, row

    def _remembered(
        self,
        key: tuple[object, ...],
        gates: list[dict[str, object]],
        gateset: Gateset,
        qubits: int | None,
        path: JsonPath,
    ) -> Form:
        form = _MEMORY.get((self.limits, key))
        if form is None:
            width = self.limits.max_qubits if qubits is None else qubits
            form = FormReader(gateset, width, self.limits).read(gates, path)
            _MEMORY.keep((self.limits, key), form)
        return form

    def _angles(self, form: Form, members: list[int]) -> FloatArray:
        """The slots (circuits, n_features) of the circuits of one form."""
        try:
            rows = np.array(self.rows[form], dtype=np.float64).reshape(len(members), len(form.places))
        except OverflowError:  # an integer beyond the range of a double, which is beyond the limit as well
            rows = np.array([[min(max(v, -1e300), 1e300) for v in row] for row in self.rows[form]])
        self._check(np.abs(rows) <= LARGEST_NUMBER, form, members, f"at most {LARGEST_NUMBER:g} in size and no NaN")
        durations = np.array(form.durations, dtype=np.int64)
        valid = np.ones(rows.shape, dtype=bool)
        valid[:, durations] = rows[:, durations] >= 0
        self._check(valid, form, members, "at least 0")
        features = form.features(rows)
        valid = np.ones(rows.shape, dtype=bool)
        valid[:, form.first] = np.abs(features) <= LARGEST_NUMBER
        self._check(valid, form, members, f"at most {LARGEST_NUMBER:g} once multiplied with its coefficient")
        return features

    def _check(self, valid: np.ndarray, form: Form, members: list[int], rule: str) -> None:
        if not valid.all():
            row, column = (int(place) for place in np.argwhere(~valid)[0])
            self._refuse(self.rows[form][row][column], (*self.heads[members[row]][3], *form.places[column]), rule)

    def _refuse(self, value: float, keys: JsonPath, rule: str) -> NoReturn:
        raise WireError(f"a number of a gate must be {rule}, got {shown(value)}", keys=keys)


def flattened(values: list[object]) -> tuple[Sequence[float], tuple[int, ...] | None]:
    """The numbers among `values`, lists opened, and their shape: None if all are plain numbers.

    Otherwise it has the length of each list, and negative codes for a number, a null, and what is none of these (which
    is left out: such a circuit is never of a known form, and reading it gate by gate finds the place).
    """
    if set(map(type, values)) <= _NUMBER_TYPES:
        return values, None  # type: ignore[return-value]
    row: list[float] = []
    shape: list[int] = []
    for value in values:
        if type(value) in _NUMBER_TYPES:
            row.append(value)  # type: ignore[arg-type]
            shape.append(_SCALAR)
        elif isinstance(value, list) and set(map(type, value)) <= _NUMBER_TYPES:
            row += value
            shape.append(len(value))
        else:
            shape.append(_NULL if value is None else _WRONG)
    return row, tuple(shape)
