"""Random circuits as cirq-ionq's serializer writes them, against cirq's own simulator."""

from __future__ import annotations

from typing import Any

import cirq
import cirq_ionq
import numpy as np
import pytest
from cirq_ionq.serializer import Serializer

from quantum_db.circuits.ionq import read_input
from quantum_db.circuits.ionq.histogram import from_histogram
from quantum_db.gateway.simulation import run_exact

QUBITS = cirq.LineQubit.range(5)


def a_qis_operation(rng: np.random.Generator) -> cirq.Operation:
    a, b, c = (QUBITS[number] for number in rng.permutation(5)[:3])
    exponent = float(rng.uniform(-2, 2))
    pauli = cirq.DensePauliString([int(letter) for letter in rng.integers(1, 4, size=3)])
    # cirq-ionq sends only strings whose evolution time is not negative
    phasor = cirq.PauliStringPhasorGate(pauli, exponent_neg=float(rng.uniform(0.1, 1)), exponent_pos=0.0)
    table: list[cirq.Operation] = [
        *(gate(a) for gate in (cirq.X, cirq.Y, cirq.Z, cirq.H, cirq.S, cirq.T, cirq.S**-1, cirq.T**-1)),
        cirq.X(a) ** 0.5,
        cirq.X(a) ** -0.5,
        *(gate(a) ** exponent for gate in (cirq.X, cirq.Y, cirq.Z)),
        *(gate(a, b) ** exponent for gate in (cirq.XX, cirq.YY, cirq.ZZ)),
        cirq.CNOT(a, b),
        cirq.SWAP(a, b),
        cirq.X(b).controlled_by(a),
        phasor.on(a, b, c),
    ]
    return table[rng.integers(len(table))]


def a_native_operation(rng: np.random.Generator) -> cirq.Operation:
    a, b = (QUBITS[number] for number in rng.permutation(5)[:2])
    first, second, third = (float(turns) for turns in rng.uniform(-1, 1, size=3))
    table: list[cirq.Operation] = [
        cirq_ionq.GPIGate(phi=first).on(a),
        cirq_ionq.GPI2Gate(phi=first).on(a),
        cirq_ionq.MSGate(phi0=first, phi1=second, theta=third).on(a, b),
        cirq_ionq.ZZGate(theta=first).on(a, b),
    ]
    return table[rng.integers(len(table))]


def wanted(circuit: cirq.Circuit) -> np.ndarray:
    simulator = cirq.Simulator(dtype=np.complex128)
    return np.abs(simulator.simulate(circuit, qubit_order=QUBITS).final_state_vector) ** 2


def read_and_run(given: dict[str, Any], kind: str) -> list[np.ndarray]:
    found = run_exact(read_input(kind, given).circuits)
    return [from_histogram(histogram, tuple(range(5))) for histogram in found]


@pytest.mark.parametrize("operation", [a_qis_operation, a_native_operation])
def test_random_circuits_in_one_batch(operation: Any) -> None:
    rng = np.random.default_rng(7)
    circuits = [cirq.Circuit(operation(rng) for _ in range(rng.integers(1, 30))) for _ in range(60)]
    given = Serializer().serialize_many_circuits(circuits).input
    found = read_and_run(given, "ionq.multi-circuit.v1")
    for circuit, table in zip(circuits, found, strict=True):
        np.testing.assert_allclose(table, wanted(circuit), atol=1e-10)


@pytest.mark.parametrize("operation", [a_qis_operation, a_native_operation])
def test_random_circuits_one_by_one(operation: Any) -> None:
    rng = np.random.default_rng(8)
    for _ in range(20):
        circuit = cirq.Circuit(operation(rng) for _ in range(20))
        given = Serializer().serialize_single_circuit(circuit).input
        np.testing.assert_allclose(read_and_run(given, "ionq.circuit.v1")[0], wanted(circuit), atol=1e-10)


def test_native_compilation_for_both_machines() -> None:
    circuit = cirq.Circuit(cirq.qft(*QUBITS[:3]), cirq.CCX(*QUBITS[1:4]) ** 1.0, cirq.ry(0.4).on(QUBITS[4]))
    for gateset in (cirq_ionq.AriaNativeGateset(), cirq_ionq.ForteNativeGateset()):
        compiled = cirq.optimize_for_target_gateset(circuit, gateset=gateset)
        given = Serializer().serialize_single_circuit(compiled).input
        assert given["gateset"] == "native"
        np.testing.assert_allclose(read_and_run(given, "ionq.circuit.v1")[0], wanted(circuit), atol=1e-10)
