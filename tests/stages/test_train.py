from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from quantum_db.data.encoded import EncodedDataset
from quantum_db.errors import ConfigurationError, QStoreError, StageInputError, StoreError
from quantum_db.models import load_model
from quantum_db.stages.preprocess import PreprocessSpec
from quantum_db.stages.preprocess import run as preprocess
from quantum_db.stages.quantum_encode import QuantumEncodeSpec
from quantum_db.stages.quantum_encode import run as encode
from quantum_db.stages.train import TrainReport, TrainSpec, run
from quantum_db.tracking.address import default_tracking_uri

SETTINGS = {
    "model": "variational", "encoder": "reuploading", "n_qubits": 4, "circuit_depth": 2, "batch_size": 24,
    "epochs": 4, "learning_rate": 0.15,
}  # fmt: skip


def encoded_iris(folder: Path, settings: dict[str, object]) -> Path:
    preprocess(PreprocessSpec("builtin:iris", folder / "train", folder / "test"))
    encode(QuantumEncodeSpec(folder / "train", folder / "test", folder / "encoded", json.dumps(settings)))
    return folder / "encoded"


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Iris encoded for SETTINGS."""
    return encoded_iris(tmp_path_factory.mktemp("iris"), SETTINGS)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One tracking store for all tests."""
    return default_tracking_uri(tmp_path_factory.mktemp("store"))


def spec_of(encoded: Path, out: Path, store: str = "", **options: object) -> TrainSpec:
    settings = {**SETTINGS, **options.pop("settings", {})}
    return TrainSpec(encoded, out / "model", json.dumps(settings), tracking_uri=store, **options)


@pytest.fixture(scope="module")
def trained(encoded, store, tmp_path_factory) -> tuple[TrainSpec, TrainReport]:
    """One finished run with a report."""
    out = tmp_path_factory.mktemp("trained")
    spec = spec_of(encoded, out, store, report_html=out / "report.html")
    return spec, run(spec)


def test_the_model_predicts_what_it_learned(trained):
    spec, report = trained
    saved, data = load_model(spec.model), EncodedDataset.load(spec.encoded_data)
    predicted = saved.predict_proba(data.test_values).argmax(axis=1)
    assert (predicted == data.test_labels).mean() > 0.8
    assert report.accuracy == report.history["accuracy"][-1]
    assert report.loss == report.history["loss"][-1] < report.history["loss"][0]
    assert (report.epochs, report.resumed_at_epoch, report.stopped_early) == (4, 0, False)
    assert (report.parameter_count, report.quantum_parameters) == (24, 24)
    assert report.dead_parameters == len(saved.model.quantum.dead_weights) > 0
    assert saved.digest == report.model_digest
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict() | {"history": dict(report.history)}


def test_the_model_says_how_it_was_made(trained):
    spec, report = trained
    manifest, data = load_model(spec.model).manifest, EncodedDataset.load(spec.encoded_data)
    assert manifest["class_names"] == ["setosa", "versicolor", "virginica"]
    assert manifest["config"]["learning_rate"] == 0.15
    assert not any("key" in name for name in manifest["config"])
    assert manifest["circuit"]["fingerprint"] == data.encoding["circuit_fingerprint"]
    assert manifest["circuit"]["n_qubits"] == 4
    assert manifest["dataset"] == {"name": "builtin:iris", "digest": data.dataset_digest}
    assert manifest["history"] == report.history
    assert {"loss", "accuracy", "grad_norm", "circuit_time_ms"} <= set(manifest["history"])
    assert manifest["versions"]["torch"]
    assert (manifest["run_id"], manifest["mlflow_run_id"]) == (report.run_id, report.mlflow_run_id)
    assert str(spec.model.parent) not in json.dumps(dict(manifest))


def test_golden_predictions_are_those_of_the_raw_examples(trained):
    spec, _ = trained
    saved, data = load_model(spec.model), EncodedDataset.load(spec.encoded_data)
    np.testing.assert_array_equal(saved.golden["inputs"], data.raw_examples)
    found = saved.predict_proba_raw(data.raw_examples)
    np.testing.assert_allclose(found, saved.golden["probabilities"], atol=1e-6)


def test_the_run_is_in_the_store(trained, store):
    _, report = trained
    assert report.tracking_uri == store
    client = MlflowClient(tracking_uri=store)
    recorded = client.get_run(report.mlflow_run_id)
    assert recorded.info.status == "FINISHED"
    assert recorded.data.tags["dataset"] == "builtin:iris"
    losses = client.get_metric_history(report.mlflow_run_id, "train_loss")
    assert [metric.value for metric in losses] == report.history["loss"]


def test_the_report_is_one_file(trained):
    spec, report = trained
    html = spec.report_html.read_text()
    assert html.count("<svg") == 2  # the loss curve and the circuit
    for text in (report.run_id, report.model_digest, "builtin:iris", "cannot move any observable"):
        assert text in html
    loaded = r"<(?:script|link|img|iframe)\b|(?:src|href)=[\"'](?!#|data:)|@import|url\((?!#|[\"']?data:)"
    assert not re.search(loaded, html)


def test_one_seed_one_model(encoded, store, tmp_path, trained):
    _, first = trained
    again, other = (run(spec_of(encoded, tmp_path / str(seed), store, seed=seed)) for seed in (0, 1))
    digests = [load_model(tmp_path / str(seed) / "model").manifest["weights_digest"] for seed in (0, 1)]
    assert digests[0] == load_model(trained[0].model).manifest["weights_digest"] != digests[1]
    assert again.history["loss"] == first.history["loss"] != other.history["loss"]


def test_a_named_run_goes_on_where_it_stopped(encoded, store, tmp_path, trained):
    checkpoints = tmp_path / "kept"
    options = {"checkpoints": checkpoints, "run_id": "mine"}
    first = run(spec_of(encoded, tmp_path / "a", store, settings={"epochs": 2}, **options))
    assert (first.run_id, first.resumed_at_epoch) == ("mine", 0)
    second = run(spec_of(encoded, tmp_path / "b", store, **options))
    assert second.resumed_at_epoch == 2
    assert second.mlflow_run_id == first.mlflow_run_id
    assert second.history["loss"] == trained[1].history["loss"]
    found, wanted = (load_model(path).manifest["weights_digest"] for path in (tmp_path / "b/model", trained[0].model))
    assert found == wanted
    anew = run(spec_of(encoded, tmp_path / "c", store, settings={"epochs": 1}, resume=False, **options))
    assert (anew.resumed_at_epoch, anew.epochs) == (0, 1)
    assert anew.mlflow_run_id != first.mlflow_run_id


def test_a_store_beside_the_model_by_default(encoded, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    report = run(spec_of(encoded, tmp_path, settings={"epochs": 1}))
    assert report.tracking_uri == default_tracking_uri(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["checkpoints", "mlartifacts", "mlflow.db", "model"]
    assert [run_folder.name for run_folder in (tmp_path / "checkpoints").iterdir()] == [report.run_id]


def test_a_store_that_is_away_does_not_stop_training(encoded, tmp_path, trained, monkeypatch):
    from quantum_db.stages import train
    from quantum_db.tracking.buffered_tracker import BufferedTracker

    def impatient(inner: object, spool: Path) -> BufferedTracker:
        return BufferedTracker(inner, spool, start_wait_s=0.1, finish_wait_s=0.1)

    monkeypatch.setattr(train, "BufferedTracker", impatient)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    report = run(spec_of(encoded, tmp_path, "http://127.0.0.1:9", report_html=tmp_path / "r.html"))
    assert report.mlflow_run_id == ""
    assert report.history["loss"] == trained[1].history["loss"]
    (unsent,) = tmp_path.rglob("tracking-unsent.jsonl")
    assert unsent.read_text().count('"metrics"') >= 4
    assert "not recorded: the tracking store did not answer" in (tmp_path / "r.html").read_text()


def test_a_trained_front_learns_from_the_same_stage(tmp_path, store):
    settings = {
        "model": "hybrid",
        "encoder": "angle",
        "n_qubits": 2,
        "circuit_depth": 1,
        "hidden_in": 8,
        "hidden_out": 8,
    }
    encoded = encoded_iris(tmp_path, settings)
    report = run(spec_of(encoded, tmp_path, store, settings={**settings, "epochs": 6}))
    assert report.parameter_count == (4 * 8 + 8) + (8 * 2 + 2) + 6 + (2 * 8 + 8) + (8 * 3 + 3)
    assert report.description.startswith("4 features, trainable classical layers to 2 values")
    assert report.accuracy > 0.6


def refused(spec: TrainSpec, error: type[QStoreError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        run(spec)
    assert caught.value.exit_code == 2
    assert not spec.model.exists()
    assert spec.report_html is None or not spec.report_html.exists()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"circuit_depth": 3}, StageInputError, "encoded for circuit .* give quantum-encode and train the same"),
        ({"measurement_basis": "X"}, StageInputError, "encoded for circuit"),
        ({"encoder": "iqp"}, StageInputError, "encoded for circuit"),
        ({"model": "oracle"}, ConfigurationError, "unknown model 'oracle'; known:"),
        ({"optimizer": "luck"}, ConfigurationError, "unknown optimizer 'luck'; known: "),
        ({"epoch": 3}, ConfigurationError, "unknown setting 'epoch'; known:"),
        ({"seed": 8}, ConfigurationError, "sets seed to 8, but this run's own seed is 0"),
        ({"qpu_target": "qpu.none"}, ConfigurationError, "qpu_target"),
        ({"shots_per_circuit": 9}, ConfigurationError, "use gradient_method 'parameter_shift'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(encoded, tmp_path, settings, error, message):
    refused(spec_of(encoded, tmp_path / "out", settings=settings, report_html=tmp_path / "r.html"), error, message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"qpu_target": "nowhere"}, "unknown qpu target 'nowhere'; known: .*simulator"),
        ({"qpu_target": "qpu.aria-1"}, "qpu.aria-1 is retired; use 'qpu.forte-1'"),
        ({"qpu_target": "qpu.forte-1"}, "on 'qpu.forte-1' use gradient_method 'parameter_shift'"),
        ({"seed": -1}, "seed must be an integer from 0"),
        ({"model_config": "{"}, "the model configuration is not JSON"),
        ({"tracking_uri": "folder/of/runs"}, "is a folder; MLflow keeps runs in a database"),
    ],
)
def test_a_bad_spec_is_refused(encoded, tmp_path, options, message):
    refused(replace(spec_of(encoded, tmp_path / "out"), **options), ConfigurationError, message)
    assert list(tmp_path.iterdir()) == []


def test_a_tracking_address_with_a_login_is_refused_and_not_repeated(encoded, tmp_path):
    spec = spec_of(encoded, tmp_path / "out", "https://ada:hunter2@mlflow.example.org")
    with pytest.raises(ConfigurationError, match="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD") as caught:
        run(spec)
    assert "hunter2" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_address_with_a_login_in_the_environment_is_refused_too(encoded, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://ada:hunter2@mlflow.example.org")
    refused(spec_of(encoded, tmp_path / "out"), ConfigurationError, "carries a user name or password")


def test_missing_and_damaged_data_are_refused(encoded, tmp_path):
    refused(spec_of(tmp_path / "nowhere", tmp_path / "out"), StoreError, "does not exist")
    copy = encoded_iris(tmp_path / "copy", SETTINGS)
    (copy / "train.safetensors").write_bytes((copy / "train.safetensors").read_bytes()[:-1])
    refused(spec_of(copy, tmp_path / "out"), StoreError, "run the quantum-encode stage again")


def test_slots_filled_by_another_release_are_refused(encoded, tmp_path):
    data = EncodedDataset.load(encoded)
    replace(data, train_slots=data.train_slots + 1e-3).save(tmp_path / "encoded", "<svg/>")
    refused(spec_of(tmp_path / "encoded", tmp_path / "out"), StageInputError, "run quantum-encode again")


def test_checkpoints_of_another_configuration_are_refused(encoded, store, tmp_path):
    options = {"checkpoints": tmp_path / "kept", "run_id": "mine"}
    run(spec_of(encoded, tmp_path / "a", store, settings={"epochs": 1}, **options))
    spec = spec_of(encoded, tmp_path / "b", store, settings={"learning_rate": 0.2}, **options)
    refused(spec, StoreError, r"another configuration \(learning_rate was 0\.15, is 0\.2\)")
    (newest,) = (tmp_path / "kept" / "mine").glob("epoch-*")
    (newest / "arrays.safetensors").unlink()
    refused(spec_of(encoded, tmp_path / "b", store, **options), StoreError, "is damaged")
