"""What a finished run leaves, without running one: a perfect model, and any MLflow store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from quantum_db.commands.pipeline_results import collect, summary
from quantum_db.errors import DeploymentError
from quantum_db.models import load_model

PERFECT = {
    "accuracy": 1.0, "accuracy_low": 1.0, "accuracy_high": 1.0, "accuracy_wilson_low": 0.8862,
    "accuracy_wilson_high": 1.0,
}  # fmt: skip


@pytest.fixture
def run(iris_model: Path, tmp_path: Path) -> dict[str, Any]:
    """A run up to the evaluation, and what the program that ran it reports."""
    folder = tmp_path / "out" / "artifacts" / "training-1"
    shutil.copytree(iris_model, folder / "train" / "model")
    baseline = {**PERFECT, "name": "svc", "accuracy": 0.967, "accuracy_low": 0.9, "accuracy_high": 1.0}
    evaluation = {
        **PERFECT, "n_test": 30, "baselines": [baseline], "best_baseline": "svc", "best_baseline_accuracy": 0.967,
        "sentence": "No significant difference.",
    }  # fmt: skip
    (folder / "evaluate" / "evaluation").mkdir(parents=True)
    (folder / "evaluate" / "evaluation" / "evaluation.json").write_text(json.dumps(evaluation))
    (folder / "evaluate" / "report_html").write_text("<html>")
    return {"folder": str(folder), "tasks": [{"name": "evaluate", "seconds": 1.0}]}


def deployed(run: dict[str, Any], **values: Any) -> dict[str, Any]:
    """The same run after its deployment."""
    folder = Path(run["folder"]) / "deploy" / "deployment"
    folder.mkdir(parents=True)
    content = {"schema_version": 1, "deployed": True, "reason": "good", "version": "3", **values}
    (folder / "deployment.json").write_text(json.dumps(content))
    return {**run, "tasks": [*run["tasks"], {"name": "deploy", "seconds": 1.0}]}


def parameters(uri: str) -> dict[str, Any]:
    return {"dataset": "builtin:iris", "threshold": 0.9, "require_better": False, "tracking_uri": uri}


def test_a_perfect_score_has_an_interval_with_width(run: dict[str, Any], tmp_path: Path, iris_model: Path) -> None:
    output = tmp_path / "out"
    result = collect(deployed(run), parameters("http://mlflow:5000"), output)
    assert (result["accuracy_low"], result["accuracy_wilson_low"], result["accuracy_wilson_high"]) == (1.0, 0.8862, 1.0)
    assert result["weights_digest"] == load_model(iris_model).manifest["weights_digest"]
    text = summary(result, output)
    assert "Accuracy   100.0 % on 30 test samples (95 % interval 88.6 % to 100.0 %, Wilson)" in text
    assert f"weights {result['weights_digest'][:16]}" in text
    page = (output / "report" / "index.html").read_text()
    assert "88.6 % to 100.0 %, Wilson" in page
    assert "90.0 % to 100.0 %<" in page  # the baseline's own


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("http://mlflow:5000", "MLflow     http://mlflow:5000\n             open it in a browser"),
        ("postgresql://db/mlflow", "--backend-store-uri postgresql://db/mlflow"),
        ("sqlite:////elsewhere/my.db", "--backend-store-uri sqlite:////elsewhere/my.db"),
    ],
)
def test_the_store_that_was_used_is_named(run: dict[str, Any], tmp_path: Path, uri: str, said: str) -> None:
    result = collect(deployed(run), parameters(uri), tmp_path / "out")
    assert result["tracking_uri"] == uri
    text = summary(result, tmp_path / "out")
    assert said in text
    assert "out/mlflow.db" not in text
    assert uri in (tmp_path / "out" / "report" / "index.html").read_text()


def test_a_model_that_passed_the_gate_and_was_not_deployed_is_an_error(run: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="the gate let the model pass"):
        collect(run, parameters("http://mlflow:5000"), tmp_path / "out")
