import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

from quantum_db import cli
from quantum_db.errors import ConfigurationError, DeploymentError, StageInputError, StoreError
from quantum_db.models import load_model
from quantum_db.stages.deploy import DeployReport, DeploySpec, run
from quantum_db.stages.smoke_test import smoke_test
from quantum_db.tracking.address import default_tracking_uri
from quantum_db.tracking.model_registry import ModelRegistry

Resealed = Callable[[Path, Path, Callable[[dict[str, Any]], None]], Path]


def evaluated(model: Path, folder: Path, **changes: Any) -> Path:
    """An evaluation of the model on the whole of iris, with its real accuracy."""
    saved, iris = load_model(model), load_iris()
    accuracy = float(np.mean(saved.predict_proba_raw(iris.data).argmax(axis=1) == iris.target))
    baselines = [{"name": "svc", "accuracy": 0.98, "accuracy_low": 0.95, "accuracy_high": 1.0}]
    content = {
        "accuracy": accuracy, "accuracy_low": accuracy - 0.04, "accuracy_high": accuracy + 0.03, "f1_macro": accuracy,
        "baselines": baselines, "best_baseline": "svc", "best_baseline_accuracy": 0.98, "comparison": "worse",
        "sentence": "The support vector machine is <better>.", "model_digest": saved.digest, **changes,
    }  # fmt: skip
    folder.mkdir()
    (folder / "evaluation.json").write_text(json.dumps(content))
    return folder


class Workshop:
    """Deploys models into one registry."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = default_tracking_uri(folder)
        self.count = 0

    def deploy(self, model: Path, name: str, **options: Any) -> tuple[DeployReport, Path]:
        self.count += 1
        evaluation = options.pop("evaluation", None) or evaluated(model, self.folder / f"evaluation-{self.count}")
        output = self.folder / f"deployment-{self.count}"
        given = {"threshold": 0.5, "tracking_uri": self.uri, "registered_name": name, **options}
        return run(DeploySpec(model, evaluation, output, **given)), output

    @property
    def registry(self) -> ModelRegistry:
        return ModelRegistry(self.uri)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="module")
def tampered(iris_model: Path, tmp_path_factory: pytest.TempPathFactory, resealed: Resealed) -> Path:
    """A whole and loadable model whose golden probabilities are not what it predicts."""

    def shift(manifest: dict[str, Any]) -> None:
        manifest["golden"] = json.loads(json.dumps(manifest["golden"]))
        manifest["golden"]["probabilities"][0][0] -= 0.01

    return resealed(iris_model, tmp_path_factory.mktemp("tampered") / "model", shift)


def test_first_second_and_repeated_deployment(workshop: Workshop, iris_model: Path, other_iris_model: Path) -> None:
    registry, page = workshop.registry, workshop.folder / "report.html"
    first, output = workshop.deploy(iris_model, "iris", report_html=page)
    assert (first.deployed, first.version, first.previous_version) == (True, "1", None)
    assert first.latency_ms is not None
    assert 0 < first.latency_ms < 5000
    assert first.endpoint == "models:/iris@champion"
    assert json.loads((output / "deployment.json").read_text()) == {"schema_version": 1, **first.to_dict()}
    smoke = json.loads((output / "smoke_test.json").read_text())
    assert smoke["rows"] == 8
    assert smoke["max_difference"] <= 1e-6
    assert smoke["stopped_cleanly"] is True
    assert page.read_text() == (output / "report.html").read_text()
    assert "Deployed: accuracy" in page.read_text()
    assert "is &lt;better&gt;." in page.read_text()

    second, _ = workshop.deploy(other_iris_model, "iris")
    assert (second.version, second.previous_version) == ("2", "1")
    assert registry.alias("iris", "champion") == "2"
    assert registry.alias("iris", "previous") == "1"
    assert registry.alias("iris", "challenger") is None
    info = registry.info("iris", "2")
    assert info.digest == load_model(other_iris_model).digest
    assert info.tags["smoke_test"] == "passed"
    assert float(info.tags["metric.accuracy"]) == second.accuracy
    assert info.tags["dataset"] == "builtin:iris"
    assert "version.torch" in info.tags

    again, _ = workshop.deploy(other_iris_model, "iris")
    assert (again.version, again.previous_version) == ("2", "1")
    assert "was the champion already" in again.reason
    assert registry.alias("iris", "previous") == "1"

    back, _ = workshop.deploy(iris_model, "iris")
    assert (back.version, back.previous_version) == ("1", "2")
    assert registry.alias("iris", "champion") == "1"
    assert registry.alias("iris", "previous") == "2"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"threshold": 0.999}, "is below the threshold 99.9 %"),
        ({"require_better": True}, "baseline (svc) reaches 98.0 %"),
    ],
)
def test_a_refusal_has_a_reason_and_registers_nothing(
    iris_model: Path, tmp_path: Path, options: dict[str, Any], reason: str
) -> None:
    evaluation = evaluated(iris_model, tmp_path / "evaluation")
    spec = DeploySpec(
        iris_model, evaluation, tmp_path / "out" / "deployment", **{"threshold": 0.5, **options},
        tracking_uri=default_tracking_uri(tmp_path), report_html=tmp_path / "report.html",
    )  # fmt: skip
    report = run(spec)
    assert report.deployed is False
    assert reason in report.reason
    assert (report.version, report.endpoint, report.latency_ms) == (None, None, None)
    assert json.loads((tmp_path / "out" / "deployment" / "deployment.json").read_text())["deployed"] is False
    assert not (tmp_path / "out" / "deployment" / "smoke_test.json").exists()
    assert not (tmp_path / "mlflow.db").exists()
    assert "Not deployed" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("options", "reason"),
    [(["--threshold", "0.999"], "threshold 99.9 %"), (["--threshold", "0.5", "--require-better"], "baseline (svc)")],
)
def test_the_command_line_refuses_too(
    iris_model: Path, tmp_path: Path, options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluation = evaluated(iris_model, tmp_path / "evaluation")
    given = ["--model", str(iris_model), "--evaluation", str(evaluation), "--deployment", str(tmp_path / "decision")]
    assert cli.main(["stage", "deploy", *given, *options]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["deployed"], report["version"]) == (False, None)
    assert reason in report["reason"]
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("deployment", "report"),
    [
        ("/proc/q-store/decision", None),
        ("{folder}/file", None),
        ("{folder}/file/below", None),
        ("{folder}/mine", None),
        ("{folder}/decision", "/proc/q-store/report.html"),
        ("{folder}/decision", "{folder}/file/below"),
        ("{folder}/decision", "{folder}/mine"),
    ],
)
def test_outputs_that_cannot_be_written_are_refused_before_anything_is_registered(
    iris_model: Path, tmp_path: Path, deployment: str, report: str | None
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    evaluation, store = evaluated(iris_model, tmp_path / "evaluation"), default_tracking_uri(tmp_path)
    decision = Path(deployment.format(folder=tmp_path))
    page = Path(report.format(folder=tmp_path)) if report else None
    spec = DeploySpec(iris_model, evaluation, decision, threshold=0.5, tracking_uri=store, report_html=page)
    with pytest.raises(StoreError, match=r"name another|cannot be written"):
        run(spec)
    assert not (tmp_path / "mlflow.db").exists()


def test_the_page_has_percent_and_an_interval_with_width(iris_model: Path, tmp_path: Path) -> None:
    wrong = {"accuracy": 0.0, "accuracy_low": 0.0, "accuracy_high": 0.0}
    wilson = {"accuracy_wilson_low": 0.0, "accuracy_wilson_high": 0.114}
    evaluation = evaluated(iris_model, tmp_path / "evaluation", **wrong, **wilson)
    run(DeploySpec(iris_model, evaluation, tmp_path / "deployment", threshold=0.875))
    page = (tmp_path / "deployment" / "report.html").read_text()
    assert "0.0 % to 11.4 %, Wilson" in page
    assert "87.5 %" in page
    assert "98.0 % [95.0 % to 100.0 %]" in page
    assert "0.875" not in page


def test_a_failed_smoke_test_keeps_the_champion_and_leaves_nothing_behind(
    workshop: Workshop, iris_model: Path, tampered: Path
) -> None:
    workshop.deploy(iris_model, "guarded")
    with pytest.raises(DeploymentError, match=r"version 2 of 'guarded' failed its smoke test.*not ready.*off by 0\.01"):
        workshop.deploy(tampered, "guarded")
    assert not (workshop.folder / f"deployment-{workshop.count}").exists()
    registry = workshop.registry
    assert registry.alias("guarded", "champion") == "1"
    assert registry.alias("guarded", "previous") is None
    assert registry.alias("guarded", "challenger") == "2"
    assert registry.info("guarded", "2").tags["smoke_test"].startswith("failed: ")


def test_a_failure_at_the_last_step_leaves_no_deployment(
    workshop: Workshop, iris_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from quantum_db.tracking.tracker import TrackingError

    set_alias = ModelRegistry.set_alias

    def fail_at_the_end(self: ModelRegistry, name: str, alias: Any, version: str) -> None:
        if alias == "champion":
            raise TrackingError("the connection is cut.")
        set_alias(self, name, alias, version)

    monkeypatch.setattr(ModelRegistry, "set_alias", fail_at_the_end)
    with pytest.raises(DeploymentError, match=r"the connection is cut\. The champion of 'cut' was not moved"):
        workshop.deploy(iris_model, "cut")
    assert not (workshop.folder / f"deployment-{workshop.count}").exists()
    assert workshop.registry.alias("cut", "champion") is None


def test_a_tracking_store_that_is_down_is_a_deployment_error(iris_model: Path, tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        spec = DeploySpec(
            iris_model, evaluated(iris_model, tmp_path / "evaluation"), tmp_path / "deployment", threshold=0.5,
            tracking_uri=f"http://127.0.0.1:{taken.getsockname()[1]}",
        )  # fmt: skip
        with pytest.raises(DeploymentError, match="run the stage again when the store is back"):
            run(spec)
    assert not (tmp_path / "deployment").exists()


def test_without_a_tracking_uri_the_store_is_beside_the_deployment(
    iris_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    evaluation = evaluated(iris_model, tmp_path / "evaluation")
    report = run(DeploySpec(iris_model, evaluation, tmp_path / "out" / "deployment", threshold=0.5))
    assert report.tracking_uri == f"sqlite:///{tmp_path}/out/mlflow.db"
    assert (tmp_path / "out" / "mlartifacts").is_dir()


def test_inputs_that_do_not_belong_together(iris_model: Path, other_iris_model: Path, tmp_path: Path) -> None:
    evaluation = evaluated(iris_model, tmp_path / "evaluation")
    with pytest.raises(StageInputError, match="evaluate this model, or name the one that was evaluated"):
        run(DeploySpec(other_iris_model, evaluation, tmp_path / "deployment"))
    with pytest.raises(StoreError, match="does not exist"):
        run(DeploySpec(iris_model, tmp_path / "none", tmp_path / "deployment"))
    with pytest.raises(StoreError):
        run(DeploySpec(tmp_path / "none", evaluation, tmp_path / "deployment"))
    assert not (tmp_path / "deployment").exists()


def test_bad_settings_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="threshold"):
        DeploySpec(tmp_path, tmp_path, tmp_path, threshold=95)
    with pytest.raises(ConfigurationError, match="registered name"):
        DeploySpec(tmp_path, tmp_path, tmp_path, registered_name="it's")


def test_a_server_that_does_not_start_says_why(iris_model: Path, tmp_path: Path) -> None:
    saved = load_model(iris_model)
    with pytest.raises(DeploymentError, match=r"ended with exit code 2 before it was ready: .*there is no model"):
        smoke_test(tmp_path / "none", "iris", "1", saved.digest, saved.golden)


def test_a_server_that_is_slow_is_given_up_and_another_model_is_noticed(iris_model: Path) -> None:
    saved = load_model(iris_model)
    with pytest.raises(DeploymentError, match=r"was not ready after 0\.01 s"):
        smoke_test(iris_model, "iris", "1", saved.digest, saved.golden, ready_timeout_s=0.01)
    with pytest.raises(DeploymentError, match="serves the model"):
        smoke_test(iris_model, "iris", "1", "0" * 64, saved.golden)
    moved = [[value + 2e-6 for value in row] for row in saved.golden["probabilities"]]
    with pytest.raises(DeploymentError, match="differ from the golden ones by 2e-06"):
        smoke_test(iris_model, "iris", "1", saved.digest, {**saved.golden, "probabilities": moved})
