"""What the bodies of the components give to Kubeflow's pages: metadata, metrics, confusion matrix, ROC curve."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

CONFIG = json.dumps({"epochs": 4, "n_qubits": 3, "circuit_depth": 1, "learning_rate": 0.01})

pytestmark = pytest.mark.slow


def run(name: str, folder: Path, **given: Any) -> dict[str, dsl.Artifact]:
    """Call the body of a component as KFP's executor does: with an artifact for each of its outputs."""
    component = getattr(importlib.import_module(f"components.{name}"), name)
    kinds = {"train_data": dsl.Dataset, "test_data": dsl.Dataset, "encoded_data": dsl.Dataset, "model": dsl.Model}
    kinds |= {"metrics": dsl.Metrics, "classification_metrics": dsl.ClassificationMetrics, "report_html": dsl.HTML}
    outputs = {
        output: kinds.get(output, dsl.Artifact)(name=output, uri=str(folder / name / output))
        for output in component.component_spec.outputs
    }
    component.python_func(**given, **outputs)
    assert Path(outputs["report_html"].path).read_text().startswith("<!DOCTYPE html>")
    for output in outputs.values():
        json.dumps(output.metadata, allow_nan=False)
    return outputs


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, dsl.Artifact]]:
    """The outputs of all stages on a data set of two classes, by stage."""
    folder = tmp_path_factory.mktemp("components")
    store = f"sqlite:///{folder / 'mlflow.db'}"
    data = run("preprocess", folder, dataset="builtin:breast_cancer", n_components=4)
    splits = {name: data[name] for name in ("train_data", "test_data")}
    encoded = run("quantum_encode", folder, **splits, model_config=CONFIG)
    inputs = {"encoded_data": encoded["encoded_data"]}
    planned = run("plan", folder, **inputs, model_config=CONFIG, budget_usd="1")
    trained = run("train", folder, **inputs, model_config=CONFIG, tracking_uri=store)
    evaluated = run("evaluate", folder, **inputs, model=trained["model"], bootstrap_samples=200)
    given = {"model": trained["model"], "evaluation": evaluated["evaluation"]}
    deployed = run("deploy", folder, **given, threshold=1.0, tracking_uri=store)
    return {
        "preprocess": data,
        "encode": encoded,
        "plan": planned,
        "train": trained,
        "evaluate": evaluated,
        "deploy": deployed,
    }


def test_preprocess_says_how_much_data_there_is(made: dict[str, dict[str, dsl.Artifact]]) -> None:
    metrics = made["preprocess"]["metrics"].metadata
    assert metrics == {"train_samples": 455, "test_samples": 114, "features": 4, "classes": 2}
    assert made["preprocess"]["test_data"].metadata["name"] == "builtin:breast_cancer"


def test_quantum_encode_says_what_the_circuit_costs(made: dict[str, dict[str, dsl.Artifact]]) -> None:
    metrics = made["encode"]["metrics"].metadata
    assert metrics["n_qubits"] == 3
    assert metrics["two_qubit_gates"] >= 2
    assert made["encode"]["encoded_data"].metadata["encoder"] == "angle"


def test_plan_says_what_training_takes(made: dict[str, dict[str, dsl.Artifact]]) -> None:
    metrics = made["plan"]["metrics"].metadata
    assert (metrics["usd_low"], metrics["usd_high"]) == (0, 0), "a simulator of this process is free"
    assert metrics["circuits"] == 455 * 4
    plan = json.loads((Path(made["plan"]["plan"].path) / "plan.json").read_text())
    assert plan["circuits_total"] == metrics["circuits"]
    assert plan["fits_budget"] is True


def test_train_gives_the_figures_of_the_last_epoch(made: dict[str, dict[str, dsl.Artifact]]) -> None:
    metrics = made["train"]["metrics"].metadata
    assert metrics["epochs"] == 4
    assert 0.5 < metrics["train_accuracy"] <= 1
    assert made["train"]["model"].metadata["mlflow_run_id"]
    assert made["train"]["model"].metadata["framework"] == "quantum_db"


def test_evaluate_gives_confusion_matrix_and_roc_curve(made: dict[str, dict[str, dsl.Artifact]]) -> None:
    metrics = made["evaluate"]["metrics"].metadata
    assert metrics["accuracy_low"] <= metrics["accuracy"] <= metrics["accuracy_high"]
    shown = made["evaluate"]["classification_metrics"].metadata
    rows = [row["row"] for row in shown["confusionMatrix"]["rows"]]
    assert sum(map(sum, rows)) == 114
    curve = shown["confidenceMetrics"]
    assert (curve[0]["falsePositiveRate"], curve[0]["recall"], curve[0]["confidenceThreshold"]) == (0.0, 0.0, 1.0)
    thresholds = [point["confidenceThreshold"] for point in curve]
    assert thresholds == sorted(thresholds, reverse=True)
    assert (curve[-1]["falsePositiveRate"], curve[-1]["recall"]) == (1.0, 1.0)


def test_the_gate_and_deploy_decide_alike(made: dict[str, dict[str, dsl.Artifact]]) -> None:
    gate = importlib.import_module("components.gate").gate.python_func
    evaluation = made["evaluate"]["evaluation"]
    assert gate(evaluation=evaluation, threshold=1.0) is False
    assert gate(evaluation=evaluation, threshold=0.5) is True
    assert made["deploy"]["deployment"].metadata["deployed"] is False
    assert "below the threshold" in made["deploy"]["deployment"].metadata["reason"]
    assert "latency_ms" not in made["deploy"]["metrics"].metadata
