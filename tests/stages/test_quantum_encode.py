from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from quantum_db.circuits.encoders import encoder_from_spec
from quantum_db.data.dataset import Dataset
from quantum_db.data.encoded import EncodedDataset
from quantum_db.errors import ConfigurationError, QStoreError, StageInputError, StoreError
from quantum_db.models.saved_model import build_model
from quantum_db.simulation.statevector import expectation_values, simulate
from quantum_db.stages import STAGES
from quantum_db.stages.preprocess import PreprocessSpec
from quantum_db.stages.preprocess import run as preprocess
from quantum_db.stages.quantum_encode import QuantumEncodeReport, QuantumEncodeSpec, run
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.model_spec import model_spec
from quantum_db.training.step import quantum_layers

VARIATIONAL = {"model": "variational", "encoder": "reuploading", "n_qubits": 3, "circuit_depth": 2}
HYBRID = {"model": "hybrid", "n_qubits": 3, "circuit_depth": 1}
DIRECT = [
    VARIATIONAL,
    {"model": "variational", "encoder": "iqp", "n_qubits": 4, "circuit_depth": 1},
    {"model": "quantum", "encoder": "amplitude", "n_qubits": 2, "circuit_depth": 1},
    {"model": "quantum", "encoder": "angle", "n_qubits": 5, "encoder_options": {"axis": "X"}},
]


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a preprocess run on iris: train and test."""
    folder = tmp_path_factory.mktemp("iris")
    preprocess(PreprocessSpec("builtin:iris", folder / "train", folder / "test", seed=2))
    return folder


def spec_of(iris: Path, out: Path, settings: dict[str, object], **options: object) -> QuantumEncodeSpec:
    return QuantumEncodeSpec(iris / "train", iris / "test", out / "encoded", json.dumps(settings), **options)


def results(spec: QuantumEncodeSpec) -> tuple[QuantumEncodeReport, EncodedDataset]:
    return run(spec), EncodedDataset.load(spec.encoded_data)


def test_both_splits_are_kept_as_they_came(iris, tmp_path):
    report, encoded = results(spec_of(iris, tmp_path, VARIATIONAL, seed=4))
    train, test = Dataset.load(iris / "train"), Dataset.load(iris / "test")
    for part, dataset in (("train", train), ("test", test)):
        np.testing.assert_array_equal(getattr(encoded, f"{part}_values"), dataset.features)
        np.testing.assert_array_equal(getattr(encoded, f"{part}_labels"), dataset.labels)
    np.testing.assert_array_equal(encoded.raw_examples, train.raw_examples)
    assert encoded.preprocessing == train.preprocessing
    assert (encoded.dataset_name, encoded.seed) == ("builtin:iris", 4)
    assert (report.n_train, report.n_test, report.n_inputs) == (120, 30, 4)
    assert (encoded.class_names, encoded.feature_names) == (train.class_names, train.feature_names)


@pytest.mark.parametrize("settings", DIRECT, ids=lambda settings: settings["encoder"])
def test_the_slots_are_those_of_the_layer_that_will_be_trained(iris, tmp_path, settings):
    report, encoded = results(spec_of(iris, tmp_path, settings))
    config = QuantumTrainingConfig.from_dict({**settings, "precision": "complex128"})
    model = build_model(model_spec(config, 4, 3))
    (layer,) = quantum_layers(model)
    assert encoded.encoding["circuit_fingerprint"] == layer.circuit.fingerprint == report.fingerprint
    assert encoded.encoding["filled_by"] == "encoder"
    assert not report.trained_front
    for values, slots in ((encoded.train_values, encoded.train_slots), (encoded.test_values, encoded.test_slots)):
        np.testing.assert_array_equal(slots, layer.encoder.slot_values(values))
    assert encoder_from_spec(encoded.encoding["encoder"]) == layer.encoder
    # running the stored circuit on the stored slots gives what the layer gives for the features
    states = simulate(layer.circuit, layer.weights, torch.as_tensor(encoded.test_slots))
    found = expectation_values(states, layer.circuit.observables)
    torch.testing.assert_close(found, layer(torch.as_tensor(encoded.test_values)), atol=1e-12, rtol=0)


def test_slots_behind_trained_layers_are_not_stored(iris, tmp_path):
    report, encoded = results(spec_of(iris, tmp_path, HYBRID))
    assert report.trained_front
    assert encoded.train_slots is None
    assert encoded.test_slots is None
    assert encoded.encoding["filled_by"] == "classical layers"


def test_the_statistics_are_those_of_the_circuit(iris, tmp_path):
    report, encoded = results(spec_of(iris, tmp_path, {**HYBRID, "circuit_depth": 2, "entanglement_pattern": "full"}))
    # 3 encoding rotations, then twice 9 rotations and 3 CNOTs
    assert (report.one_qubit_gates, report.two_qubit_gates, report.n_weights, report.n_slots) == (21, 6, 18, 3)
    statistics = encoded.encoding["statistics"]
    assert statistics["gates"] == {"CNOT": 6, "RX": 6, "RY": 9, "RZ": 6}
    assert statistics["entanglement_map"] == [[0, 1], [0, 2], [1, 2]]
    assert statistics["observables"] == ["Z0", "Z1", "Z2"]
    assert statistics["dead_weights"] == [11, 14, 17]
    assert report.dead_weights == 3
    # RY RX RY RZ and three CNOTs that follow one another, then again without the encoder
    assert (report.n_qubits, report.depth) == (3, 4 + 3 + 3 + 3)
    assert json.loads(json.dumps(report.to_dict()))["encoder"] == "angle"


def test_the_drawing_and_the_report(iris, tmp_path):
    spec = spec_of(iris, tmp_path, HYBRID, report_html=tmp_path / "report.html")
    report = run(spec)
    svg = (spec.encoded_data / "circuit.svg").read_text()
    assert svg.lstrip().startswith(("<svg", "<?xml"))
    html = spec.report_html.read_text()
    assert "<svg" in html
    assert report.fingerprint in html
    assert "decided in training and not stored here" in html
    assert not re.search(
        r"<(?:script|link|img|iframe)\b|(?:src|href)=[\"'](?!#|data:)|@import|url\((?!#|[\"']?data:)", html
    )


def test_one_input_gives_one_output(iris, tmp_path):
    for name in ("a", "b"):
        run(spec_of(iris, tmp_path / name, VARIATIONAL))
    for file in ("encoding.json", "train.safetensors", "test.safetensors", "circuit.svg"):
        assert (tmp_path / "a/encoded" / file).read_bytes() == (tmp_path / "b/encoded" / file).read_bytes(), file


def refused(spec: QuantumEncodeSpec, error: type[QStoreError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        run(spec)
    assert caught.value.exit_code == 2
    assert not spec.encoded_data.exists()
    assert not spec.encoded_data.parent.exists() or not list(spec.encoded_data.parent.iterdir())


def test_splits_in_the_wrong_order_are_refused(iris, tmp_path):
    spec = QuantumEncodeSpec(iris / "test", iris / "train", tmp_path / "out" / "encoded")
    refused(spec, StageInputError, "train_data holds the split 'test' and test_data 'train'")
    spec = QuantumEncodeSpec(iris / "train", iris / "train", tmp_path / "out" / "encoded")
    refused(spec, StageInputError, "give the training split first")


def test_splits_of_different_runs_are_refused(iris, tmp_path):
    for name, options in (("seed", {"seed": 9}), ("scaling", {"seed": 2, "scaling": "standard"})):
        other = tmp_path / name
        preprocess(PreprocessSpec("builtin:iris", other / "train", other / "test", **options))
        spec = QuantumEncodeSpec(iris / "train", other / "test", tmp_path / "out" / "encoded")
        refused(spec, StageInputError, "come from different preprocess runs")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"encoder": "qram"}, ConfigurationError, "unknown encoder 'qram'; known:"),
        ({"n_qubit": 3}, ConfigurationError, "unknown setting 'n_qubit'; known:"),
        ({"seed": 3}, ConfigurationError, "sets seed to 3, but this run's own seed is 0"),
        ({"ionq_api_key": "s3cret"}, ConfigurationError, "ionq_api_key is no training setting"),
        ({"encoder_options": {"axis": "Q"}}, ConfigurationError, "axis of the angle encoder"),
        ({"model": "variational", "n_qubits": 3}, ConfigurationError, r"holds 3 feature\(s\), but the data have 4"),
        (
            {"model": "variational", "n_qubits": 1, "encoder": "reuploading"},
            QStoreError,
            "3 classes need 3 observables",
        ),
        ({"model": "variational", "encoder": "basis"}, StageInputError, "basis encoder takes only 0 and 1|outside"),
    ],
)
def test_settings_that_cannot_be_encoded_with(iris, tmp_path, settings, error, message):
    refused(spec_of(iris, tmp_path / "out", settings), error, message)


def test_features_outside_the_domain_are_refused(tmp_path):
    preprocess(PreprocessSpec("builtin:iris", tmp_path / "train", tmp_path / "test", scaling="standard"))
    spec = spec_of(tmp_path, tmp_path / "out", {"model": "variational", "n_qubits": 4})
    refused(spec, StageInputError, r"outside the domain \[-1, 1\] of the angle encoder")


def test_missing_and_damaged_data_are_refused(iris, tmp_path):
    refused(spec_of(tmp_path, tmp_path / "out", {}), StoreError, "does not exist|no dataset")
    preprocess(PreprocessSpec("builtin:iris", tmp_path / "train", tmp_path / "test"))
    (tmp_path / "train" / "samples.safetensors").write_bytes(b"torn")
    refused(spec_of(tmp_path, tmp_path / "out", {}), StoreError, "train")


def test_an_error_leaves_an_earlier_output_alone(iris, tmp_path):
    run(spec_of(iris, tmp_path, VARIATIONAL))
    before = (tmp_path / "encoded" / "encoding.json").read_bytes()
    with pytest.raises(ConfigurationError):
        run(spec_of(iris, tmp_path, {"encoder": "qram"}))
    assert (tmp_path / "encoded" / "encoding.json").read_bytes() == before


def test_the_digest_is_that_of_both_splits(iris, tmp_path):
    """A test row that changes makes another dataset, so that no evaluation is taken for one of other rows."""
    digests = [run_digest(iris, tmp_path / "a"), run_digest(iris, tmp_path / "b")]
    test = Dataset.load(iris / "test")
    order = np.arange(test.n_samples)[::-1]
    changed = replace(test, features=test.features[order].copy(), labels=test.labels[order].copy())
    changed.save(tmp_path / "test")
    spec = QuantumEncodeSpec(iris / "train", tmp_path / "test", tmp_path / "c", json.dumps(VARIATIONAL))
    digests.append(results(spec)[1].dataset_digest)
    assert digests[0] == digests[1] != digests[2]


def run_digest(iris: Path, out: Path) -> str:
    return results(spec_of(iris, out, VARIATIONAL))[1].dataset_digest


def test_the_stage_is_in_the_table():
    assert STAGES.load("quantum-encode") is run


def test_splits_of_two_runs_are_refused_even_with_equal_preprocessing(tmp_path):
    for seed in (1, 2):
        folders = {"train_data": tmp_path / f"train-{seed}", "test_data": tmp_path / f"test-{seed}"}
        preprocess(PreprocessSpec(dataset="builtin:iris", scaling="none", seed=seed, **folders))
    with pytest.raises(StageInputError, match="rows may be in both"):
        run(QuantumEncodeSpec(tmp_path / "train-1", tmp_path / "test-2", tmp_path / "encoded"))
    assert not (tmp_path / "encoded").exists()
