"""`qstore pipeline run`: check the arguments, run the compiled pipeline in its own process, say what came out."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from quantum_db import settings
from quantum_db.commands.checkout import find_checkout, run_module
from quantum_db.commands.model_config import read_model_config
from quantum_db.commands.output_folder import check_output, prepare_output, remove_checkpoints
from quantum_db.errors import ConfigurationError, QStoreError
from quantum_db.files import read_json
from quantum_db.stages.arguments import parser_for, spec_from
from quantum_db.stages.gate import check_threshold

DESCRIPTION = """\
Run the training pipeline on this machine: preprocess, quantum-encode, train, evaluate, and deploy if the model is
good enough. It is the same compiled pipeline that runs on Kubeflow. Progress goes to standard error."""

EXAMPLES = (
    "qstore pipeline run",
    "qstore pipeline run --dataset flowers.csv --label-column species --threshold 0.9 --output runs/flowers",
    "qstore pipeline run --dataset builtin:iris --model-config '{\"epochs\": 30}' --seed 7 --json",
    "qstore pipeline run --model-config @pipelines/configs/digits.json --dry-run",
)


@dataclass(frozen=True)
class PipelineRunOptions:
    """The options of `qstore pipeline run`."""

    dataset: str = field(default="builtin:digits", metadata={"help": "source of the data; see: qstore datasets"})
    model_config: str = field(default="{}", metadata={"help": "training configuration as JSON, or @file"})
    qpu_target: str = field(default="simulator", metadata={"help": "what runs the circuits"})
    budget_usd: str = field(default="", metadata={"help": "US dollars that the training may cost; none sets no limit"})
    seed: int = field(default=0, metadata={"help": "the same seed gives the same model"})
    threshold: float = field(default=0.95, metadata={"help": "least accuracy on the test split for a deployment"})
    label_column: str = field(default="label", metadata={"help": "column with the classes (CSV and Parquet)"})
    test_fraction: float = field(default=0.2, metadata={"help": "share of the rows for testing, between 0 and 1"})
    missing: str = field(default="refuse", metadata={"help": "rows with missing values: refuse, drop"})
    duplicates: str = field(default="keep", metadata={"help": "rows that occur twice: keep, drop"})
    constant_features: str = field(default="drop", metadata={"help": "features that never change: drop, refuse"})
    scaling: str = field(default="minmax", metadata={"help": "scaling of the features: minmax, standard, none"})
    n_components: int = field(default=0, metadata={"help": "principal components to keep; 0 keeps all features"})
    require_better: bool = field(
        default=False, metadata={"help": "refuse also a model less accurate than the best classical baseline"}
    )
    registered_name: str = field(default="q-store", metadata={"help": "name of the model in MLflow's registry"})
    tracking_uri: str = field(
        default="",
        metadata={"help": "MLflow store; none means MLFLOW_TRACKING_URI, else a file in the folder"},
    )
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
    parameters["tracking_uri"] = settings.choose_tracking_uri(options.tracking_uri, output)
    parameters["checkpoints"] = str(output / "checkpoints")
    check_output(output)
    if options.dry_run:
        _print_plan(parameters, output, checkout, options.json)
        return 0
    started = time.monotonic()
    run = _run_pipeline(parameters, output, checkout)
    from quantum_db.commands.pipeline_results import collect, summary

    result = collect(run, parameters, output)
    # the model is complete; a run that was killed keeps them, and the same command goes on from there
    remove_checkpoints(output / "checkpoints")
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
    qpu_target = _absolute_target(options.qpu_target)
    config = _checked_config(options, qpu_target)
    check_seed(options.seed)
    check_threshold(options.threshold)
    if options.n_components < 0:
        raise ConfigurationError(f"--n-components is {options.n_components}; give 0 for all features, or at least 1")
    _check_preparation(options)
    check_model_name(options.registered_name)
    return {
        "dataset": dataset,
        "model_config": config,
        "qpu_target": qpu_target,
        "budget_usd": options.budget_usd,
        "threshold": options.threshold,
        "seed": options.seed,
        "label_column": options.label_column,
        "test_fraction": options.test_fraction,
        "missing": options.missing,
        "duplicates": options.duplicates,
        "constant_features": options.constant_features,
        "scaling": options.scaling,
        "n_components": options.n_components,
        "require_better": options.require_better,
        "registered_name": options.registered_name,
    }


def short_name(dataset: str) -> str:
    """Return a folder name for a data set: "digits" for "builtin:digits", "flowers" for "csv:/data/flowers.csv"."""
    last = dataset.rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    return last.split(".", 1)[0] or "data"


def _absolute_target(named: str) -> str:
    """The target; the folder of a replay as an absolute path, since the stages run in another folder."""
    from quantum_db.execution.machines import journal_folder
    from quantum_db.execution.targets import REPLAY, ReplayTarget, qpu_target

    target = qpu_target(named)
    return f"{REPLAY}{journal_folder(target.folder).resolve()}" if isinstance(target, ReplayTarget) else named


def _checked_config(options: PipelineRunOptions, qpu_target: str) -> str:
    """Return the settings as JSON on one line, after the checks that the stages make too."""
    from quantum_db.commands.circuit_memory import check_circuit_memory
    from quantum_db.execution.machine_options import dollars
    from quantum_db.pricing import load_price_table
    from quantum_db.training.config import QuantumTrainingConfig

    if options.budget_usd:
        dollars("--budget-usd", options.budget_usd)
    text = read_model_config(options.model_config)
    decided = {"budget_usd": options.budget_usd} if options.budget_usd else {}
    config = QuantumTrainingConfig.from_json(text, qpu_target=qpu_target, seed=options.seed, **decided)
    check_circuit_memory(config)
    settings.machine_connection(qpu_target)
    values = json.loads(text)
    if config.price_table:
        load_price_table(config.price_table)
        values["price_table"] = str(Path(config.price_table).resolve())
    return json.dumps(values, sort_keys=True)


def _check_preparation(options: PipelineRunOptions) -> None:
    """The checks of the stage preprocess on what it is asked to do with the data."""
    from quantum_db.data.cleaning import DUPLICATES, MISSING
    from quantum_db.data.preprocessing import CONSTANT_FEATURES, SCALINGS, check_choice
    from quantum_db.data.splitting import check_test_fraction

    check_choice("missing", options.missing, MISSING)
    check_choice("duplicates", options.duplicates, DUPLICATES)
    check_choice("constant_features", options.constant_features, CONSTANT_FEATURES)
    check_choice("scaling", options.scaling, SCALINGS)
    check_test_fraction(options.test_fraction)
    if not options.label_column.strip():
        raise ConfigurationError("--label-column is empty; name the column with the classes")


def _print_plan(parameters: dict[str, Any], output: Path, checkout: Path, as_json: bool) -> None:
    pipeline = checkout / "pipelines" / "compiled" / "training.yaml"
    if as_json:
        print(json.dumps({"pipeline": str(pipeline), "output": str(output), "parameters": parameters}))
        return
    for name, value in {"pipeline": pipeline, "output": output, **parameters}.items():
        print(f"{name:<18}{'none' if value == '' else value}")


def _run_pipeline(parameters: dict[str, Any], output: Path, checkout: Path) -> dict[str, Any]:
    """Run the pipeline and return what its program reports; raise the error of the stage that failed."""
    earlier = prepare_output(output)
    if earlier is not None:
        print(f"the results of the earlier run are now in {earlier}", file=sys.stderr)
    report = output / "run.json"
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
