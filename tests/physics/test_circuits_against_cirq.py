"""Whole circuits against cirq: states, expectation values, and the order of the bits."""

import cirq
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quantum_db.circuits import Circuit, PauliString, feature, op, weight
from quantum_db.circuits.cirq_conversion import to_cirq, to_cirq_observable
from quantum_db.simulation.statevector import expectation_values, probabilities, simulate
from tests.physics.random_circuits import circuits, cirq_state, cirq_states, values

ROWS = 3
relaxed = settings(deadline=None, max_examples=80)


def tensors(weights, features, dtype=torch.float64):
    return torch.as_tensor(weights, dtype=dtype), torch.as_tensor(features, dtype=dtype)


@relaxed
@given(circuits(), st.integers(0, 10**6))
def test_states_in_double_and_single_precision(circuit, seed):
    weights, features = values(circuit, ROWS, seed)
    expected = cirq_states(circuit, weights, features)
    double = simulate(circuit, *tensors(weights, features))
    assert double.dtype == torch.complex128
    assert double.shape == (ROWS, 2**circuit.n_qubits)
    np.testing.assert_allclose(double.numpy(), expected, atol=1e-10)
    single = simulate(circuit, *tensors(weights, features, torch.float32))
    assert single.dtype == torch.complex64
    np.testing.assert_allclose(single.numpy(), expected, atol=1e-5)


@relaxed
@given(circuits(), st.integers(0, 10**6))
def test_expectation_values(circuit, seed):
    weights, features = values(circuit, ROWS, seed)
    states = cirq_states(circuit, weights, features)
    qubits = {cirq.LineQubit(wire): wire for wire in range(circuit.n_qubits)}
    expected = [
        [to_cirq_observable(o).expectation_from_state_vector(row, qubits).real for o in circuit.observables]
        for row in states
    ]
    measured = expectation_values(simulate(circuit, *tensors(weights, features)), circuit.observables)
    np.testing.assert_allclose(measured.numpy(), expected, atol=1e-10)


@settings(deadline=None, max_examples=25)
@given(circuits(max_gates=8), st.integers(0, 10**6))
def test_weights_of_each_row(circuit, seed):
    generator = np.random.default_rng(seed)
    weights = generator.uniform(-3, 3, (ROWS, circuit.n_weights))
    features = generator.uniform(-3, 3, (ROWS, circuit.n_features))
    expected = [cirq_state(circuit, w, x) for w, x in zip(weights, features, strict=True)]
    np.testing.assert_allclose(simulate(circuit, *tensors(weights, features)).numpy(), expected, atol=1e-10)


@settings(deadline=None, max_examples=25)
@given(circuits(max_qubits=3, max_gates=8), st.integers(0, 10**6))
def test_unitary_and_initial_states(circuit, seed):
    weights, features = values(circuit, 1, seed)
    bound = circuit.bind(weights, features[0])
    order = cirq.LineQubit.range(circuit.n_qubits)
    expected = to_cirq(bound).unitary(qubit_order=order, qubits_that_should_be_present=order)
    np.testing.assert_allclose(bound.unitary(), expected, atol=1e-10)
    # row i of the identity is basis state i, so row i of the result is column i of the unitary
    basis = torch.eye(2**circuit.n_qubits, dtype=torch.complex128)
    final = simulate(circuit, *tensors(weights, features.repeat(len(basis), axis=0)), initial_states=basis)
    np.testing.assert_allclose(final.numpy().T, expected, atol=1e-10)


@settings(deadline=None, max_examples=25)
@given(circuits(max_qubits=3, max_gates=6), st.integers(0, 10**6))
def test_open_slots_become_symbols(circuit, seed):
    weights, features = values(circuit, 1, seed)
    names = {f"weight_{i}": value for i, value in enumerate(weights)}
    names |= {f"feature_{i}": value for i, value in enumerate(features[0])}
    converted = to_cirq(circuit)
    used = {f"{o.slot.kind}_{o.slot.index}" for o in circuit.operations if o.slot is not None}
    assert cirq.parameter_names(converted) == used
    resolved = cirq.resolve_parameters(converted, names)
    order = cirq.LineQubit.range(circuit.n_qubits)
    state = cirq.final_state_vector(resolved, qubit_order=order, dtype=np.complex128)
    np.testing.assert_allclose(state, cirq_state(circuit, weights, features[0]), atol=1e-10)


def test_many_qubits_in_several_groups():
    generator = np.random.default_rng(5)
    gates = []
    for _ in range(3):
        gates += [op(name, wire, angle=float(generator.normal())) for wire in range(9) for name in ("RX", "RZ")]
        gates += [op("CNOT", wire, (wire + 4) % 9) for wire in range(9)] + [op("CRY", 8, 0, angle=0.4), op("CZ", 3, 7)]
    circuit = Circuit(9, tuple(gates))
    state = simulate(circuit, torch.zeros(0, dtype=torch.float64)).numpy()[0]
    np.testing.assert_allclose(state, cirq_state(circuit), atol=1e-12)


@pytest.mark.parametrize(("wire", "index"), [(0, 4), (1, 2), (2, 1)])
def test_qubit_0_is_the_most_significant_bit(wire, index):
    circuit = Circuit(3, (op("X", wire),))
    state = simulate(circuit, torch.zeros(0)).numpy()[0]
    assert int(np.argmax(np.abs(state))) == index
    assert int(np.argmax(np.abs(cirq_state(circuit)))) == index


def test_keys_of_an_asymmetric_circuit_through_cirq_measurement():
    circuit = Circuit(
        3, (op("X", 0), op("CNOT", 0, 1), op("RY", 2, angle=weight(0)), op("CRX", 2, 0, angle=feature(0)))
    )
    state = simulate(circuit, *tensors([0.8], [[1.9]]))
    exact = probabilities(state).numpy()[0]
    measured = to_cirq(circuit.bind([0.8], [1.9])) + cirq.measure(*cirq.LineQubit.range(3), key="m")
    histogram = cirq.Simulator(seed=1).run(measured, repetitions=20_000).histogram(key="m")
    for key in range(8):
        sigma = np.sqrt(exact[key] * (1 - exact[key]) / 20_000)
        assert abs(histogram[key] / 20_000 - exact[key]) <= 5 * sigma + 1e-12
    assert exact[0b110] > 0.5 > exact[0b011]


@settings(deadline=None, max_examples=40)
@given(circuits(max_gates=0))
def test_observables_as_matrices(circuit):
    order = cirq.LineQubit.range(circuit.n_qubits)
    for observable in circuit.observables:
        np.testing.assert_allclose(
            observable.matrix(circuit.n_qubits), to_cirq_observable(observable).matrix(order), atol=1e-14
        )


def test_the_identity_is_an_observable():
    state = simulate(Circuit(2, (op("H", 0),)), torch.zeros(0))
    assert expectation_values(state, (PauliString.of("I", 2.5),)).item() == pytest.approx(2.5)
