"""Circuits as IonQ's JSON: gates of the gateset "qis", written by cirq-ionq's serializer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import pi
from typing import Any

from quantum_db.circuits.circuit import Circuit, Operation, Slot, op
from quantum_db.circuits.cirq_conversion import to_cirq
from quantum_db.errors import CircuitError
from quantum_db.registry import require_package

WireGates = list[dict[str, Any]]


def qis_circuit(circuit: Circuit) -> Circuit:
    """The same circuit in gates that the gateset "qis" has; equal up to a global phase.

    Controlled gates are written out with CNOT here and not by cirq's optimizer, which would also merge gates and so
    undo circuits that were folded on purpose.
    """
    if all(operation.gate not in _WRITTEN_OUT for operation in circuit.operations):
        return circuit
    operations: list[Operation] = []
    for operation in circuit.operations:
        rule = _WRITTEN_OUT.get(operation.gate)
        operations += [operation] if rule is None else rule(*operation.wires, operation.angle)
    return Circuit(circuit.n_qubits, tuple(operations), circuit.observables)


def qis_gates(circuits: Sequence[Circuit]) -> list[WireGates]:
    """The gates of each circuit as IonQ's JSON, in order.

    Raises CircuitError for a circuit without gates, which the API does not take.
    """
    library = require_package("cirq_ionq", "ionq", "writing circuits for IonQ")
    serializer = library.serializer.Serializer(atol=0.0)  # angles are sent as they are
    for number, circuit in enumerate(circuits):
        if not circuit.operations:
            raise CircuitError(f"circuit {number} has no gates; its answer is |0...0> and needs no machine")
    program = serializer.serialize_many_circuits([to_cirq(qis_circuit(circuit)) for circuit in circuits])
    return [entry["circuit"] for entry in program.input["circuits"]]


def _angle(angle: Any) -> float:
    if isinstance(angle, Slot):
        raise CircuitError("a circuit with open slots cannot be sent; bind its slots first")
    return float(angle)


def _cz(control: int, target: int, _: Any) -> list[Operation]:
    return [op("H", target), op("CNOT", control, target), op("H", target)]


def _controlled_rz(control: int, target: int, angle: Any) -> list[Operation]:
    half = _angle(angle) / 2
    flip = op("CNOT", control, target)
    return [op("RZ", target, angle=half), flip, op("RZ", target, angle=-half), flip]


def _controlled_ry(control: int, target: int, angle: Any) -> list[Operation]:
    half = _angle(angle) / 2
    flip = op("CNOT", control, target)
    return [op("RY", target, angle=half), flip, op("RY", target, angle=-half), flip]


def _controlled_rx(control: int, target: int, angle: Any) -> list[Operation]:
    # RZ(pi/2) turns the axis x into y
    before, after = op("RZ", target, angle=pi / 2), op("RZ", target, angle=-pi / 2)
    return [before, *_controlled_ry(control, target, angle), after]


_WRITTEN_OUT: dict[str, Callable[..., list[Operation]]] = {
    "CZ": _cz,
    "CRX": _controlled_rx,
    "CRY": _controlled_ry,
    "CRZ": _controlled_rz,
}
