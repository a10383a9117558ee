from math import cos, pi, sin

import numpy as np
import pytest

from quantum_db.backends.ionq.native import native_gates
from quantum_db.circuits import Circuit, op
from quantum_db.circuits.gates import GATES, gate
from tests.backends.ionq.test_serialization import random_circuit


def turn(phase):
    return np.exp(2j * pi * phase)


def matrix(native):
    """The definitions in IonQ's guide to native gates, written down once more."""
    if native["gate"] == "gpi":
        return np.array([[0, turn(-native["phase"])], [turn(native["phase"]), 0]])
    if native["gate"] == "gpi2":
        return np.array([[1, -1j * turn(-native["phase"])], [-1j * turn(native["phase"]), 1]]) / np.sqrt(2)
    angle = pi * native["angle"]
    if native["gate"] == "zz":
        return np.diag(np.exp(1j * angle * np.array([-1, 1, 1, -1])))
    sides = [np.array([[0, turn(-phase)], [turn(phase), 0]]) for phase in native["phases"]]
    return cos(angle) * np.eye(4) - 1j * sin(angle) * np.kron(*sides)


def unitary(compiled, qubits):
    total = np.eye(2**qubits, dtype=np.complex128).reshape((2,) * qubits + (-1,))
    steps = [(matrix(one), one.get("targets") or [one["target"]]) for one in compiled.gates]
    steps += [(gate("RZ").matrix(angle), [wire]) for wire, angle in enumerate(compiled.frame)]
    for step, wires in steps:
        arity = len(wires)
        total = np.tensordot(step.reshape((2,) * (2 * arity)), total, axes=(range(arity, 2 * arity), wires))
        total = np.moveaxis(total, range(arity), wires)
    return total.reshape(2**qubits, -1)


def agreement(circuit, entangler):
    found = unitary(native_gates(circuit, entangler), circuit.n_qubits)
    return abs(np.trace(found.conj().T @ circuit.unitary())) / len(found)


@pytest.mark.parametrize("entangler", ["zz", "ms"])
@pytest.mark.parametrize("name", GATES)
def test_every_gate_keeps_its_unitary(name, entangler):
    for angle in (0.0, 0.4, -0.4, pi / 2, -pi / 2, 2.9, pi, -pi, 5.5, 12.1):
        circuit = Circuit(2, (op(name, *(1, 0)[: GATES[name].arity], angle=angle if GATES[name].has_angle else None),))
        assert agreement(circuit, entangler) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("entangler", ["zz", "ms"])
def test_random_circuits_keep_their_unitary(entangler):
    generator = np.random.default_rng(2)
    for _ in range(60):
        assert agreement(random_circuit(generator, gates=14), entangler) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("entangler", ["zz", "ms"])
def test_angles_are_those_that_the_machines_take(entangler):
    generator = np.random.default_rng(3)
    for _ in range(20):
        for one in native_gates(random_circuit(generator, gates=14), entangler).gates:
            assert one["gate"] in ("gpi", "gpi2", entangler)
            assert 0 < one.get("angle", 0.25) <= 0.25 + 1e-12
            assert all(0 <= phase < 1 for phase in (*one.get("phases", ()), one.get("phase", 0)))


def test_a_row_of_one_qubit_gates_costs_two_and_turns_around_z_nothing():
    row = [op("RX", 0, angle=0.3), op("RY", 0, angle=1.1), op("T", 0), op("H", 0), op("RX", 0, angle=0.2)]
    assert len(native_gates(Circuit(1, tuple(row)), "zz").gates) == 2
    assert len(native_gates(Circuit(1, (op("X", 0), op("RZ", 0, angle=0.3))), "zz").gates) == 1
    assert len(native_gates(Circuit(1, (op("RZ", 0, angle=0.3),)), "zz").gates) == 2  # the API takes no empty circuit


def test_fewer_gates_than_cirqs_native_compilation():
    import cirq
    import cirq_ionq

    from quantum_db.circuits.cirq_conversion import to_cirq

    generator = np.random.default_rng(4)
    layers = [
        one
        for _ in range(3)
        for one in (
            *(op("RY", wire, angle=generator.uniform()) for wire in range(4)),
            *(op("RZ", wire, angle=generator.uniform()) for wire in range(4)),
            *(op("CNOT", wire, (wire + 1) % 4) for wire in range(4)),
        )
    ]
    circuit = Circuit(4, tuple(layers))
    gateset = cirq_ionq.ForteNativeGateset()
    theirs = cirq.optimize_for_target_gateset(to_cirq(circuit), gateset=gateset)
    assert 2 * len(native_gates(circuit, "zz").gates) < len(list(theirs.all_operations()))
