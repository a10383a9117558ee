"""Stage deploy: a model that passes the gate becomes a registered version, is tried in a real server, and leads.

Order: gate, register (or find the version of the same model), alias challenger, smoke test, alias champion; the old
champion keeps the alias previous. Whatever fails on the way, the champion stays who it was. Running the stage again
with the same model registers nothing twice.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from quantum_db import settings
from quantum_db.errors import DeploymentError, StageInputError, StoreError
from quantum_db.files import check_output_directory, new_directory, read_json, write_json, write_text
from quantum_db.models import SavedModel, load_model
from quantum_db.stages.deploy_page import deployment_page
from quantum_db.stages.gate import accuracy_of, check_threshold, decide
from quantum_db.stages.smoke_test import SmokeTest, smoke_test
from quantum_db.tracking import TrackingError
from quantum_db.tracking.model_registry import ModelRegistry, check_model_name
from quantum_db.tracking.provenance import provenance_tags

_METRICS = ("accuracy", "accuracy_low", "accuracy_high", "f1_macro", "best_baseline_accuracy")


@dataclass(frozen=True)
class DeploySpec:
    """What to deploy, on which conditions, where to register it. Raises ConfigurationError for bad values."""

    model: Path = field(metadata={"help": "model directory, as train writes it"})
    evaluation: Path = field(metadata={"help": "evaluation directory of that model, as evaluate writes it"})
    deployment: Path = field(metadata={"help": "directory to write the decision and the smoke test to"})
    threshold: float = field(default=0.95, metadata={"help": "least accuracy on the test split, 0 to 1"})
    require_better: bool = field(
        default=False,
        metadata={"help": "refuse also when the accuracy is below that of the best classical baseline"},
    )
    registered_name: str = field(default="q-store", metadata={"help": "name of the model in the registry"})
    tracking_uri: str = field(
        default="",
        metadata={"help": "MLflow store; without one MLFLOW_TRACKING_URI, or mlflow.db beside the deployment"},
    )
    report_html: Path | None = field(default=None, metadata={"help": "file to write a report for people to"})

    def __post_init__(self) -> None:
        check_threshold(self.threshold)
        check_model_name(self.registered_name)


@dataclass(frozen=True)
class DeployReport:
    """What was decided and done.

    version: the registered version that is champion now, None after a refusal; previous_version: the champion
    before it; latency_ms: median of single-row requests in the smoke test; endpoint: the address at which MLflow finds
    the champion ("models:/<name>@champion").
    """

    deployed: bool
    reason: str
    registered_name: str
    version: str | None
    previous_version: str | None
    accuracy: float
    threshold: float
    require_better: bool
    best_baseline: str | None
    best_baseline_accuracy: float | None
    latency_ms: float | None
    endpoint: str | None
    tracking_uri: str | None
    model_digest: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return asdict(self)


def run(spec: DeploySpec) -> DeployReport:
    """Decide on the model and deploy it, or refuse with a reason (which is a report, not an error).

    Raises StoreError when model or evaluation cannot be read or `spec.deployment` not be written, StageInputError when
    they do not belong together, ConfigurationError for a tracking store that cannot be used, and DeploymentError when
    the registry or the server fails; nothing is written to `spec.deployment` then, and the champion is not moved.
    """
    began = time.monotonic()
    _check_outputs(spec)
    saved, evaluation = _inputs(spec)
    decision = decide(evaluation, spec.threshold, spec.require_better)
    report = DeployReport(
        deployed=False,
        reason=decision.reason,
        registered_name=spec.registered_name,
        version=None,
        previous_version=None,
        accuracy=accuracy_of(evaluation, "accuracy"),
        threshold=spec.threshold,
        require_better=spec.require_better,
        best_baseline=evaluation.get("best_baseline"),
        best_baseline_accuracy=evaluation.get("best_baseline_accuracy"),
        latency_ms=None,
        endpoint=None,
        tracking_uri=None,
        model_digest=saved.digest,
        seconds=round(time.monotonic() - began, 3),
    )
    if not decision.promote:
        _write(spec, report, evaluation, None)
        return report
    uri = settings.choose_tracking_uri(spec.tracking_uri, spec.deployment.resolve().parent)
    try:
        return _deploy(spec, saved, evaluation, replace(report, tracking_uri=uri), began)
    except TrackingError as error:
        raise DeploymentError(
            f"the model was not deployed: {error} The champion of {spec.registered_name!r} was not moved; "
            "run the stage again when the store is back."
        ) from error


def _check_outputs(spec: DeploySpec) -> None:
    """Raise StoreError, before anything is registered, when the decision could not be written afterwards."""
    folders = [check_output_directory(spec.deployment, "deployment.json").parent]
    if spec.report_html is not None:
        folders.append(spec.report_html.resolve().parent)
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable."):
                pass
        except OSError as error:
            raise StoreError(f"{folder} cannot be written ({error.strerror}); name another place") from error
    if spec.report_html is not None and spec.report_html.is_dir():
        raise StoreError(f"{spec.report_html} is a folder, and the report is a file; name another place")


def _inputs(spec: DeploySpec) -> tuple[SavedModel, Mapping[str, Any]]:
    """The model and its evaluation; StageInputError when the evaluation is that of another model."""
    evaluation = read_json(spec.evaluation / "evaluation.json")
    if not isinstance(evaluation, dict):
        raise StageInputError(f"{spec.evaluation / 'evaluation.json'} is not a JSON object; run evaluate again")
    saved = load_model(spec.model)
    measured = evaluation.get("model_digest")
    if measured != saved.digest:
        raise StageInputError(
            f"the evaluation in {spec.evaluation} is of the model {str(measured)[:12]}, and {spec.model} holds "
            f"{saved.digest[:12]}; evaluate this model, or name the one that was evaluated"
        )
    return saved, evaluation


def _deploy(
    spec: DeploySpec, saved: SavedModel, evaluation: Mapping[str, Any], report: DeployReport, began: float
) -> DeployReport:
    name = spec.registered_name
    registry = ModelRegistry(str(report.tracking_uri))
    champion = registry.alias(name, "champion")
    version = registry.find(name, saved.digest) or _register(registry, spec, saved, evaluation)
    registry.set_alias(name, "challenger", version)
    result = _tried(registry, name, version, saved)
    already = version == champion
    done = replace(
        report,
        deployed=True,
        reason=report.reason + ("; this model was the champion already" if already else ""),
        version=version,
        previous_version=registry.alias(name, "previous") if already else champion,
        latency_ms=result.latency_ms,
        endpoint=ModelRegistry.uri(name, "champion"),
        seconds=round(time.monotonic() - began, 3),
    )
    _write(spec, done, evaluation, result, lambda: _promote(registry, name, version, champion))
    return done


def _register(registry: ModelRegistry, spec: DeploySpec, saved: SavedModel, evaluation: Mapping[str, Any]) -> str:
    metrics = {key: float(evaluation[key]) for key in _METRICS if isinstance(evaluation.get(key), int | float)}
    dataset = saved.manifest.get("dataset") or {}
    tags = {
        **provenance_tags(),
        "dataset": str(dataset.get("name", "")),
        "dataset_digest": str(dataset.get("digest", "")),
        "threshold": f"{spec.threshold:g}",
        "comparison": str(evaluation.get("comparison", "")),
    }
    return registry.register(
        spec.model,
        spec.registered_name,
        digest=saved.digest,
        n_features=saved.preprocessing.n_raw_features,
        class_names=saved.class_names,
        example=saved.golden["inputs"][:2],
        metrics=metrics,
        tags=tags,
        run_id=str(saved.manifest.get("mlflow_run_id") or ""),
    )


def _tried(registry: ModelRegistry, name: str, version: str, saved: SavedModel) -> SmokeTest:
    """Serve what the registry holds, not the local directory: that is what others will load."""
    with tempfile.TemporaryDirectory() as folder:
        stored = registry.download(name, version, Path(folder))
        try:
            result = smoke_test(stored, name, version, saved.digest, saved.golden)
        except DeploymentError as error:
            registry.set_tag(name, version, "smoke_test", f"failed: {error}"[:4000])
            raise DeploymentError(
                f"version {version} of {name!r} failed its smoke test and stays challenger; the champion is unmoved. "
                f"{error}"
            ) from error
    registry.set_tag(name, version, "smoke_test", "passed")
    return result


def _promote(registry: ModelRegistry, name: str, version: str, champion: str | None) -> None:
    """Make `version` the champion, as the last step, so that a failure before it changes nothing."""
    if champion is not None and champion != version:
        registry.set_alias(name, "previous", champion)
    if registry.alias(name, "challenger") == version:
        registry.remove_alias(name, "challenger")
    registry.set_alias(name, "champion", version)


def _write(
    spec: DeploySpec,
    report: DeployReport,
    evaluation: Mapping[str, Any],
    result: SmokeTest | None,
    last_step: Callable[[], None] = lambda: None,
) -> None:
    """Write the deployment directory and the report; `last_step` runs when all is written but not yet in place."""
    html = deployment_page(report.to_dict(), evaluation, None if result is None else result.to_dict())
    with new_directory(spec.deployment, "deployment.json") as folder:
        write_json(folder / "deployment.json", {"schema_version": 1, **report.to_dict()})
        if result is not None:
            write_json(folder / "smoke_test.json", {"schema_version": 1, **result.to_dict()})
        write_text(folder / "report.html", html)
        last_step()
    if spec.report_html is not None:
        write_text(spec.report_html, html)
