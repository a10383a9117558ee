"""Reads one gate of IonQ's wire format: its name, its qubits, and where its numbers stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NoReturn

from quantum_db.circuits.ionq.decomposition import FIXED, Angle, Multiple, Steps
from quantum_db.circuits.ionq.program import ErrorCode, Gateset, JsonPath, WireError, WireLimits

NUMBER_KEYS = frozenset({"rotation", "phase", "phases", "angle", "coefficients", "time"})
"""The fields of a gate that hold numbers: they fill slots. All other fields are part of the structure."""
MAX_TERMS = 1000
_ALIASES = {"not": "x", "sdg": "si", "tdg": "ti", "sx": "v", "sxdg": "vi"}
_ROTATIONS = {"rx": "X", "ry": "Y", "rz": "Z"}
_ISING = {"xx": "X", "yy": "Y", "zz": "Z"}
_QIS = (*sorted(FIXED), "not", *_ROTATIONS, "cnot", "swap", *_ISING, "pauliexp", "nop")
_NATIVE = ("gpi", "gpi2", "ms", "zz", "nop")
_DEFAULT_MS_TURNS = 0.25

Numbers = Mapping[str, int | tuple[int, ...] | None]
"""For each number field of a gate: the column of its number, the columns of its list, or None for a JSON null."""


def shown(value: object) -> str:
    """A short form of `value` for a message: a body is never repeated there."""
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:37] + "...")
    if isinstance(value, bool) or value is None:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else "an integer of more than 20 digits"
    if isinstance(value, float):
        return repr(value)
    return "an object" if isinstance(value, dict) else "a list"


@dataclass
class GateReader:
    """Reads the gates of one circuit into `steps`, and counts them as they are billed.

    `columns_of` gives the feature that is the product of one or two columns of numbers.
    """

    gateset: Gateset
    qubits: int
    limits: WireLimits
    feature_of: Callable[[tuple[int, ...]], int]
    steps: Steps
    gates_1q: int = 0
    gates_2q: int = 0

    def read(self, gate: Mapping[str, object], numbers: Numbers, path: JsonPath) -> None:
        """Add one gate; raise WireError if it is malformed."""
        _Gate(self, gate, numbers, path).add()

    def count(self, width: int) -> None:
        """Count a gate on `width` qubits, controls included."""
        if width == 1:
            self.gates_1q += 1
        elif width == 2:
            self.gates_2q += 1
        elif width > 2:
            self.gates_2q += 6 * (width - 2)


class _Gate:
    def __init__(self, reader: GateReader, gate: Mapping[str, object], numbers: Numbers, path: JsonPath) -> None:
        self.reader, self.gate, self.numbers, self.path = reader, gate, dict(numbers), path
        self.steps = reader.steps
        name = gate.get("gate")
        if not isinstance(name, str):
            self.refuse(f"a gate's name is a string, got {shown(name)}", "gate")
        self.given_name, self.name = name, _ALIASES.get(name, name)
        known = _QIS if reader.gateset == "qis" else _NATIVE
        if self.name not in known:
            self.refuse(
                f"unknown gate {shown(name)} in the gate set {reader.gateset}; known: {', '.join(known)}",
                "gate",
                "UnsupportedGate",
            )
        self.targets = self._wires("target", "targets")
        self.controls = self._wires("control", "controls")
        self._check_wires()

    def add(self) -> None:
        """Add the steps of the gate, and what it counts for."""
        if self.reader.gateset == "native":
            self._native()
        elif self.name == "pauliexp":
            self._pauliexp()
        else:
            self._qis()
        for key, columns in self.numbers.items():
            if columns is not None:
                self.refuse(f"gate {self.given_name} takes no {key}; leave it out", key)

    def refuse(self, message: str, key: str | None = None, code: ErrorCode = "InvalidInput") -> NoReturn:
        raise WireError(message, code, self.path if key is None else (*self.path, key))

    def _qis(self) -> None:
        name, steps, controls = self.name, self.steps, self.controls
        if name == "nop":
            return
        self._needs_targets(2 if name in _ISING or name == "swap" else 1)
        if name == "cnot":
            if not controls:
                self.refuse("gate cnot needs a control; give 'control' or 'controls'")
            steps.controlled_x(controls, self.targets[0])
        elif name == "z" and self.numbers.get("rotation") is not None:
            steps.phase((*controls, *self.targets), self._number("rotation"))
        elif name in FIXED:
            steps.fixed(name, self.targets[0], controls)
        elif name == "swap":
            steps.swap(self.targets[0], self.targets[1], controls)
        else:
            letter = _ROTATIONS.get(name) or _ISING[name]
            steps.rotation([(target, letter) for target in self.targets], self._number("rotation"), controls)
        self.reader.count(len(self.targets) + len(controls))

    def _native(self) -> None:
        if self.controls:
            self.refuse(f"native gate {self.name} cannot have controls", "controls", "UnsupportedGate")
        if self.name == "nop":
            return
        self._needs_targets(1 if self.name in ("gpi", "gpi2") else 2)
        if self.name == "gpi":
            self.steps.gpi(self.targets[0], self._number("phase"))
        elif self.name == "gpi2":
            self.steps.gpi2(self.targets[0], self._number("phase"))
        elif self.name == "ms":
            angle = _DEFAULT_MS_TURNS if self.numbers.get("angle") is None else self._number("angle")
            self.steps.ms((self.targets[0], self.targets[1]), self._phases(), angle)
        else:
            self.steps.zz((self.targets[0], self.targets[1]), self._native_zz_angle())
        self.reader.count(len(self.targets))

    def _native_zz_angle(self) -> Angle:
        given = [key for key in ("phase", "angle") if self.numbers.get(key) is not None]
        if len(given) != 1:
            self.refuse("native gate zz needs its angle in turns, as 'angle' or as 'phase', and only one of them")
        return self._number(given[0])

    def _phases(self) -> tuple[Angle, Angle]:
        columns = self.numbers.pop("phases", None)
        if not isinstance(columns, tuple) or len(columns) != 2:
            self.refuse("gate ms needs 'phases', a list of two numbers in turns", "phases")
        first, second = (Multiple(self.reader.feature_of((column,))) for column in columns)
        return first, second

    def _pauliexp(self) -> None:
        time, coefficients = self.numbers.pop("time", None), self.numbers.pop("coefficients", None)
        if not isinstance(time, int):
            self.refuse("gate pauliexp needs 'time', a number of at least 0", "time")
        terms = self._terms()
        if not isinstance(coefficients, tuple) or len(coefficients) != len(terms):
            self.refuse(f"gate pauliexp needs 'coefficients', one number for each of its {len(terms)} term(s)")
        for term, coefficient in zip(terms, coefficients, strict=True):
            # little-endian: the rightmost letter belongs to the first target
            pairs = zip(self.targets, reversed(term), strict=True)
            letters = [(target, letter) for target, letter in pairs if letter != "I"]
            if not letters and not self.controls:
                continue  # a phase of the whole state
            # exp(-i time coefficient P), and a rotation is exp(-i angle / 2 P)
            angle = Multiple(self.reader.feature_of((time, coefficient))) * 2.0
            self.steps.rotation(letters, angle, self.controls)
            self._count_term(len(letters))

    def _count_term(self, weight: int) -> None:
        if self.controls or weight <= 2:
            self.reader.count(weight + len(self.controls))
        else:  # the two ladders of CNOTs and the rotation between them; IonQ does not publish its own count
            self.reader.gates_2q += 2 * (weight - 1)
            self.reader.gates_1q += 1

    def _terms(self) -> tuple[str, ...]:
        given, width = self.gate.get("terms"), len(self.targets)
        if not isinstance(given, list) or not 1 <= len(given) <= MAX_TERMS or not width:
            self.refuse(f"gate pauliexp needs targets and 'terms', a list of 1 to {MAX_TERMS} Pauli strings", "terms")
        for term in given:
            if not isinstance(term, str) or len(term) != width or set(term) - set("IXYZ"):
                self.refuse(
                    f"a term of pauliexp has {width} letters I, X, Y or Z, one per target; got {shown(term)}", "terms"
                )
        if not _all_commute(given):
            self.refuse(
                "the terms of this pauliexp do not commute, so their joint evolution is not a product of single ones; "
                "send one pauliexp for each step of a product formula",
                "terms",
                "UnsupportedGate",
            )
        return tuple(given)

    def _number(self, key: str) -> Angle:
        columns = self.numbers.pop(key, None)
        if not isinstance(columns, int):
            self.refuse(f"gate {self.given_name} needs '{key}', one number", key)
        return Multiple(self.reader.feature_of((columns,)))

    def _needs_targets(self, wanted: int) -> None:
        if len(self.targets) != wanted:
            self.refuse(f"gate {self.given_name} has {wanted} target(s), got {len(self.targets)}", "targets")

    def _wires(self, one: str, several: str) -> tuple[int, ...]:
        single, many = self.gate.get(one), self.gate.get(several)
        if many is None:
            key, value = one, single
        elif single is None:
            key, value = several, many
        else:
            self.refuse(f"a gate has '{one}' or '{several}', not both", several)
        if value is None:
            return ()
        if isinstance(value, list):
            return tuple([self._wire(wire, key) for wire in value])
        return (self._wire(value, key),)

    def _wire(self, wire: object, key: str) -> int:
        if not isinstance(wire, int) or isinstance(wire, bool):
            self.refuse(f"a qubit is an integer, got {shown(wire)}", key)
        if not 0 <= wire < self.reader.qubits:
            self.refuse(f"qubit {shown(wire)} is outside of a circuit on {self.reader.qubits} qubit(s)", key)
        return wire

    def _check_wires(self) -> None:
        wires = self.targets + self.controls
        if len(wires) > 1 and len(set(wires)) != len(wires):
            twice = next(first for first, second in pairwise(sorted(wires)) if first == second)
            self.refuse(f"gate {self.given_name} names qubit {twice} twice")
        if len(self.controls) > self.reader.limits.max_controls:
            self.refuse(
                f"gate {self.given_name} has {len(self.controls)} controls, the limit is "
                f"{self.reader.limits.max_controls}",
                "controls",
                "TooManyControls",
            )


def _all_commute(terms: Sequence[str]) -> bool:
    """Whether Pauli strings commute pairwise: they do when an even number of places has two different letters."""
    bits = [
        (sum((c in "XY") << k for k, c in enumerate(term)), sum((c in "YZ") << k for k, c in enumerate(term)))
        for term in set(terms)
    ]
    return all(
        not ((x & other_z).bit_count() + (z & other_x).bit_count()) & 1
        for number, (x, z) in enumerate(bits)
        for other_x, other_z in bits[:number]
    )
