import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.circuits import Circuit, feature, op, weight
from quantum_db.circuits.ansatz import ANSAETZE
from quantum_db.circuits.light_cone import dead_weights
from quantum_db.circuits.observables import single_qubit
from quantum_db.gradients.backprop import Backprop
from quantum_db.gradients.method import Wanted
from quantum_db.gradients.parameter_shift import ParameterShift, angles, unrolled
from tests.physics.random_circuits import circuits
from tests.suites.gradient_methods import LAYERED, GradientSuite, numerical, rows_of
from tests.suites.recording_executor import RecordingExecutor

EXACT = StatevectorExecutor("complex128")
BOTH = Wanted(weights=True, features=True)


class TestParameterShift(GradientSuite):
    @pytest.fixture
    def method(self):
        return ParameterShift()


@settings(deadline=None, max_examples=60)
@given(circuits(max_qubits=3, max_gates=10), st.integers(0, 10**6), st.integers(1, 3))
def test_equal_to_backpropagation_on_random_circuits(circuit, seed, count):
    rows = rows_of(circuit, count, seed)
    shifted = ParameterShift().jacobian(EXACT, rows, BOTH)
    exact = Backprop().jacobian(EXACT, rows, BOTH)
    np.testing.assert_allclose(shifted.weights, exact.weights, atol=1e-10)
    np.testing.assert_allclose(shifted.features, exact.features, atol=1e-10)


@settings(deadline=None, max_examples=40)
@given(circuits(max_qubits=3, max_gates=10), st.integers(0, 10**6))
def test_the_unrolled_circuit_is_the_same_circuit(circuit, seed):
    rows = rows_of(circuit, 2, seed)
    own, slots = unrolled(circuit)
    (wanted,) = EXACT.run(Batch((rows,)))
    (found,) = EXACT.run(Batch((CircuitRows.of(own, angles(rows, slots), np.zeros((1, 0))),)))
    np.testing.assert_allclose(found.values, wanted.values, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(circuits(max_qubits=3, max_gates=10), st.booleans(), st.booleans())
def test_as_many_circuits_are_run_as_were_known_before(circuit, weights, features):
    rows, wanted = rows_of(circuit, 2), Wanted(weights, features)
    executor = RecordingExecutor()
    planned = ParameterShift().expand(rows, wanted).n_circuits
    ParameterShift().jacobian(executor, rows, wanted)
    assert executor.n_circuits == planned
    assert len(executor.batches) == (planned > 0)


def two_term(function, angle):
    """What a single pair of shifts gives."""
    return (function(angle + np.pi / 2) - function(angle - np.pi / 2)) / 2


def value(circuit):
    return lambda angle: EXACT.run(Batch((CircuitRows.of(circuit, [angle]),)))[0].values.item()


def derivative(circuit, angle):
    return ParameterShift().jacobian(EXACT, CircuitRows.of(circuit, [angle]), BOTH).weights.item()


def test_shifting_a_shared_weight_once_would_give_zero():
    circuit = Circuit(1, (op("RX", 0, angle=weight(0)), op("RX", 0, angle=weight(0))), ("Z0",))
    assert derivative(circuit, 0.3) == pytest.approx(-1.1293, abs=5e-5)
    assert two_term(value(circuit), 0.3) == pytest.approx(0, abs=1e-12)


def test_two_terms_would_be_wrong_for_a_controlled_rotation():
    circuit = Circuit(2, (op("H", 0), op("CRX", 0, 1, angle=weight(0))), ("X0",))
    angle = 0.6426
    assert derivative(circuit, angle) == pytest.approx(-np.sin(angle / 2) / 2, abs=1e-12)
    assert derivative(circuit, angle) == pytest.approx(-0.1579, abs=1e-4)
    assert two_term(value(circuit), angle) == pytest.approx(-0.2233, abs=1e-4)


@pytest.mark.parametrize("name", ["CRX", "CRY", "CRZ"])
def test_controlled_rotations_take_four_circuits_others_two(name):
    circuit = Circuit(
        2, (op("H", 0), op("H", 1), op(name, 0, 1, angle=weight(0)), op("RX", 1, angle=weight(1))), ("X0", "Z1")
    )
    executor = RecordingExecutor()
    ParameterShift().jacobian(executor, rows_of(circuit, 3), BOTH)
    assert executor.n_circuits == 3 * (4 + 2)


def test_the_scale_of_a_slot_is_its_chain_factor():
    circuit = Circuit(1, (op("RY", 0, angle=weight(0) * np.pi + 0.2),), ("Z0",))
    assert derivative(circuit, 0.3) == pytest.approx(-np.pi * np.sin(0.3 * np.pi + 0.2), abs=1e-12)


def test_dead_slots_are_never_run():
    ansatz = ANSAETZE.load("hardware_efficient")(4, 2, "linear")
    circuit = ansatz.circuit().measuring(single_qubit(4))
    dead = dead_weights(circuit)
    assert {14, 17, 20, 23} <= set(dead)  # the RZ of the last layer
    executor = RecordingExecutor()
    rows = rows_of(circuit, 3)
    jacobian = ParameterShift().jacobian(executor, rows, BOTH)
    assert executor.n_circuits == 3 * 2 * (24 - len(dead))
    (batch,) = executor.batches
    own = np.stack([rows.weights] * (2 * (24 - len(dead))), axis=1).reshape(-1, 24)
    moved = np.abs(batch.parts[0].weights - own) > 1e-9
    assert not moved[:, list(dead)].any()
    assert (moved.sum(axis=1) == 1).all()
    exact = Backprop().jacobian(EXACT, rows, BOTH)
    assert np.abs(exact.weights[:, :, list(dead)]).max() < 1e-12
    np.testing.assert_allclose(jacobian.weights, exact.weights, atol=1e-10)


def test_one_measured_qubit_costs_less_than_all():
    ansatz = ANSAETZE.load("hardware_efficient")(4, 2, "linear")
    counts = []
    for observables in (["Z0"], single_qubit(4)):
        rows = rows_of(ansatz.circuit().measuring(observables), 1)
        counts.append(ParameterShift().expand(rows, BOTH).n_circuits)
    assert counts[0] < counts[1] < 2 * 24


def test_what_is_not_wanted_costs_nothing():
    shifted = {"weight": 2 + 2 + 4 + 2 + 2, "feature": 2 + 2 + 2}
    for kind, count in shifted.items():
        wanted = Wanted(weights=kind == "weight", features=kind == "feature")
        assert ParameterShift().expand(rows_of(LAYERED, 5), wanted).n_circuits == 5 * count
    assert ParameterShift().expand(rows_of(LAYERED, 5), Wanted(False, False)).n_circuits == 0


def test_weights_may_differ_from_row_to_row():
    circuit = Circuit(1, (op("RX", 0, angle=weight(0)), op("RY", 0, angle=feature(0))), ("Z0",))
    rows = CircuitRows.of(circuit, [[0.1], [0.9]], [[0.5], [-0.5]])
    jacobian = ParameterShift().jacobian(EXACT, rows, BOTH)
    for number in range(2):
        by_weight, by_feature = numerical(circuit, rows.weights[number], rows.features[number])
        np.testing.assert_allclose(jacobian.weights[number], by_weight, atol=1e-8)
        np.testing.assert_allclose(jacobian.features[number], by_feature, atol=1e-8)


def test_a_sampled_derivative_scatters_around_the_exact_one():
    circuit = Circuit(1, (op("RX", 0, angle=weight(0)),), ("Z0",))
    shots, count, angle = 400, 60, 0.8
    rows = CircuitRows.of(circuit, [angle])

    def sampled(seed):
        return ParameterShift().jacobian(EXACT, rows, Wanted(shots=shots, seed=seed)).weights.item()

    found = np.array([sampled(seed) for seed in range(count)])
    # f(+) and f(-) are measured independently: Var = (Var(+) + Var(-)) / 4
    deviation = np.sqrt((1 - np.sin(angle) ** 2) / shots / 2)
    assert abs(found.mean() + np.sin(angle)) < 5 * deviation / np.sqrt(count)
    assert 0.5 < found.std() / deviation < 1.5
    assert sampled(3) == found[3]
    assert len(np.unique(found)) > 5
