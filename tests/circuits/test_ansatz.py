import pytest

from quantum_db.circuits import Circuit, class_observables, op, weight
from quantum_db.circuits.ansatz import ANSAETZE
from quantum_db.circuits.ansatz.hardware_efficient import HardwareEfficientAnsatz
from quantum_db.circuits.ansatz.strongly_entangling import StronglyEntanglingAnsatz
from quantum_db.circuits.encoders.angle import AngleEncoder
from quantum_db.circuits.encoders.reuploading import ReuploadingEncoder
from quantum_db.circuits.entanglement import PATTERNS, edges
from quantum_db.circuits.variational import variational_circuit
from quantum_db.errors import CircuitError, ConfigurationError


@pytest.mark.parametrize("name", ANSAETZE.names())
@pytest.mark.parametrize("n_qubits", [1, 2, 3, 8])
def test_every_weight_is_used_once(name, n_qubits):
    ansatz = ANSAETZE.load(name)(n_qubits, 4)
    circuit = ansatz.circuit()
    assert [o.slot.index for o in circuit.operations if o.slot is not None] == list(range(ansatz.n_weights))
    assert ansatz.n_weights == circuit.n_weights == 3 * n_qubits * 4


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("n_qubits", [1, 2, 3, 8])
def test_hardware_efficient_follows_its_pattern(pattern, n_qubits):
    ansatz = HardwareEfficientAnsatz(n_qubits, 3, pattern)
    pairs = [o.wires for o in ansatz.circuit().operations if o.gate == "CNOT"]
    assert pairs == list(edges(pattern, n_qubits)) * 3


def test_hardware_efficient_layer_in_full():
    assert HardwareEfficientAnsatz(2, 2).layer(1) == Circuit(
        2,
        (
            *(op(name, 0, angle=weight(6 + k)) for k, name in enumerate(("RX", "RY", "RZ"))),
            *(op(name, 1, angle=weight(9 + k)) for k, name in enumerate(("RX", "RY", "RZ"))),
            op("CNOT", 0, 1),
        ),
    )


def test_strongly_entangling_changes_its_reach():
    ansatz = StronglyEntanglingAnsatz(4, 4)
    pairs = [[o.wires for o in ansatz.layer(number).operations if o.gate == "CNOT"] for number in range(4)]
    assert pairs[0] == [(0, 1), (1, 2), (2, 3), (3, 0)] == pairs[3]
    assert pairs[1] == [(0, 2), (1, 3), (2, 0), (3, 1)]
    assert pairs[2] == [(0, 3), (1, 0), (2, 1), (3, 2)]
    assert StronglyEntanglingAnsatz(2, 1).circuit().count_by_arity() == (6, 1)
    assert StronglyEntanglingAnsatz(1, 1).circuit().count_by_arity() == (3, 0)


def test_errors():
    with pytest.raises(ConfigurationError, match="depth must be at least 1 layer, got 0"):
        HardwareEfficientAnsatz(2, 0)
    with pytest.raises(ConfigurationError, match="unknown entanglement pattern 'ring'"):
        HardwareEfficientAnsatz(2, 1, "ring")
    with pytest.raises(
        ConfigurationError, match="unknown ansatz 'qaoa'; known: hardware_efficient, strongly_entangling"
    ):
        ANSAETZE.load("qaoa")
    with pytest.raises(CircuitError, match="encoder has 2 qubits and the ansatz 3"):
        variational_circuit(AngleEncoder(2, 2), HardwareEfficientAnsatz(3, 1), ("Z0",))


def test_variational_circuit_encodes_once_or_before_every_layer():
    ansatz, observables = HardwareEfficientAnsatz(2, 3), class_observables(2, 3)
    once = variational_circuit(AngleEncoder(2, 2), ansatz, observables)
    assert once == AngleEncoder(2, 2).circuit().then(ansatz.circuit()).measuring(observables)
    encoder = ReuploadingEncoder(2, 3)
    again = variational_circuit(encoder, ansatz, observables)
    parts = [part for number in range(3) for part in (encoder.circuit(number), ansatz.layer(number))]
    assert again.operations == tuple(o for part in parts for o in part.operations)
    assert variational_circuit(encoder, ansatz, ("Z0",), encode=False) == ansatz.circuit().measuring(["Z0"])
