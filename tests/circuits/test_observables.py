import numpy as np
import pytest

from quantum_db.circuits import PauliString, class_observables, single_qubit
from quantum_db.circuits.observables import as_observables, qubit_wise_commuting_groups
from quantum_db.errors import CircuitError


def test_reading_and_writing():
    assert PauliString.of("Y2 X0").factors == ((0, "X"), (2, "Y"))
    assert str(PauliString.of("Y2 X0", -0.5)) == "-0.5 X0 Y2"
    assert str(PauliString.of("I")) == str(PauliString.of("")) == "I"
    assert PauliString.of("Z1 Z12").wires == (1, 12)
    assert as_observables(["Z0", PauliString.of("X1")]) == (PauliString.of("Z0"), PauliString.of("X1"))


@pytest.mark.parametrize("text", ["Q0", "Z", "0Z", "Z-1", "Z0 Z0", "ZZ", "Z0,Z1", "z0"])
def test_malformed(text):
    with pytest.raises(CircuitError, match=r"Pauli factors|cannot read"):
        PauliString.of(text)


def test_coefficient_must_be_finite():
    with pytest.raises(CircuitError, match="finite, got nan"):
        PauliString.of("Z0", float("nan"))


def test_matrix_has_qubit_0_as_most_significant():
    np.testing.assert_array_equal(PauliString.of("Z0").matrix(2), np.diag([1, 1, -1, -1]))
    np.testing.assert_array_equal(PauliString.of("Z1", 3.0).matrix(2), np.diag([3, -3, 3, -3]))


def test_class_observables_are_singles_then_pairs():
    assert list(map(str, class_observables(3, 5))) == ["Z0", "Z1", "Z2", "Z0 Z1", "Z0 Z2"]
    assert list(map(str, single_qubit(2, "X"))) == ["X0", "X1"]
    assert len(class_observables(4, 10)) == 10
    with pytest.raises(CircuitError, match="11 classes need 11 observables, but 4 qubits give 10"):
        class_observables(4, 11)


def test_groups_that_share_a_basis():
    observables = as_observables(["Z0", "Z0 Z1", "X0", "X0 Y2", "Y2", "I", "X1"])
    assert qubit_wise_commuting_groups(observables) == ((0, 1, 4, 5), (2, 3, 6))
    assert qubit_wise_commuting_groups(single_qubit(8)) == (tuple(range(8)),)
    assert qubit_wise_commuting_groups(()) == ()
