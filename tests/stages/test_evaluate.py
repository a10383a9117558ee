from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from scipy.stats import binomtest
from sklearn.datasets import load_breast_cancer, load_iris

from quantum_db.circuits.drawing import draw_svg
from quantum_db.data.encoded import EncodedDataset
from quantum_db.data.preprocessing import fit_preprocessing
from quantum_db.data.splitting import stratified_split
from quantum_db.errors import ConfigurationError, StageInputError, StoreError
from quantum_db.models.saved_model import build_model, load_model, write_model
from quantum_db.stages.evaluate import EvaluateReport, EvaluateSpec, predict, run

DIGEST = "ab" * 32


@dataclass(frozen=True)
class Trained:
    """Directories of a quantum model and of the encoded data that it was trained on."""

    model: Path
    encoded: Path

    def spec(self, folder: Path, **changes: Any) -> EvaluateSpec:
        return replace(EvaluateSpec(self.model, self.encoded, folder / "evaluation"), **changes)


def train(folder: Path, source: Any, name: str, n_features: int, epochs: int) -> Trained:
    """Train a variational classifier on the first principal components of a bundled dataset."""
    raw, labels = np.asarray(source.data, dtype=np.float64), np.asarray(source.target, dtype=np.int64)
    raw_names = tuple(map(str, source.feature_names))
    class_names = tuple(map(str, source.target_names))
    inside, outside = stratified_split(labels, 0.3, seed=0)
    preprocessing = fit_preprocessing(raw[inside], raw_names, scaling="minmax", n_components=n_features)
    values = preprocessing.transform(raw)
    arguments = {
        "input_dim": values.shape[1], "n_qubits": 4, "output_dim": len(class_names), "circuit_depth": 2,
        "encoder": "reuploading", "seed": 0, "dtype": "float64",
    }  # fmt: skip
    spec = {"kind": "variational", "arguments": arguments}
    model = build_model(spec)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    history: dict[str, list[float]] = {"loss": []}
    for _ in range(epochs):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            model(torch.as_tensor(values[inside])), torch.as_tensor(labels[inside])
        )
        loss.backward()
        optimizer.step()
        history["loss"].append(float(loss.detach()))
    details = {
        "class_names": list(class_names),
        "dataset": {"name": name, "digest": DIGEST},
        "circuit": {"fingerprint": model.quantum.circuit.fingerprint},
        "history": history,
        "run_id": "run-7",
    }
    write_model(folder / "model", model, spec, preprocessing, raw[inside], details)
    EncodedDataset(
        train_values=values[inside],
        train_labels=labels[inside],
        test_values=values[outside],
        test_labels=labels[outside],
        train_slots=None,
        test_slots=None,
        raw_examples=raw[inside][:8],
        class_names=class_names,
        feature_names=preprocessing.feature_names,
        preprocessing=preprocessing,
        encoding={"circuit_fingerprint": model.quantum.circuit.fingerprint},
        dataset_name=name,
        dataset_digest=DIGEST,
        seed=0,
    ).save(folder / "encoded", draw_svg(model.quantum.circuit))
    return Trained(folder / "model", folder / "encoded")


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tmp_path_factory.mktemp("iris"), load_iris(), "builtin:iris", n_features=4, epochs=40)


@pytest.fixture(scope="module")
def evaluated(iris: Trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, EvaluateReport]:
    folder = tmp_path_factory.mktemp("evaluated")
    return folder, run(iris.spec(folder, report_html=folder / "copy.html"))


def altered(trained: Trained, folder: Path, **changes: Any) -> Trained:
    """The same model with other encoded data."""
    replace(EncodedDataset.load(trained.encoded), **changes).save(
        folder / "encoded", (trained.encoded / "circuit.svg").read_text()
    )
    return Trained(trained.model, folder / "encoded")


def test_figures_follow_from_the_stored_predictions(iris: Trained, evaluated: tuple[Path, EvaluateReport]) -> None:
    folder, report = evaluated
    stored = load_file(folder / "evaluation" / "predictions.safetensors")
    data = EncodedDataset.load(iris.encoded)
    assert np.array_equal(stored["labels"], data.test_labels)
    assert np.allclose(stored["probabilities"], load_model(iris.model).predict_proba(data.test_values), atol=1e-12)
    assert np.array_equal(stored["predictions"], stored["probabilities"].argmax(axis=1))
    correct = stored["predictions"] == data.test_labels
    assert report.n_test == 45
    assert report.accuracy == correct.mean()
    assert report.accuracy_low <= report.accuracy <= report.accuracy_high
    matrix = np.array(report.confusion_matrix)
    assert np.trace(matrix) == correct.sum()
    assert matrix.sum(axis=1).tolist() == [15, 15, 15]
    precision, recall = np.diag(matrix) / matrix.sum(axis=0), np.diag(matrix) / matrix.sum(axis=1)
    assert report.f1_macro == pytest.approx(np.mean(2 * precision * recall / (precision + recall)))


def test_quantum_model_and_baselines_learned_iris(evaluated: tuple[Path, EvaluateReport]) -> None:
    _, report = evaluated
    assert report.accuracy >= 0.85
    assert [row["name"] for row in report.baselines] == ["Logistic regression", "RBF-SVC", "MLP of equal size"]
    assert all(row["accuracy"] >= 0.85 and row["converged"] for row in report.baselines)
    # 2 layers of RX RY RZ on 4 qubits; an MLP 4-h-3 has 8 h + 3 parameters.
    assert report.parameter_count == 24
    assert report.baselines[2]["parameters"] == 27


def test_every_baseline_is_compared_sample_by_sample(evaluated: tuple[Path, EvaluateReport]) -> None:
    folder, report = evaluated
    stored = load_file(folder / "evaluation" / "predictions.safetensors")
    ours = stored["predictions"] == stored["labels"]
    for index, row in enumerate(report.baselines):
        theirs = stored[f"baseline_{index}"] == stored["labels"]
        assert row["accuracy"] == theirs.mean()
        assert (row["only_model_right"], row["only_baseline_right"]) == ((ours & ~theirs).sum(), (theirs & ~ours).sum())
        n = int((ours != theirs).sum())
        assert row["p_value"] == pytest.approx(binomtest(row["only_model_right"], n).pvalue if n else 1.0)
        assert row["p_value"] <= row["p_value_adjusted"] <= 1.0
    best = max(report.baselines, key=lambda row: row["accuracy"])
    assert (report.best_baseline, report.best_baseline_accuracy) == (best["name"], best["accuracy"])
    assert report.comparison in ("better", "worse", "no significant difference")
    assert report.best_baseline in report.sentence


def test_the_report_on_disk_is_the_report(evaluated: tuple[Path, EvaluateReport]) -> None:
    folder, report = evaluated
    stored = json.loads((folder / "evaluation" / "evaluation.json").read_text())
    assert stored == json.loads(json.dumps(report.to_dict()))
    assert stored["schema_version"] == 1
    assert stored["roc"] is None
    assert stored["model_digest"]
    assert stored["run_id"] == "run-7"


def test_the_page_shows_what_a_person_needs(evaluated: tuple[Path, EvaluateReport]) -> None:
    folder, report = evaluated
    html = (folder / "evaluation" / "report.html").read_text()
    assert html == (folder / "copy.html").read_text()
    assert report.sentence.replace(" %", "\u00a0%") in html
    for label in ("The circuit of the quantum model", "Training over 40 epochs", "Test samples by true and predicted"):
        assert label in html
    assert html.count("<svg") == 4
    assert "http:" not in html
    assert "https:" not in html


def test_the_same_seed_gives_the_same_evaluation(
    iris: Trained, evaluated: tuple[Path, EvaluateReport], tmp_path: Path
) -> None:
    again = run(iris.spec(tmp_path)).to_dict()
    first = evaluated[1].to_dict()
    for data in (again, first):
        for row in (data, *data["baselines"]):
            del row["seconds"]
    assert again == first


def test_two_classes_have_a_roc_curve(tmp_path: Path) -> None:
    source = load_breast_cancer()
    source.data, source.target = source.data[:250], source.target[:250]
    report = run(train(tmp_path, source, "builtin:breast_cancer", n_features=4, epochs=25).spec(tmp_path))
    assert report.roc is not None
    assert report.roc["auc"] >= 0.9
    fpr, tpr = np.array(report.roc["fpr"]), np.array(report.roc["tpr"])
    assert np.trapezoid(tpr, fpr) == pytest.approx(report.roc["auc"])
    assert "Area under ROC" in (tmp_path / "evaluation" / "report.html").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset_digest": "cd" * 32}, "trained on dataset 'builtin:iris' .digest abababababab."),
        ({"class_names": ("a", "b", "c")}, "knows the classes .'setosa', 'versicolor', 'virginica'."),
        ({"encoding": {"circuit_fingerprint": "ef" * 32}}, "data was encoded for circuit efefefefefef;"),
        ({"test_values": np.zeros((0, 4)), "test_labels": np.zeros(0, dtype=np.int64)}, "has no test rows"),
    ],
)
def test_other_data_is_refused_and_nothing_is_written(
    iris: Trained, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    other = altered(iris, tmp_path, **changes)
    with pytest.raises(StageInputError, match=message):
        run(other.spec(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoded"]


def test_other_preprocessing_is_refused(iris: Trained, tmp_path: Path) -> None:
    data = EncodedDataset.load(iris.encoded)
    other = fit_preprocessing(load_iris().data, data.preprocessing.raw_feature_names, scaling="standard")
    with pytest.raises(StageInputError, match="preprocessed in another way"):
        run(altered(iris, tmp_path, preprocessing=other).spec(tmp_path))


def test_answers_that_are_no_probabilities_are_refused(iris: Trained) -> None:
    diverged = torch.nn.Linear(4, 3, dtype=torch.float64)
    torch.nn.init.constant_(diverged.weight, float("inf"))
    model = replace(load_model(iris.model), model=diverged)
    with pytest.raises(StageInputError, match="for test row 0, which are not probabilities; its training has diverged"):
        predict(model, EncodedDataset.load(iris.encoded))
    model = replace(model, model=torch.nn.Linear(4, 2, dtype=torch.float64))
    with pytest.raises(StageInputError, match=r"probabilities of shape \(45, 2\), expected \(45, 3\)"):
        predict(model, EncodedDataset.load(iris.encoded))


def test_missing_and_damaged_inputs_are_refused(iris: Trained, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        run(iris.spec(tmp_path, model=tmp_path / "nothing"))
    with pytest.raises(StoreError):
        run(iris.spec(tmp_path, encoded_data=tmp_path / "nothing"))
    assert list(tmp_path.iterdir()) == []


def test_inputs_are_never_replaced_by_the_output(iris: Trained) -> None:
    for target in (iris.model, iris.model.parent):
        with pytest.raises(StageInputError, match="would replace the input"):
            iris.spec(Path(), evaluation=target)


def test_bad_options_are_refused(iris: Trained, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="bootstrap_samples is 10"):
        iris.spec(tmp_path, bootstrap_samples=10)
    with pytest.raises(ConfigurationError, match="seed must be an integer"):
        iris.spec(tmp_path, seed=-1)
