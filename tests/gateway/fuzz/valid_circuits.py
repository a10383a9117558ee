"""Circuits on IonQ's wire drawn at random in every form that is allowed, and what cirq makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import cirq
import cirq_ionq
import numpy as np
from hypothesis import strategies as st

Gate = dict[str, Any]
MOST_QUBITS = 5

_FIXED: dict[str, cirq.Gate] = {
    "x": cirq.X, "not": cirq.X, "y": cirq.Y, "z": cirq.Z, "h": cirq.H, "s": cirq.S, "si": cirq.S**-1, "t": cirq.T,
    "ti": cirq.T**-1, "v": cirq.X**0.5, "vi": cirq.X**-0.5,
}  # fmt: skip
_ROTATIONS: dict[str, Callable[[float], cirq.Gate]] = {"rx": cirq.rx, "ry": cirq.ry, "rz": cirq.rz}
_ISING = {"xx": cirq.XXPowGate, "yy": cirq.YYPowGate, "zz": cirq.ZZPowGate}

_angles = st.one_of(
    st.floats(-10, 10, allow_nan=False), st.integers(-7, 7), st.sampled_from([0, -0.0, np.pi, np.pi / 2, 1e-300, 1e6])
)


@st.composite
def circuits(draw: st.DrawFn) -> dict[str, Any]:
    """One circuit with its gate set and width, on at most `MOST_QUBITS` qubits, some of them idle."""
    qubits = draw(st.integers(1, MOST_QUBITS))
    native = draw(st.integers(0, 3)) == 0
    gate = _native_gates(qubits) if native else _qis_gates(qubits)
    found: dict[str, Any] = {"gateset": "native" if native else "qis", "qubits": qubits}
    found["circuit"] = draw(st.lists(gate, max_size=12))
    if draw(st.booleans()):
        found["name"] = draw(st.text(max_size=8))
    return found


@st.composite
def _wires(draw: st.DrawFn, qubits: int, count: int) -> list[int]:
    return draw(st.permutations(range(qubits)))[:count]


@st.composite
def _qis_gates(draw: st.DrawFn, qubits: int) -> Gate:
    names = [*_FIXED, *_ROTATIONS, "phase", "nop", "pauliexp"]
    if qubits > 1:
        names += [*_ISING, "swap", "cnot"]
    name = draw(st.sampled_from(names))
    if name == "nop":
        return {"gate": "nop"}
    count = 2 if name in (*_ISING, "swap") else draw(st.integers(1, min(3, qubits))) if name == "pauliexp" else 1
    least = 1 if name == "cnot" else 0
    spare = 0 if name == "pauliexp" else qubits - count
    controls = draw(st.integers(least, max(least, min(3, spare)))) if name == "cnot" or draw(st.booleans()) else 0
    wires = draw(_wires(qubits, count + controls))
    gate: Gate = {"gate": "z" if name == "phase" else name, **_named("target", wires[:count], draw)}
    if controls:
        gate |= _named("control", wires[count:], draw)
    if name in (*_ROTATIONS, *_ISING, "phase"):
        gate["rotation"] = draw(_angles)
    if name == "pauliexp":
        term = "".join(draw(st.lists(st.sampled_from("IXYZ"), min_size=count, max_size=count)))
        gate |= {"terms": [term], "coefficients": [draw(_angles)], "time": draw(st.floats(0, 3))}
    return gate


def _named(word: str, wires: Sequence[int], draw: st.DrawFn) -> Gate:
    """`target` or `targets`, a number or a list: all of them are sent by one client or another."""
    plural = len(wires) > 1 or draw(st.booleans())
    return {word + "s": list(wires)} if plural else {word: wires[0]}


@st.composite
def _native_gates(draw: st.DrawFn, qubits: int) -> Gate:
    name = draw(st.sampled_from(["gpi", "gpi2", "nop", *(["ms", "zz"] if qubits > 1 else [])]))
    if name == "nop":
        return {"gate": "nop"}
    turns = st.floats(-2, 2, allow_nan=False)
    if name in ("gpi", "gpi2"):
        return {"gate": name, **_named("target", draw(_wires(qubits, 1)), draw), "phase": draw(turns)}
    gate: Gate = {"gate": name, "targets": draw(_wires(qubits, 2))}
    if name == "zz":
        return {**gate, draw(st.sampled_from(["angle", "phase"])): draw(turns)}
    gate["phases"] = [draw(turns), draw(turns)]
    return {**gate, "angle": draw(turns)} if draw(st.booleans()) else gate


def cirq_probabilities(circuit: dict[str, Any]) -> dict[int, float]:
    """{IonQ's outcome (qubit 0 is the lowest bit): probability} by cirq's simulator."""
    line = cirq.LineQubit.range(circuit["qubits"])
    operations = [cirq.I(qubit) for qubit in line]
    for gate in circuit["circuit"]:
        operations += _operations(gate, line)
    state = cirq.Simulator(dtype=np.complex128).simulate(cirq.Circuit(operations), qubit_order=line[::-1])
    return dict(enumerate((np.abs(state.final_state_vector) ** 2).tolist()))


def _operations(gate: Gate, line: Sequence[cirq.LineQubit]) -> list[cirq.Operation]:
    name = gate["gate"]
    if name == "nop":
        return []
    targets = [line[wire] for wire in _listed(gate, "target")]
    operation = _gate(gate, len(targets)).on(*targets)
    return [operation.controlled_by(*(line[wire] for wire in _listed(gate, "control")))]


def _listed(gate: Gate, word: str) -> list[int]:
    found = gate.get(word + "s", gate.get(word, []))
    return found if isinstance(found, list) else [found]


def _gate(gate: Gate, count: int) -> cirq.Gate:
    name = gate["gate"]
    if "rotation" in gate:
        angle = float(gate["rotation"])
        if name == "z":
            return cirq.MatrixGate(np.diag([1, np.exp(1j * angle)]))
        if name in _ROTATIONS:
            return _ROTATIONS[name](angle)
        return _ISING[name](exponent=angle / np.pi, global_shift=-0.5)
    if name == "pauliexp":
        return _evolution(gate["terms"][0], gate["time"] * gate["coefficients"][0], count)
    if name in ("gpi", "gpi2"):
        return (cirq_ionq.GPIGate if name == "gpi" else cirq_ionq.GPI2Gate)(phi=gate["phase"])
    if name == "ms":
        first, second = gate["phases"]
        return cirq_ionq.MSGate(phi0=first, phi1=second, theta=gate.get("angle", 0.25))
    if name == "zz":
        return cirq_ionq.ZZGate(theta=gate.get("angle", gate.get("phase")))
    return {"cnot": cirq.X, "swap": cirq.SWAP, **_FIXED}[name]


def _evolution(term: str, angle: float, count: int) -> cirq.Gate:
    """exp(-i angle P); the rightmost letter of P belongs to the first target."""
    letters = [cirq.unitary({"I": cirq.I, "X": cirq.X, "Y": cirq.Y, "Z": cirq.Z}[letter]) for letter in reversed(term)]
    pauli = reduce(np.kron, letters)
    return cirq.MatrixGate(np.cos(angle) * np.eye(2**count) - 1j * np.sin(angle) * pauli)
