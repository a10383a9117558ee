"""The state of every encoder against cirq, for features without any symmetry."""

import cirq
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quantum_db.circuits.encoders import ENCODERS
from quantum_db.circuits.encoders.amplitude import AmplitudeEncoder
from quantum_db.circuits.encoders.angle import AngleEncoder
from quantum_db.circuits.encoders.basis import BasisEncoder
from quantum_db.circuits.encoders.iqp import IQPEncoder
from quantum_db.circuits.encoders.reuploading import ReuploadingEncoder
from quantum_db.simulation.statevector import simulate

FEATURES = np.array([[0.9, -0.35, 0.1], [-1.0, 1.0, 0.62]])
Q = cirq.LineQubit.range(3)


def simulated(encoder, features, layer=0):
    """By our simulator, from slot values; complex128 (rows, 2^n)."""
    slots = torch.as_tensor(encoder.slot_values(features))
    return simulate(encoder.circuit(layer), torch.zeros(0, dtype=torch.float64), slots).numpy()


def by_cirq(operations, n_qubits=3):
    order = cirq.LineQubit.range(n_qubits)
    return cirq.final_state_vector(cirq.Circuit(operations), qubit_order=order, dtype=np.complex128)


def test_every_encoder_of_the_table_is_tested_here():
    assert set(ENCODERS.names()) == {"angle", "amplitude", "basis", "iqp", "reuploading"}


@pytest.mark.parametrize("axis", ["X", "Y", "Z"])
@pytest.mark.parametrize("scale", [np.pi / 2, 1.0])
def test_angle(axis, scale):
    rotation = {"X": cirq.rx, "Y": cirq.ry, "Z": cirq.rz}[axis]
    expected = [
        by_cirq(
            [
                *([cirq.H(q) for q in Q] if axis == "Z" else []),
                *(rotation(scale * x)(q) for x, q in zip(row, Q, strict=True)),
            ]
        )
        for row in FEATURES
    ]
    np.testing.assert_allclose(simulated(AngleEncoder(3, 3, axis, scale), FEATURES), expected, atol=1e-12)


def test_angle_leaves_qubits_without_a_feature_alone():
    states = simulated(AngleEncoder(3, 2), FEATURES[:, :2])
    np.testing.assert_array_equal(states.reshape(2, 4, 2)[:, :, 1], 0)


def test_basis():
    bits = np.array([[1, 0, 0], [0, 1, 1], [1, 1, 0]])
    states = simulated(BasisEncoder(3, 3), bits)
    np.testing.assert_allclose(states, np.eye(8)[[0b100, 0b011, 0b110]], atol=1e-15)


@pytest.mark.parametrize("repetitions", [1, 2, 3])
def test_iqp_is_the_feature_map_of_havlicek(repetitions):
    expected = []
    for row in FEATURES:
        operations = []
        for _ in range(repetitions):
            operations += [cirq.H(q) for q in Q]
            operations += [cirq.ZPowGate(exponent=2 * x / np.pi)(q) for x, q in zip(row, Q, strict=True)]
            for i, j in ((0, 1), (0, 2), (1, 2)):
                phase = 2 * (np.pi - row[i]) * (np.pi - row[j])
                operations += [
                    cirq.CNOT(Q[i], Q[j]),
                    cirq.ZPowGate(exponent=phase / np.pi)(Q[j]),
                    cirq.CNOT(Q[i], Q[j]),
                ]
        expected.append(by_cirq(operations))
    states = simulated(IQPEncoder(3, 3, repetitions), FEATURES)
    overlaps = np.abs(np.sum(states.conj() * expected, axis=1))
    np.testing.assert_allclose(overlaps, 1, atol=1e-12)  # equal up to the global phase of RZZ


def test_iqp_joins_only_the_pairs_of_its_pattern():
    assert IQPEncoder(4, 4, entanglement="linear").circuit().entanglement_map() == ((0, 1), (1, 2), (2, 3))
    assert IQPEncoder(2, 1).circuit().entanglement_map() == ()


def test_reuploading_holds_more_features_than_qubits():
    features = np.array([[0.9, -0.35, 0.1, 0.5, -0.8, 0.3, 1.0]])
    turn = np.pi / 2
    x = features[0]
    layer_0 = [cirq.ry(turn * x[0])(Q[0]), cirq.ry(turn * x[1])(Q[1]), cirq.ry(turn * x[2])(Q[2])]
    layer_0 += [cirq.rz(turn * x[3])(Q[0]), cirq.rz(turn * x[4])(Q[1]), cirq.rz(turn * x[5])(Q[2])]
    layer_0 += [cirq.ry(turn * x[6])(Q[0])]
    np.testing.assert_allclose(simulated(ReuploadingEncoder(3, 7), features)[0], by_cirq(layer_0), atol=1e-12)


def test_reuploading_turns_the_wires_from_layer_to_layer():
    turn = np.pi / 2
    x = FEATURES[0]
    expected = by_cirq([cirq.ry(turn * x[0])(Q[1]), cirq.ry(turn * x[1])(Q[2]), cirq.ry(turn * x[2])(Q[0])])
    np.testing.assert_allclose(simulated(ReuploadingEncoder(3, 3), FEATURES[:1], layer=1)[0], expected, atol=1e-12)


def fidelity(state, target):
    return abs(np.vdot(state, target / np.linalg.norm(target))) ** 2


def random_vector(n_qubits, kind, seed):
    generator = np.random.default_rng(seed)
    vector = generator.normal(size=2**n_qubits).astype(complex)
    if kind == "positive":
        vector = np.abs(vector)
    if kind in ("complex", "sparse complex"):
        vector = vector + 1j * generator.normal(size=2**n_qubits)
    if kind.startswith("sparse"):
        vector[generator.random(2**n_qubits) < 0.7] = 0
        vector[generator.integers(2**n_qubits)] = -1.5
    return vector


@pytest.mark.parametrize("kind", ["positive", "signed", "complex", "sparse", "sparse complex"])
@pytest.mark.parametrize("n_qubits", [1, 2, 3, 4, 5])
def test_amplitude_directly_and_by_its_circuit(n_qubits, kind):
    is_complex = kind.endswith("complex")
    vectors = np.array([random_vector(n_qubits, kind, seed) for seed in range(4)])
    features = np.hstack([vectors.real, vectors.imag]) if is_complex else vectors.real
    encoder = AmplitudeEncoder(n_qubits, features.shape[1], complex_amplitudes=is_complex)
    for direct, circuit, vector in zip(encoder.states(features), simulated(encoder, features), vectors, strict=True):
        assert fidelity(direct, vector) > 1 - 1e-10
        assert fidelity(circuit, vector) > 1 - 1e-10
        assert np.linalg.norm(direct) == pytest.approx(1, abs=1e-14)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e300, 1e300, allow_nan=False), min_size=1, max_size=8).filter(any))
def test_amplitude_of_any_vector(vector):
    encoder = AmplitudeEncoder(3, len(vector))
    target = np.zeros(8)
    target[: len(vector)] = np.array(vector) / np.max(np.abs(vector))
    assert fidelity(encoder.states([vector])[0], target) > 1 - 1e-10
    assert fidelity(simulated(encoder, [vector])[0], target) > 1 - 1e-10


def test_amplitude_circuit_by_cirq():
    from quantum_db.circuits.cirq_conversion import to_cirq

    vector = random_vector(3, "complex", 9)
    encoder = AmplitudeEncoder(3, 16, complex_amplitudes=True)
    slots = encoder.slot_values([np.concatenate([vector.real, vector.imag])])[0]
    state = cirq.final_state_vector(to_cirq(encoder.circuit().bind([], slots)), qubit_order=Q, dtype=np.complex128)
    assert fidelity(state, vector) > 1 - 1e-10
