"""Stage train: an encoded dataset becomes a trained model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from quantum_db import settings
from quantum_db.checkpoints.checkpoint import MANIFEST
from quantum_db.data.encoded import DRAWING_FILE, EncodedDataset
from quantum_db.errors import StageInputError
from quantum_db.files import check_output_directory, write_text
from quantum_db.models.saved_model import parameter_count, weights_digest, write_model
from quantum_db.planning.run_plan import check_budget
from quantum_db.stages.planned_training import plan_of, training_config
from quantum_db.tracking.buffered_tracker import BufferedTracker
from quantum_db.tracking.mlflow_tracker import MlflowTracker
from quantum_db.tracking.provenance import git_commit, library_versions, provenance_tags
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.custody import custody_chain
from quantum_db.training.model_spec import model_spec
from quantum_db.training.step import quantum_layers
from quantum_db.training.trainer import QuantumTrainer, TrainingResult


@dataclass(frozen=True)
class TrainSpec:
    """What to train on, with which settings, and where to write the model."""

    encoded_data: Path = field(metadata={"help": "directory with the encoded dataset"})
    model: Path = field(metadata={"help": "directory to write the model to"})
    model_config: str = field(default="{}", metadata={"help": "settings as a JSON object"})
    qpu_target: str = field(default="simulator", metadata={"help": "what runs the circuits"})
    seed: int = field(default=0, metadata={"help": "seed of the run; one seed gives one model"})
    budget_usd: str = field(default="", metadata={"help": "US dollars that the run may cost; none sets no limit"})
    checkpoints: Path | None = field(
        default=None, metadata={"help": "folder for checkpoints; beside the model if unset"}
    )
    tracking_uri: str = field(
        default="", metadata={"help": "MLflow store; else MLFLOW_TRACKING_URI, else a SQLite file beside the model"}
    )
    run_id: str = field(default="", metadata={"help": "name of the run's checkpoints; made from its inputs if unset"})
    report_html: Path | None = field(default=None, metadata={"help": "file to write a report for people to"})
    resume: bool = field(default=True, metadata={"help": "go on from the checkpoints of this run if there are some"})


@dataclass(frozen=True)
class TrainReport:
    """What came out: loss and accuracy of the last epoch on the training split, and where the run is recorded."""

    loss: float
    accuracy: float
    epochs: int
    parameter_count: int
    quantum_parameters: int
    dead_parameters: int
    description: str
    run_id: str
    mlflow_run_id: str
    tracking_uri: str
    resumed_at_epoch: int
    stopped_early: bool
    model_digest: str
    seconds: float
    history: dict[str, list[float]]
    cost_usd: str = "0"
    """US dollars that the run has cost, exact."""
    jobs: int = 0
    circuits: int = 0
    """Circuits and jobs on machines."""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return asdict(self)


def run(spec: TrainSpec) -> TrainReport:
    """Train and write the model of `spec`; raise a QStoreError that says what is wrong when that cannot be done."""
    started = time.perf_counter()
    check_output_directory(spec.model, MANIFEST)
    checkpoints = spec.checkpoints or spec.model.parent / "checkpoints"
    config = training_config(spec.model_config, spec.qpu_target, spec.seed, spec.budget_usd).replace(
        checkpoint_directory=str(checkpoints)
    )
    connection = settings.machine_connection(config.qpu_target)
    encoded = EncodedDataset.load(spec.encoded_data)
    if connection is not None and config.budget_usd:
        check_budget(plan_of(config, encoded))
    tracking_uri = settings.choose_tracking_uri(spec.tracking_uri, spec.model.parent)
    tracker = BufferedTracker(MlflowTracker(tracking_uri), spool=spec.model.parent / "tracking-unsent.jsonl")
    tags = {**provenance_tags(), "dataset": encoded.dataset_name, "dataset_digest": encoded.dataset_digest}
    trainer = QuantumTrainer(config, tracker=tracker, run_id=spec.run_id, tags=tags, connection=connection)
    model = trainer.build_model(encoded.n_inputs, encoded.n_classes)
    _check_encoding(model, encoded)
    result = trainer.fit(model, encoded.train_values, encoded.train_labels, resume=spec.resume)
    digest = write_model(
        spec.model,
        model,
        model_spec(config, encoded.n_inputs, encoded.n_classes),
        encoded.preprocessing,
        encoded.raw_examples,
        _details(config, encoded, model, result),
    )
    report = _report(model, result, tracking_uri, digest, time.perf_counter() - started)
    if spec.report_html is not None:
        drawing = (spec.encoded_data / DRAWING_FILE).read_text()
        write_text(spec.report_html, _html(report, config, encoded, drawing))
    return report


def _check_encoding(model: nn.Module, encoded: EncodedDataset) -> None:
    """The model must run the circuit that was encoded for, and fill its slots as the encode stage did."""
    (layer,) = quantum_layers(model)
    wanted = encoded.encoding["circuit_fingerprint"]
    if layer.circuit.fingerprint != wanted:
        raise StageInputError(
            f"the dataset was encoded for circuit {wanted[:12]}, the configuration builds "
            f"{layer.circuit.fingerprint[:12]}; give quantum-encode and train the same model configuration"
        )
    if encoded.train_slots is not None:
        slots = layer.encoder.slot_values(encoded.train_values)
        if not np.array_equal(slots, encoded.train_slots):
            raise StageInputError(
                "this release fills the circuit's slots otherwise than the one that encoded the dataset; run "
                "quantum-encode again with the same release"
            )


def _series(history: tuple[dict[str, float], ...]) -> dict[str, list[float]]:
    names = history[-1] if history else {}
    return {name: [record[name] for record in history] for name in names}


def _details(
    config: QuantumTrainingConfig, encoded: EncodedDataset, model: nn.Module, result: TrainingResult
) -> dict[str, Any]:
    return {
        "class_names": list(encoded.class_names),
        "feature_names": list(encoded.feature_names),
        "config": {key: value for key, value in config.to_dict().items() if key != "checkpoint_directory"},
        "circuit": dict(encoded.encoding["statistics"]) | {"fingerprint": encoded.encoding["circuit_fingerprint"]},
        "description": str(getattr(model, "description", type(model).__name__)),
        "dataset": {"name": encoded.dataset_name, "digest": encoded.dataset_digest},
        "run_id": result.run_id,
        "mlflow_run_id": result.tracking_run_id,
        "history": _series(result.history),
        "versions": library_versions(),
        "custody": _custody(config, encoded, model, result),
    }


def _custody(
    config: QuantumTrainingConfig, encoded: EncodedDataset, model: nn.Module, result: TrainingResult
) -> dict[str, Any]:
    return custody_chain(
        config,
        dataset={"name": encoded.dataset_name, "digest": encoded.dataset_digest},
        code={"versions": library_versions(), "commit": git_commit()},
        run={"run_id": result.run_id, "mlflow_run_id": result.tracking_run_id},
        weights_digest=weights_digest({name: tensor.cpu().numpy() for name, tensor in model.state_dict().items()}),
        use=result.machine_use,
    )


def _report(model: nn.Module, result: TrainingResult, tracking_uri: str, digest: str, seconds: float) -> TrainReport:
    (layer,) = quantum_layers(model)
    last = result.history[result.best_epoch - 1]
    return TrainReport(
        loss=last["loss"],
        accuracy=last["accuracy"],
        epochs=len(result.history),
        parameter_count=parameter_count(model),
        quantum_parameters=layer.parameter_count,
        dead_parameters=len(layer.dead_weights),
        description=str(getattr(model, "description", type(model).__name__)),
        run_id=result.run_id,
        mlflow_run_id=result.tracking_run_id,
        tracking_uri=tracking_uri,
        resumed_at_epoch=result.resumed_at_epoch,
        stopped_early=result.stopped_early,
        model_digest=digest,
        seconds=seconds,
        history=_series(result.history),
        **_use(result),
    )


def _use(result: TrainingResult) -> dict[str, Any]:
    use = result.machine_use
    if use is None:
        return {}
    return {"cost_usd": str(use.cost_usd), "jobs": len(use.jobs), "circuits": sum(job.circuits for job in use.jobs)}


def _html(report: TrainReport, config: QuantumTrainingConfig, encoded: EncodedDataset, drawing: str) -> str:
    from quantum_db.reporting.charts import loss_curve
    from quantum_db.reporting.page import Section, facts, figure, page, paragraph, tiles

    numbers: Mapping[str, str | int] = {
        "epochs": report.epochs,
        "training loss": f"{report.loss:.4f}",
        "training accuracy": f"{report.accuracy:.1%}",
        "parameters": report.parameter_count,
    }
    told = (
        f"{report.description}. {report.quantum_parameters} of {report.parameter_count} parameters are angles of the "
        f"circuit; {report.dead_parameters} of these cannot move any observable and stay as they were drawn."
    )
    resumed = f"Resumed after epoch {report.resumed_at_epoch}." if report.resumed_at_epoch else ""
    run_facts = {
        "dataset": encoded.dataset_name,
        "run": report.run_id,
        "MLflow run": report.mlflow_run_id or "not recorded: the tracking store did not answer",
        "MLflow store": report.tracking_uri,
        "model digest": report.model_digest,
        "seconds": f"{report.seconds:.1f}",
    }
    if report.jobs:
        run_facts |= {
            "target": config.qpu_target,
            "US dollars": report.cost_usd,
            "jobs": f"{report.jobs:,}",
            "circuits on machines": f"{report.circuits:,}",
        }
    sections = [
        Section("", tiles(numbers) + paragraph(f"{told} {resumed}".strip())),
        Section("Learning", figure(loss_curve(report.history), "Loss and accuracy by epoch")),
        Section("Circuit", figure(drawing, "Feature slots x, trainable weights w")),
        Section("Run", facts(run_facts)),
        Section("Configuration", facts({name: str(value) for name, value in sorted(config.to_dict().items())})),
    ]
    return page("Training", sections)
