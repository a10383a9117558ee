"""`qstore pipeline run`: check the arguments, run the compiled pipeline in its own process, say what came out."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from quantum_db.commands.checkout import find_checkout, run_module
from quantum_db.errors import ConfigurationError, QStoreError
from quantum_db.files import read_json
from quantum_db.stages.arguments import parser_for, spec_from
from quantum_db.stages.gate import check_threshold
from quantum_db.tracking.address import default_tracking_uri

DESCRIPTION = """\
Run the training pipeline on this machine: preprocess, quantum-encode, train, evaluate, and deploy if the model is
good enough. It is the same compiled pipeline that runs on Kubeflow. Progress goes to standard error."""

EXAMPLES = (
    "qstore pipeline run",
    "qstore pipeline run --dataset flowers.csv --threshold 0.9 --output runs/flowers",
    "qstore pipeline run --dataset builtin:iris --model-config '{\"epochs\": 30}' --seed 7 --json",
    "qstore pipeline run --model-config @pipelines/configs/digits.json --dry-run",
)


@dataclass(frozen=True)
class PipelineRunOptions:
    """The options of `qstore pipeline run`."""

    dataset: str = field(default="builtin:digits", metadata={"help": "source of the data; see: qstore datasets"})
    model_config: str = field(default="{}", metadata={"help": "training configuration as JSON, or @file"})
    qpu_target: str = field(default="simulator", metadata={"help": "what runs the circuits"})
    seed: int = field(default=0, metadata={"help": "the same seed gives the same model"})
    threshold: float = field(default=0.95, metadata={"help": "least accuracy on the test split for a deployment"})
    n_components: int = field(default=0, metadata={"help": "principal components to keep; 0 keeps all features"})
    require_better: bool = field(
        default=False, metadata={"help": "refuse also a model less accurate than the best classical baseline"}
    )
    registered_name: str = field(default="q-store", metadata={"help": "name of the model in MLflow's registry"})
    output: Path | None = field(default=None, metadata={"help": "folder for everything; none means runs/<dataset>"})
    json: bool = field(default=False, metadata={"help": "print the result as one line of JSON"})
    dry_run: bool = field(default=False, metadata={"help": "only check the arguments and say what would be run"})
    project: Path | None = field(default=None, metadata={"help": "root of the checkout; none means the one here"})


def main(arguments: Sequence[str]) -> int:
    """Run the pipeline and print its result; raise what the stage that failed has raised."""
    parser = parser_for(PipelineRunOptions, "qstore pipeline run", DESCRIPTION, EXAMPLES)
    options = spec_from(parser.parse_args(arguments), PipelineRunOptions)
    parameters = checked_parameters(options)
    checkout = find_checkout(options.project)
    output = (options.output or Path("runs") / short_name(parameters["dataset"])).resolve()
    parameters["tracking_uri"] = default_tracking_uri(output)
    parameters["checkpoints"] = str(output / "checkpoints")
    if options.dry_run:
        _print_plan(parameters, output, checkout)
        return 0
    started = time.monotonic()
    run = _run_pipeline(parameters, output, checkout)
    from quantum_db.commands.pipeline_results import collect, summary

    result = collect(run, parameters, output)
    # the model is complete; a run that was killed keeps them, and the same command goes on from there
    if Path(parameters["checkpoints"]).is_dir():
        shutil.rmtree(parameters["checkpoints"])
    result["seconds"] = round(time.monotonic() - started, 1)
    print(json.dumps(result) if options.json else summary(result, output))
    return 0


def checked_parameters(options: PipelineRunOptions) -> dict[str, Any]:
    """Return the pipeline's parameters, or raise before anything is started.

    Paths are made absolute, since the stages run in another folder. Raises StageInputError or ConfigurationError.
    """
    from quantum_db.data.sources import resolve_source
    from quantum_db.seeding import check_seed
    from quantum_db.tracking.model_registry import check_model_name

    dataset = resolve_source(options.dataset).dataset
    config = _model_config(options.model_config)
    check_seed(options.seed)
    check_threshold(options.threshold)
    if options.n_components < 0:
        raise ConfigurationError(f"--n-components is {options.n_components}; give 0 for all features, or at least 1")
    check_model_name(options.registered_name)
    return {
        "dataset": dataset,
        "model_config": _checked_config(config, options.qpu_target),
        "qpu_target": options.qpu_target,
        "threshold": options.threshold,
        "seed": options.seed,
        "n_components": options.n_components,
        "require_better": options.require_better,
        "registered_name": options.registered_name,
    }


def short_name(dataset: str) -> str:
    """Return a folder name for a data set: "digits" for "builtin:digits", "flowers" for "csv:/data/flowers.csv"."""
    last = dataset.rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    return last.split(".", 1)[0] or "data"


def _model_config(given: str) -> str:
    if not given.startswith("@"):
        return given
    path = Path(given[1:])
    try:
        return path.read_text()
    except OSError as error:
        raise ConfigurationError(
            f"--model-config names the file {path}, which cannot be read ({error.strerror}); check the path"
        ) from error


def _checked_config(text: str, qpu_target: str) -> str:
    """Return the settings as JSON on one line, after the checks that the stages make too."""
    from quantum_db.training.config import QuantumTrainingConfig

    QuantumTrainingConfig.from_json(text).replace(qpu_target=qpu_target)
    return json.dumps(json.loads(text), sort_keys=True)


def _print_plan(parameters: dict[str, Any], output: Path, checkout: Path) -> None:
    print(f"pipeline    {checkout / 'pipelines' / 'compiled' / 'training.yaml'}")
    print(f"output      {output}")
    for name, value in parameters.items():
        print(f"{name:<16}{value}")


def _run_pipeline(parameters: dict[str, Any], output: Path, checkout: Path) -> dict[str, Any]:
    """Run the pipeline and return what its program reports; raise the error of the stage that failed."""
    output.mkdir(parents=True, exist_ok=True)
    report = output / "run.json"
    report.unlink(missing_ok=True)
    given = ["--output", str(output), "--parameters", json.dumps(parameters), "--end-with-parent"]
    code = run_module(checkout, "pipelines.local_run", given)
    if code == 130:
        raise KeyboardInterrupt
    if not report.is_file():
        raise QStoreError(
            f"the pipeline ended with exit code {code} before it could report; see the lines above and "
            f"{output / 'pipeline.log'}, and whether the extra is installed: pip install 'quantum-db[pipelines]'"
        )
    run: dict[str, Any] = read_json(report)
    if run["status"] != "succeeded":
        raise _error_of(run, output / "pipeline.log")
    return run


def _error_of(run: dict[str, Any], log: Path) -> QStoreError:
    """The error that a stage raised in its own process, as the same class if it is one of Q-Store's."""
    stage, error = run["failed_task"], run["error"]
    if error is not None and error["type"].startswith("quantum_db."):
        module, _, name = error["type"].rpartition(".")
        kind = getattr(import_module(module), name, QStoreError)
        if issubclass(kind, QStoreError):
            return kind(f"{stage}: {error['message']}")
    for line in run["last_lines"]:
        print(f"    {line}", file=sys.stderr)
    reason = f"{error['type']}: {error['message']}" if error else "its process ended without an error message"
    return QStoreError(f"{stage}: {reason}; the whole output is in {log}")
