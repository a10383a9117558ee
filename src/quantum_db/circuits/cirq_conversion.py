"""Circuits and observables as cirq objects: the one door to cirq for circuits."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING, Any

from quantum_db.circuits.circuit import Circuit, Operation, Slot
from quantum_db.circuits.observables import PauliString
from quantum_db.registry import require_package

if TYPE_CHECKING:
    import cirq

_PURPOSE = "converting a circuit to cirq"
_FIXED = {"X": "X", "Y": "Y", "Z": "Z", "H": "H", "S": "S", "T": "T", "CNOT": "CNOT", "CZ": "CZ", "SWAP": "SWAP"}
_INVERSE = {"Sdg": "S", "Tdg": "T"}
_ROTATIONS = {"RX": "rx", "RY": "ry", "RZ": "rz"}
_CONTROLLED = {"CRX": "rx", "CRY": "ry", "CRZ": "rz"}
_ISING = {"RXX": "XXPowGate", "RYY": "YYPowGate", "RZZ": "ZZPowGate"}


def to_cirq(circuit: Circuit) -> cirq.Circuit:
    """Return the gates of `circuit` as a cirq circuit; wire i becomes `cirq.LineQubit(i)`.

    Open slots become sympy symbols `weight_0`, `feature_0`, ... which `cirq.resolve_parameters` fills. A wire without
    gates does not occur in the result, so give cirq the order `cirq.LineQubit.range(circuit.n_qubits)`; both sides
    then count qubit 0 as the most significant bit. Observables are not part of it, see `to_cirq_observable`.
    Raises MissingDependencyError without cirq (extra "ionq").
    """
    module = require_package("cirq", "ionq", _PURPOSE)
    converted: cirq.Circuit = module.Circuit(_operation(module, operation) for operation in circuit.operations)
    return converted


def to_cirq_observable(observable: PauliString) -> cirq.PauliString[cirq.LineQubit]:
    """Return `observable`, its coefficient included, as a cirq Pauli string on line qubits."""
    module = require_package("cirq", "ionq", _PURPOSE)
    factors = {module.LineQubit(wire): getattr(module, letter) for wire, letter in observable.factors}
    converted: cirq.PauliString[cirq.LineQubit] = module.PauliString(factors, coefficient=observable.coefficient)
    return converted


def _operation(module: Any, operation: Operation) -> Any:
    return _gate(module, operation).on(*map(module.LineQubit, operation.wires))


def _gate(module: Any, operation: Operation) -> Any:
    name = operation.gate
    if name in _FIXED:
        return getattr(module, _FIXED[name])
    if name in _INVERSE:
        return getattr(module, _INVERSE[name]) ** -1
    angle, half_turns = _angle(operation)
    if name in _ROTATIONS:
        return getattr(module, _ROTATIONS[name])(angle)
    if name in _CONTROLLED:
        return getattr(module, _CONTROLLED[name])(angle).controlled()
    if name in _ISING:
        # the shift takes away the phase that the plain power gates carry: exp(-i angle P P / 2)
        return getattr(module, _ISING[name])(exponent=half_turns, global_shift=-0.5)
    return module.ZPowGate(exponent=half_turns)  # PhaseShift


def _angle(operation: Operation) -> tuple[Any, Any]:
    """The angle in radians and in half turns, as numbers or as sympy expressions."""
    angle = operation.angle
    if not isinstance(angle, Slot):
        return angle, None if angle is None else angle / pi
    sympy = require_package("sympy", "ionq", _PURPOSE)
    symbol = sympy.Symbol(f"{angle.kind}_{angle.index}")
    radians = symbol if (angle.scale, angle.offset) == (1.0, 0.0) else angle.scale * symbol + angle.offset
    return radians, radians / sympy.pi
