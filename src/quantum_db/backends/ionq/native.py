"""Circuits in the gates that IonQ's machines make: GPI, GPI2, and ZZ (Forte) or MS (Aria).

GPI(p) and GPI2(p) turn a qubit by pi and pi/2 around the axis cos(2 pi p) x + sin(2 pi p) y, ZZ(a) is
exp(-i pi a Z Z), MS(p, q, a) is exp(-i pi a S(p) S(q)) with S(p) = cos(2 pi p) X + sin(2 pi p) Y; all numbers in turns
(https://docs.ionq.com/guides/getting-started-with-native-gates). Turns around z are not made: they change the phases
of what follows, and those that are left at the end change no measurement. One-qubit gates in a row become one
unitary, hence at most two gates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import atan2, isclose, pi, remainder
from typing import Any, Literal

import numpy as np

from quantum_db.backends.ionq.serialization import qis_circuit
from quantum_db.circuits.circuit import Circuit, Operation, Slot, op
from quantum_db.circuits.gates import ComplexMatrix, gate
from quantum_db.errors import CircuitError

_TURN = 2 * pi
_EPSILON = 1e-12
_H, _X, _Y, _Z = (gate(name).matrix() for name in "HXYZ")
_SQRT_X = gate("RX").matrix(pi / 2)


@dataclass(frozen=True)
class NativeCircuit:
    """The gates in IonQ's JSON, and the turns around z (radians, one per qubit) that are left at the end."""

    gates: list[dict[str, Any]]
    frame: tuple[float, ...]


def native_gates(circuit: Circuit, entangler: Literal["zz", "ms"]) -> NativeCircuit:
    """`circuit` in native gates; equal to it up to a global phase once `frame` is applied after it."""
    compiler = _Compiler(entangler, [np.eye(2, dtype=np.complex128) for _ in range(circuit.n_qubits)])
    for operation in qis_circuit(circuit).operations:
        compiler.add(operation)
    return compiler.finish()


@dataclass
class _Compiler:
    entangler: Literal["zz", "ms"]
    pending: list[ComplexMatrix]
    """What each qubit still has to undergo."""
    gates: list[dict[str, Any]] = field(default_factory=list)

    def add(self, operation: Operation) -> None:
        """Take in one gate of the gateset "qis"."""
        wires, name = operation.wires, operation.gate
        if isinstance(operation.angle, Slot):
            raise CircuitError("a circuit with open slots cannot be sent; bind its slots first")
        if len(wires) == 1:
            self._turn(wires[0], gate(name).matrix(operation.angle))
        elif name == "SWAP":
            for control, target in (wires, wires[::-1], wires):
                self.add(op("CNOT", control, target))
        elif name == "CNOT":
            # H on the target makes it CZ = RZ(pi/2) RZ(pi/2) RZZ(-pi/2), up to a phase
            self._turn(wires[1], _H)
            self._parity(wires, -pi / 2)
            for wire in wires:
                self._turn(wire, gate("RZ").matrix(pi / 2))
            self._turn(wires[1], _H)
        else:
            change = {"RXX": _H, "RYY": _SQRT_X, "RZZ": np.eye(2, dtype=np.complex128)}[name]
            for wire in wires:
                self._turn(wire, change)
            self._parity(wires, float(operation.angle or 0.0))
            for wire in wires:
                self._turn(wire, change.conj().T)

    def finish(self) -> NativeCircuit:
        """Make what is pending; a circuit that needs no gate gets two that cancel, since the API takes no empty one."""
        frame = tuple(self._flush(wire) for wire in range(len(self.pending)))
        if not self.gates:
            self.gates += [{"gate": "gpi", "target": 0, "phase": 0.0}] * 2
        return NativeCircuit(self.gates, frame)

    def _turn(self, wire: int, matrix: ComplexMatrix) -> None:
        self.pending[wire] = matrix @ self.pending[wire]

    def _parity(self, wires: tuple[int, ...], angle: float) -> None:
        """exp(-i angle/2 Z Z); the machines take angles from 0 to a quarter turn only."""
        angle = remainder(angle, _TURN)
        if abs(angle) > pi / 2 + _EPSILON:
            for wire in wires:  # half a turn is Z on both
                self._turn(wire, _Z)
            angle -= pi if angle > 0 else -pi
        if abs(angle) < _EPSILON:
            return
        if angle < 0:  # X on one side turns the sign
            self._turn(wires[0], _X)
        self._entangle(wires, abs(angle) / _TURN)
        if angle < 0:
            self._turn(wires[0], _X)

    def _entangle(self, wires: tuple[int, ...], turns: float) -> None:
        if self.entangler == "zz":
            for wire in wires:
                self.pending[wire] = gate("RZ").matrix(self._flush(wire))  # commutes with ZZ
            self.gates.append({"gate": "zz", "targets": list(wires), "angle": turns})
            return
        phases = []
        for wire in wires:
            self._turn(wire, _H)
            left = self._flush(wire)
            phases.append(_phase(left))
            self.pending[wire] = _H @ gate("RZ").matrix(left)
        self.gates.append({"gate": "ms", "targets": list(wires), "phases": phases, "angle": turns})

    def _flush(self, wire: int) -> float:
        """Make the gates of what is pending on `wire`; the turn around z that is left, in radians."""
        matrix = self.pending[wire]
        self.pending[wire] = np.eye(2, dtype=np.complex128)
        matrix = matrix / np.sqrt(np.linalg.det(matrix))
        # matrix = RZ(last) RY(middle) RZ(first)
        middle = 2 * atan2(abs(matrix[1, 0]), abs(matrix[0, 0]))
        total = 2 * float(np.angle(matrix[1, 1])) if abs(matrix[1, 1]) > _EPSILON else 0.0
        difference = 2 * float(np.angle(matrix[1, 0])) if abs(matrix[1, 0]) > _EPSILON else 0.0
        last, first = (total + difference) / 2, (total - difference) / 2
        if isclose(middle, 0, abs_tol=_EPSILON):
            return last + first
        if isclose(middle, pi, abs_tol=_EPSILON):
            return self._one("gpi", wire, last, first)
        if isclose(middle, pi / 2, abs_tol=_EPSILON):
            return self._one("gpi2", wire, last, first)
        # RZ(last + pi) RX(pi/2) RZ(middle + pi) RX(pi/2) RZ(first)
        self._emit("gpi2", wire, first)
        self._emit("gpi2", wire, first + middle + pi)
        return last + middle + first + _TURN

    def _one(self, name: str, wire: int, last: float, first: float) -> float:
        self._emit(name, wire, first - pi / 2)
        return last + first

    def _emit(self, name: str, wire: int, before: float) -> None:
        """A gate around x that comes after a turn around z by `before`, which is left for later."""
        self.gates.append({"gate": name, "target": wire, "phase": _phase(before)})


def _phase(frame: float) -> float:
    """The phase, from 0 up to 1 turn, of a gate in a frame that is turned around z by `frame` radians."""
    turns = (-frame / _TURN) % 1.0
    return 0.0 if turns == 1.0 else turns  # a tiny negative number is rounded up to 1
