import numpy as np
import pytest

from quantum_db.backends.ionq.serialization import qis_circuit, qis_gates
from quantum_db.circuits import Circuit, op, weight
from quantum_db.circuits.gates import GATES
from quantum_db.errors import CircuitError
from tests.backends.ionq.provider import read_gate


def random_circuit(generator, qubits=3, gates=10):
    kinds = list(GATES.values())
    operations = []
    for _ in range(gates):
        kind = kinds[generator.integers(len(kinds))]
        wires = map(int, generator.permutation(qubits)[: kind.arity])
        operations.append(op(kind.name, *wires, angle=float(generator.uniform(-7, 7)) if kind.has_angle else None))
    return Circuit(qubits, tuple(operations))


def same_up_to_phase(first, second):
    return abs(np.trace(first.conj().T @ second)) / len(first) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", GATES)
def test_every_gate_means_the_same_on_the_wire(name):
    for angle in (0.7, -2.3, np.pi, np.pi / 2, 1e-9):
        circuit = Circuit(3, (op(name, *(2, 0)[: GATES[name].arity], angle=angle if GATES[name].has_angle else None),))
        (gates,) = qis_gates([circuit])
        read = Circuit(3, tuple(one for gate in gates for one in read_gate(gate)))
        assert same_up_to_phase(circuit.unitary(), read.unitary())


def test_random_circuits_keep_their_unitary_and_their_order():
    generator = np.random.default_rng(5)
    circuits = [random_circuit(generator) for _ in range(20)]
    for circuit, gates in zip(circuits, qis_gates(circuits), strict=True):
        read = Circuit(3, tuple(one for gate in gates for one in read_gate(gate)))
        assert same_up_to_phase(circuit.unitary(), read.unitary())


def test_gates_are_counted_as_they_are_written():
    generator = np.random.default_rng(6)
    for circuit in [random_circuit(generator, gates=25) for _ in range(10)]:
        (gates,) = qis_gates([circuit])
        twos = sum("control" in gate or len(gate["targets"]) == 2 for gate in gates)
        assert qis_circuit(circuit).count_by_arity() == (len(gates) - twos, twos)


def test_angles_are_sent_exactly():
    ((gate,),) = qis_gates([Circuit(1, (op("RX", 0, angle=np.pi / 2 + 1e-10),))])
    assert gate["gate"] == "rx"
    assert gate["rotation"] == pytest.approx(np.pi / 2 + 1e-10, rel=1e-15)


def test_gates_that_undo_each_other_are_kept():
    folded = Circuit(2, (op("CZ", 0, 1), op("CZ", 0, 1), op("H", 0), op("H", 0)))
    assert len(qis_circuit(folded).operations) == 8
    assert len(qis_gates([folded])[0]) == 8


def test_what_the_api_does_not_take_is_refused():
    with pytest.raises(CircuitError, match="circuit 1 has no gates"):
        qis_gates([Circuit(1, (op("X", 0),)), Circuit(1)])
    with pytest.raises(CircuitError, match="open slots"):
        qis_circuit(Circuit(2, (op("CRX", 0, 1, angle=weight(0)),)))
