import numpy as np
import pytest
from scipy.linalg import expm

from quantum_db.circuits import GATES
from quantum_db.circuits.gates import gate
from quantum_db.errors import CircuitError

ROTATIONS = [name for name, kind in GATES.items() if kind.has_angle]
FIXED = [name for name in GATES if name not in ROTATIONS]


def test_the_table():
    assert " ".join(GATES) == (
        "X Y Z H S Sdg T Tdg RX RY RZ PhaseShift CNOT CZ SWAP RXX RYY RZZ CRX CRY CRZ"  # the gates promised to users
    )
    assert {name: kind.arity for name, kind in GATES.items() if kind.arity != 1} == dict.fromkeys(
        ["CNOT", "CZ", "SWAP", "RXX", "RYY", "RZZ", "CRX", "CRY", "CRZ"], 2
    )


@pytest.mark.parametrize("name", ROTATIONS)
def test_matrix_is_the_exponential_of_the_generator(name):
    generator = GATES[name].generator
    np.testing.assert_array_equal(generator, generator.conj().T)
    for angle in (0.0, 0.3, -1.7, np.pi, 6.1):
        np.testing.assert_allclose(GATES[name].matrix(angle), expm(-1j * angle * generator), atol=1e-13)


@pytest.mark.parametrize("name", GATES)
def test_unitary(name):
    matrix = GATES[name].matrix(0.7 if GATES[name].has_angle else None)
    np.testing.assert_allclose(matrix @ matrix.conj().T, np.eye(2 ** GATES[name].arity), atol=1e-14)


@pytest.mark.parametrize("name", ROTATIONS)
def test_terms_add_up_to_the_matrix(name):
    constant, cosine, sine = GATES[name].terms
    frequency = GATES[name].frequency
    matrix = constant + np.cos(frequency * 0.9) * cosine + np.sin(frequency * 0.9) * sine
    np.testing.assert_allclose(matrix, GATES[name].matrix(0.9), atol=1e-15)


def test_diagonal_gates():
    assert [name for name, kind in GATES.items() if kind.is_diagonal] == [
        *("Z", "S", "Sdg", "T", "Tdg", "RZ", "PhaseShift", "CZ", "RZZ", "CRZ")
    ]


def test_permutations():
    assert {name: kind.permutation for name, kind in GATES.items() if kind.permutation} == {
        "X": (1, 0),
        "CNOT": (0, 1, 3, 2),
        "SWAP": (0, 2, 1, 3),
    }


def test_unknown_gate_lists_the_known_ones():
    with pytest.raises(CircuitError, match=r"unknown gate 'CCX'; known: X, Y, Z.*CRZ"):
        gate("CCX")


@pytest.mark.parametrize("name", FIXED)
def test_fixed_gates_have_neither_angle_nor_shift_rule(name):
    with pytest.raises(CircuitError, match="takes no angle"):
        GATES[name].matrix(0.1)
    with pytest.raises(CircuitError, match="neither a generator nor a shift rule"):
        _ = GATES[name].shift_rule


def test_missing_angle():
    with pytest.raises(CircuitError, match="gate RX needs an angle"):
        GATES["RX"].matrix()
