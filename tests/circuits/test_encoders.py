import json

import numpy as np
import pytest

from quantum_db.circuits.encoders import ENCODERS, encoder_from_spec
from quantum_db.circuits.encoders.amplitude import AmplitudeEncoder
from quantum_db.circuits.encoders.angle import AngleEncoder
from quantum_db.circuits.encoders.basis import BasisEncoder
from quantum_db.circuits.encoders.iqp import IQPEncoder
from quantum_db.circuits.encoders.reuploading import ReuploadingEncoder
from quantum_db.errors import CircuitError, ConfigurationError, StageInputError

ALL = [
    AngleEncoder(3, 2, "X", 1.0),
    AmplitudeEncoder(3, 6, complex_amplitudes=True),
    BasisEncoder(3, 3),
    IQPEncoder(3, 3, 1, "linear"),
    ReuploadingEncoder(2, 5),
]


@pytest.mark.parametrize("encoder", ALL, ids=lambda encoder: encoder.name)
class TestEveryEncoder:
    def test_spec_survives_json(self, encoder):
        assert encoder_from_spec(json.loads(json.dumps(encoder.spec()))) == encoder

    def test_slots_of_the_circuit_are_those_that_are_filled(self, encoder):
        features = np.ones((2, encoder.n_features))
        slots = encoder.slot_values(features)
        assert slots.shape == (2, encoder.circuit().n_features)
        used = {o.slot.index for o in encoder.circuit().operations if o.slot is not None}
        assert used == set(range(slots.shape[1]))
        assert encoder.circuit().n_qubits == encoder.n_qubits

    def test_batch_of_one_and_rows_do_not_mix(self, encoder):
        features = np.zeros((2, encoder.n_features))
        features[:, 0] = 1
        features[1, -1] = 1
        both = encoder.slot_values(features)
        for row in range(2):
            np.testing.assert_array_equal(encoder.slot_values(features[row : row + 1])[0], both[row])

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_not_a_number(self, encoder, value):
        features = np.ones((3, encoder.n_features))
        features[2, 1] = value
        with pytest.raises(StageInputError, match=rf"feature 1 of row 2 is {value}"):
            encoder.slot_values(features)

    @pytest.mark.parametrize("extra", [-1, 1])
    def test_wrong_number_of_features(self, encoder, extra):
        with pytest.raises(StageInputError, match="takes features of shape"):
            encoder.slot_values(np.ones((1, encoder.n_features + extra)))
        with pytest.raises(StageInputError, match="takes features of shape"):
            encoder.slot_values(np.ones(encoder.n_features))


@pytest.mark.parametrize("encoder", [AngleEncoder(2, 2), IQPEncoder(2, 2), ReuploadingEncoder(2, 2)])
def test_domain(encoder):
    encoder.slot_values([[-1.0, 1.0], [1 + 1e-12, 0]])
    with pytest.raises(StageInputError, match=r"feature 1 of row 0 is 1.01, outside the domain \[-1, 1\]"):
        encoder.slot_values([[0.0, 1.01]])


@pytest.mark.parametrize("value", [0.5, -1, 2, 1 - 1e-10])
def test_basis_takes_bits_only(value):
    with pytest.raises(StageInputError, match=r"only 0 and 1|outside the domain"):
        BasisEncoder(2, 2).slot_values([[0, value]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AngleEncoder(2, 3), r"on 2 qubit\(s\) holds 2 feature\(s\), but the data have 3"),
        (lambda: BasisEncoder(2, 3), "holds 2"),
        (lambda: IQPEncoder(2, 3), "holds 2"),
        (lambda: AmplitudeEncoder(2, 5), "holds 4"),
        (lambda: AmplitudeEncoder(2, 10, complex_amplitudes=True), "holds 8"),
        (lambda: AngleEncoder(2, 2, "W"), "axis of the angle encoder is X, Y or Z, got 'W'"),
        (lambda: AngleEncoder(2, 2, "Y", np.pi), "below pi"),
        (lambda: AngleEncoder(2, 2, "Y", 0.0), "above 0"),
        (lambda: ReuploadingEncoder(2, 2, 3.2), r"in \(0, pi\), got 3.2"),
        (lambda: IQPEncoder(2, 2, 0), "at least one repetition"),
    ],
)
def test_surplus_features_and_wrong_options(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_unknown_names_and_options():
    with pytest.raises(
        ConfigurationError, match=r"unknown encoder 'angel'; known: amplitude, angle, basis, iqp, reuploading"
    ):
        ENCODERS.require("angel")
    with pytest.raises(
        ConfigurationError, match=r"wrong options for the angle encoder.*it knows: n_qubits, n_features, axis, scale"
    ):
        encoder_from_spec({"name": "angle", "n_qubits": 2, "n_features": 2, "axes": "X"})
    with pytest.raises(CircuitError, match="at least one qubit and one feature"):
        AngleEncoder(2, 0)


def test_only_reuploading_comes_before_every_layer():
    assert [encoder.name for encoder in ALL if encoder.reuploads] == ["reuploading"]


def test_reuploading_uses_every_feature():
    for n_features in range(1, 9):
        circuit = ReuploadingEncoder(3, n_features).circuit()
        assert sorted(o.slot.index for o in circuit.operations) == list(range(n_features))
