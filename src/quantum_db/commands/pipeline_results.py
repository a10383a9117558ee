"""What a finished pipeline left behind, put where people find it, and said in a few lines."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quantum_db.errors import DeploymentError
from quantum_db.files import new_directory, read_json, write_json, write_text
from quantum_db.reporting.accuracy import percent, shown_interval
from quantum_db.reporting.inline_svg import Html
from quantum_db.reporting.page import Section, Tone, badge, callout, facts, page, table, tiles
from quantum_db.stages.gate import decide
from quantum_db.tracking.address import sqlite_path

REPORTS = {
    "preprocess": "Data: what was read, cleaned and split",
    "quantum-encode": "Encoding: the circuit and what it costs",
    "plan": "Plan: circuits, jobs, dollars and time, as forecast before training",
    "train": "Training: loss curve and configuration",
    "evaluate": "Evaluation: confusion matrix and classical baselines",
    "deploy": "Deployment: decision and smoke test",
}

_ACCURACY = ("accuracy", "accuracy_low", "accuracy_high", "accuracy_wilson_low", "accuracy_wilson_high")

# Without this MLflow starts about ten more processes, for jobs that nobody here submits.
_MLFLOW = "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false"


def collect(run: Mapping[str, Any], parameters: Mapping[str, Any], output: Path) -> dict[str, Any]:
    """Lay out the artifacts of a run below `output` and return its result.

    Written: model/, evaluation.json, deployment.json and report/ with index.html; each replaces that of an earlier
    run. The result has accuracy, accuracy_low, accuracy_high (bootstrap), accuracy_wilson_low, accuracy_wilson_high,
    best_baseline, best_baseline_accuracy, deployed, reason, weights_digest, tracking_uri, and the paths model and
    report. Raises DeploymentError when the gate let the model pass but nothing was deployed.
    """
    folder = Path(run["folder"])
    evaluation = read_json(folder / "evaluate" / "evaluation" / "evaluation.json")
    deployment = _deployment(run, parameters, folder, evaluation)
    with new_directory(output / "model", "manifest.json") as model:
        shutil.copytree(folder / "train" / "model", model, dirs_exist_ok=True)
    write_json(output / "evaluation.json", evaluation)
    write_json(output / "deployment.json", deployment)
    with new_directory(output / "report", "index.html") as report:
        stages = _copy_reports(report, folder, {task["name"]: task["seconds"] for task in run["tasks"]})
        write_text(report / "index.html", _index(evaluation, deployment, parameters, stages))
    return {
        **{name: evaluation[name] for name in _ACCURACY},
        **{name: evaluation[name] for name in ("best_baseline", "best_baseline_accuracy")},
        "deployed": deployment["deployed"],
        "reason": deployment["reason"],
        "weights_digest": read_json(output / "model" / "manifest.json")["content"].get("weights_digest"),
        "tracking_uri": parameters["tracking_uri"],
        "model": str(output / "model"),
        "report": str(output / "report" / "index.html"),
    }


def summary(result: Mapping[str, Any], output: Path) -> str:
    """Return the result for people: what came out, the decision, and how to open what was written."""
    evaluation = read_json(output / "evaluation.json")
    deployment = read_json(output / "deployment.json")
    model = _shown(output / "model")
    decision = "deployed" if result["deployed"] else "not deployed"
    if result["deployed"]:
        decision += f" as version {deployment['version']}, alias champion"
    return "\n".join(
        [
            "",
            f"Accuracy   {percent(result['accuracy'])} on {evaluation['n_test']} test samples"
            f" (95 % interval {_interval(evaluation)})",
            f"Baseline   {percent(result['best_baseline_accuracy'])}, {result['best_baseline']}",
            f"           {evaluation['sentence']}",
            f"Decision   {decision}",
            f"           {result['reason']}",
            "",
            f"Report     {_shown(Path(result['report']))}",
            "             open it in a browser",
            f"Model      {model}",
            f"             {_command('qstore')} serve --model {model}",
            *([f"             weights {result['weights_digest'][:16]}"] if result["weights_digest"] else []),
            *_store_lines(result["tracking_uri"]),
            f"Log        {_shown(output / 'pipeline.log')}",
        ]
    )


def _store_lines(uri: str) -> list[str]:
    """Which MLflow store has the run, and how to look into it."""
    if uri.startswith(("http://", "https://")):
        return [f"MLflow     {uri}", "             open it in a browser"]
    database = sqlite_path(uri)
    shown = uri if database is None else _shown(database)
    address = uri if database is None else f"sqlite:///{shown}"
    return [
        f"MLflow     {shown}",
        f"             {_MLFLOW} {_command('mlflow')} ui --workers 1 --backend-store-uri {address}",
    ]


def _deployment(
    run: Mapping[str, Any], parameters: Mapping[str, Any], folder: Path, evaluation: Mapping[str, Any]
) -> dict[str, Any]:
    """What the deploy stage reports, or why it did not run."""
    decision = decide(dict(evaluation), parameters["threshold"], parameters["require_better"])
    if any(task["name"] == "deploy" for task in run["tasks"]):
        deployment: dict[str, Any] = read_json(folder / "deploy" / "deployment" / "deployment.json")
        return deployment
    if decision.promote:
        raise DeploymentError(
            f"the gate let the model pass ({decision.reason}), but the stage deploy was not run; the condition of the "
            "compiled pipeline was not understood by the local runner. Compile it again: qstore pipeline compile"
        )
    return {
        "schema_version": 1,
        "deployed": False,
        "reason": decision.reason,
        "threshold": parameters["threshold"],
        "accuracy": evaluation["accuracy"],
        "version": None,
    }


def _copy_reports(report: Path, folder: Path, seconds: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """Copy the report of each stage that ran; return what the index says of each: link, content, duration."""
    rows: list[tuple[str, str, str]] = []
    for stage, title in REPORTS.items():
        source = folder / stage / "report_html"
        if source.is_file():
            shutil.copyfile(source, report / f"{stage}.html")
            rows.append((Html(f'<a href="{stage}.html">{stage}</a>'), title, f"{seconds[stage]:.1f} s"))
    return rows


def _index(
    evaluation: Mapping[str, Any],
    deployment: Mapping[str, Any],
    parameters: Mapping[str, Any],
    stages: list[tuple[str, str, str]],
) -> str:
    deployed = bool(deployment["deployed"])
    tone: Tone = "good" if deployed else "neutral"
    numbers = {
        "accuracy": percent(evaluation["accuracy"]),
        "95 % interval": _interval(evaluation),
        f"best baseline: {evaluation['best_baseline']}": percent(evaluation["best_baseline_accuracy"]),
        "decision": badge("deployed" if deployed else "not deployed", tone),
    }
    models = [{**evaluation, "name": "this model"}, *evaluation["baselines"]]
    rows = [(model["name"], percent(model["accuracy"]), _interval(model)) for model in models]
    return page(
        f"Training on {parameters['dataset']}",
        [
            Section("", tiles(numbers) + callout(deployment["reason"], tone)),
            Section(
                "Beside classical models",
                table(("model", "accuracy", "95 % interval"), rows, evaluation["sentence"]),
            ),
            Section("Reports of the stages", table(("stage", "what it shows", "took"), stages)),
            Section("How it was run", facts({name: str(value) for name, value in parameters.items()})),
        ],
    )


def _interval(scores: Mapping[str, Any]) -> str:
    shown = shown_interval(scores)
    return "–" if shown is None else shown.text


def _command(name: str) -> str:
    """The command by its name where the shell finds it, else by the path in this environment."""
    return name if shutil.which(name) else _shown(Path(sys.executable).parent / name)


def _shown(path: Path) -> str:
    """The path relative to the working directory where that is shorter to read."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
