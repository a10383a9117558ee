import pytest

from quantum_db.circuits.observables import PauliString
from quantum_db.errors import CircuitError
from quantum_db.models.layout import encoder_width, has_trained_front, measured_observables


@pytest.mark.parametrize(
    ("kind", "encoder", "width", "front"),
    [
        ("hybrid", "angle", 4, True),
        ("quantum", "angle", 4, True),
        ("quantum", "iqp", 4, True),
        ("quantum", "amplitude", 10, False),
        ("quantum", "reuploading", 10, False),
        ("variational", "reuploading", 10, False),
    ],
)
def test_ten_features_on_four_qubits(kind, encoder, width, front):
    assert encoder_width(kind, encoder, 10, 4) == width
    assert has_trained_front(kind, encoder, 10, 4) is front


def test_a_quantum_model_does_not_reduce_what_fits():
    assert encoder_width("quantum", "angle", 3, 4) == 3
    assert not has_trained_front("quantum", "angle", 3, 4)


def test_a_variational_model_reads_classes_from_qubits_then_pairs():
    found = measured_observables("variational", 3, 5, "X")
    assert found == tuple(map(PauliString.of, ("X0", "X1", "X2", "X0 X1", "X0 X2")))
    assert measured_observables("hybrid", 3, 5, "Z") == tuple(map(PauliString.of, ("Z0", "Z1", "Z2")))


def test_more_classes_than_observables_are_refused():
    assert len(measured_observables("variational", 3, 6, "Z")) == 6
    with pytest.raises(CircuitError, match="7 classes need 7 observables, but 3 qubits give 6"):
        measured_observables("variational", 3, 7, "Z")
