import numpy as np
import pytest

from quantum_db.circuits.encoders.amplitude import AmplitudeEncoder
from quantum_db.circuits.encoders.state_preparation import gray_code
from quantum_db.errors import StageInputError


@pytest.mark.parametrize("bad", [0, 1])
def test_zero_vector_is_refused_and_named(bad):
    features = np.ones((3, 4))
    features[bad] = 0
    with pytest.raises(StageInputError, match=rf"row {bad} is all zero \(1 such row"):
        AmplitudeEncoder(2, 4).states(features)
    with pytest.raises(StageInputError, match="zero vector is no quantum state"):
        AmplitudeEncoder(2, 4).slot_values(features)


def test_a_single_amplitude():
    np.testing.assert_array_equal(AmplitudeEncoder(1, 1).states([[-3.0]]), [[-1, 0]])


def test_padding_to_a_power_of_two():
    np.testing.assert_allclose(
        AmplitudeEncoder(3, 5).states([[1, 2, 0, 0, -2]]), [[1 / 3, 2 / 3, 0, 0, -2 / 3, 0, 0, 0]]
    )


def test_sign_and_phase_are_kept():
    np.testing.assert_allclose(AmplitudeEncoder(1, 2).states([[3, -4]]), [[0.6, -0.8]])
    complex_pair = AmplitudeEncoder(1, 4, complex_amplitudes=True).states([[3, 0, 0, -4]])
    np.testing.assert_allclose(complex_pair, [[0.6, -0.8j]])


@pytest.mark.parametrize("size", [5e-324, 1e-310, 1e-200, 1e-160, 1.0, 1e160, 1e200, 1.7e308])
def test_tiny_and_huge_vectors(size):
    encoder = AmplitudeEncoder(1, 2)
    np.testing.assert_allclose(encoder.states([[size, -size]]), [[np.sqrt(0.5), -np.sqrt(0.5)]], rtol=1e-14)
    np.testing.assert_allclose(encoder.slot_values([[size, -size]]), [[-np.pi / 2]], rtol=1e-14)
    both = AmplitudeEncoder(1, 4, complex_amplitudes=True).states([[size, 0, size, 0]])
    np.testing.assert_allclose(both, [[np.sqrt(0.5) * (1 + 1j), 0]], rtol=1e-14)


def test_tiny_beside_huge():
    np.testing.assert_allclose(AmplitudeEncoder(1, 2).states([[1e-200, 1e200]]), [[0, 1]], atol=1e-15)


def test_complex_needs_pairs():
    with pytest.raises(StageInputError, match="even number of features, got 3"):
        AmplitudeEncoder(2, 3, complex_amplitudes=True)


@pytest.mark.parametrize("n_qubits", [1, 2, 3, 4])
def test_gate_counts(n_qubits):
    real = AmplitudeEncoder(n_qubits, 2**n_qubits).circuit().gate_counts()
    assert real["RY"] == 2**n_qubits - 1
    assert real.get("CNOT", 0) == 2**n_qubits - 2
    both = AmplitudeEncoder(n_qubits, 2 ** (n_qubits + 1), complex_amplitudes=True).circuit().gate_counts()
    assert both["RY"] == both["RZ"] == 2**n_qubits - 1


def test_gray_code_changes_one_bit_at_a_time():
    codes = [gray_code(number) for number in range(16)]
    assert sorted(codes) == list(range(16))
    assert all((a ^ b).bit_count() == 1 for a, b in zip(codes, codes[1:] + codes[:1], strict=True))
