"""The compiled pipeline, run for real on iris: deployed above the threshold, refused below it, stopped on bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import pytest

from pipelines.local_run import run_pipeline
from quantum_db.models import load_model

ROOT = Path(__file__).resolve().parents[2]
RESULT = {
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "accuracy_wilson_low",
    "accuracy_wilson_high",
    "best_baseline",
    "best_baseline_accuracy",
    "deployed",
    "reason",
    "model",
    "report",
    "seconds",
    "tracking_uri",
    "weights_digest",
}
# Choices that the stages must get.
OTHER = ("--scaling", "standard", "--duplicates", "drop", "--test-fraction", "0.3", "--require-better")

pytestmark = pytest.mark.slow


def pipeline_run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quantum_db.cli", "pipeline", "run", "--dataset", "builtin:iris", *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # KFP's runner replaces "python3" in its arguments and does not quote spaces: both must do no harm.
    return tmp_path_factory.mktemp("python3 runs")


@pytest.fixture(scope="module")
def deployed(folder: Path) -> subprocess.CompletedProcess[str]:
    """A run that passes the gate."""
    config = {"epochs": 8, "n_qubits": 4, "circuit_depth": 2}
    return pipeline_run(
        folder, "--model-config", json.dumps(config), "--threshold", "0.8", "--output", "iris", "--json", "--seed", "3"
    )


@pytest.fixture(scope="module")
def refused(folder: Path, deployed: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """A run after it, into the same folder, with a model that has learned next to nothing."""
    config = {"epochs": 1, "n_qubits": 2, "circuit_depth": 1, "learning_rate": 1e-5}
    return pipeline_run(folder, "--model-config", json.dumps(config), "--threshold", "1", "--output", "iris", *OTHER)


def result_of(run: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return json.loads(run.stdout.splitlines()[-1])


def champion(folder: Path) -> Any:
    uri = f"sqlite:///{folder / 'iris' / 'mlflow.db'}"
    return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri).get_model_version_by_alias("q-store", "champion")


def test_a_good_model_is_deployed(folder: Path, deployed: subprocess.CompletedProcess[str]) -> None:
    assert deployed.returncode == 0, deployed.stderr
    result = result_of(deployed)
    assert set(result) == RESULT
    assert result["deployed"] is True
    assert 0.8 <= result["accuracy_low"] <= result["accuracy"] <= result["accuracy_high"] <= 1
    assert "threshold 80 %" in result["reason"]
    assert result["tracking_uri"] == f"sqlite:///{folder / 'iris' / 'mlflow.db'}"
    assert len(result["weights_digest"]) == 64
    # Deploy really ran: MLflow has the version, and the alias is on it.
    assert str(champion(folder).version) == "1"


def test_the_screen_shows_each_stage_and_no_irrelevant_warning(deployed: subprocess.CompletedProcess[str]) -> None:
    lines = deployed.stderr.splitlines()
    for stage in ("preprocess", "quantum-encode", "train", "evaluate", "gate", "deploy"):
        assert f"{stage}: started" in lines
        assert any(line.startswith(f"{stage}: done in ") for line in lines)
    assert any(line.startswith("    epoch 8 of 8") for line in lines)
    for noise in ("custom or non-Python base image", "have no effect", "KFP Executor", "executor_input", "alembic"):
        assert noise not in deployed.stderr


def test_everything_is_in_its_place(folder: Path, refused: subprocess.CompletedProcess[str]) -> None:
    """After both runs: what the second one left."""
    output = folder / "iris"
    reports = {path.name for path in (output / "report").iterdir()}
    assert reports == {
        "index.html", "preprocess.html", "quantum-encode.html", "plan.html", "train.html", "evaluate.html",
    }  # fmt: skip
    assert {path.name for path in (output / "model").iterdir()} == {"manifest.json", "arrays.safetensors"}
    evaluation = json.loads((output / "evaluation.json").read_text())
    assert evaluation["n_test"] == 45  # of 149: one row of iris occurs twice
    assert evaluation["model_digest"] == load_model(output / "model").digest
    assert "Executing task 'evaluate'" in (output / "pipeline.log").read_text()
    # The first run's results are beside it.
    (previous,) = (output / "previous").iterdir()
    assert json.loads((previous / "deployment.json").read_text())["deployed"] is True
    assert {path.name for path in (previous / "model").iterdir()} == {"manifest.json", "arrays.safetensors"}
    index = (output / "report" / "index.html").read_text()
    assert "not deployed" in index
    assert 'href="evaluate.html"' in index


def test_a_bad_model_is_not_deployed_and_the_reason_is_given(
    folder: Path, refused: subprocess.CompletedProcess[str]
) -> None:
    assert refused.returncode == 0, refused.stderr
    deployment = json.loads((folder / "iris" / "deployment.json").read_text())
    assert deployment["deployed"] is False
    assert "below the threshold 100 %" in deployment["reason"]
    assert deployment["reason"] in refused.stdout
    assert "Decision   not deployed" in refused.stdout
    assert refused.stderr.splitlines()[-1] == "deploy: skipped"
    tasks = json.loads((folder / "iris" / "run.json").read_text())["tasks"]
    assert [task["name"] for task in tasks] == ["preprocess", "quantum-encode", "plan", "train", "evaluate", "gate"]
    # The earlier model is still the champion, and no other version was made.
    assert str(champion(folder).version) == "1"


def test_the_summary_says_how_to_open_what_was_written(refused: subprocess.CompletedProcess[str]) -> None:
    text = refused.stdout
    assert "Report     iris/report/index.html" in text
    assert "qstore serve --model iris/model" in text
    assert "mlflow ui --workers 1 --backend-store-uri sqlite:///iris/mlflow.db" in text
    assert "Log        iris/pipeline.log" in text


def test_a_stage_that_refuses_its_input_ends_the_run_with_its_message_and_code(folder: Path) -> None:
    (folder / "one.csv").write_text("a,b,kind\n1,2,x\n3,4,x\n5,6,x\n")
    given = ["--dataset", "one.csv", "--label-column", "kind", "--output", "one"]
    command = [sys.executable, "-m", "quantum_db.cli", "pipeline", "run", *given]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("error: preprocess: ")
    assert "class" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "Traceback" in (folder / "one" / "pipeline.log").read_text()
    assert sorted(path.name for path in (folder / "one").iterdir()) == ["artifacts", "pipeline.log", "run.json"]


def test_the_runner_ends_when_its_standard_input_does(tmp_path: Path) -> None:
    given = ["--output", str(tmp_path), "--parameters", '{"dataset": "builtin:digits"}', "--end-with-parent"]
    command = [sys.executable, "-m", "pipelines.local_run", *given]
    done = subprocess.run(
        command, input="", capture_output=True, text=True, cwd=ROOT, process_group=0, check=False, timeout=60
    )
    assert done.returncode != 0
    assert not list(tmp_path.rglob("evaluation.json"))


def test_nothing_temporary_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("sys.executable", sys.executable)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    report = run_pipeline("training", tmp_path / "out", {"dataset": "builtin:none"})
    assert (report["status"], report["failed_task"]) == ("failed", "preprocess")
    assert report["error"]["type"] == "quantum_db.errors.StageInputError"
    assert list(scratch.iterdir()) == []
