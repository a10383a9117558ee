"""Progressive training: most of it on a free simulator, some with a machine's noise, the last steps on the machine."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from quantum_db.errors import ConfigurationError
from quantum_db.execution.machines import Connection
from quantum_db.files import write_json
from quantum_db.losses import LOSSES
from quantum_db.models.saved_model import build_model
from quantum_db.seeding import numpy_generator
from quantum_db.tracking.tracker import Tracker
from quantum_db.training.batches import Rows, check_samples
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.model_spec import model_spec
from quantum_db.training.step import evaluate
from quantum_db.training.trainer import QuantumTrainer, TrainingResult

OF_THE_MODEL = frozenset(
    {
        "model", "n_qubits", "circuit_depth", "entanglement_pattern", "encoder", "encoder_options", "ansatz",
        "measurement_basis", "hidden_in", "hidden_out", "readout_scale", "precision",
    }
)  # fmt: skip
"""Settings that all stages share, since each goes on with the weights of the one before."""
JUDGED_QUBITS = 16
"""Largest circuits whose loss a stage's report computes exactly, beside the training."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")


@dataclass(frozen=True)
class Stage:
    """One stage: the settings in which it differs from the first configuration.

    With `steps` it takes exactly that many steps of `batch_size` rows each (see `subset_rows`), and keeps no rows
    aside; without, as many epochs over all rows as its configuration says.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    steps: int | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError(
                f"a stage's name has at most 41 letters a-z, digits, - and _, and begins with neither of the last "
                f"two; got {self.name!r}"
            )
        if self.steps is not None and (
            isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1
        ):
            raise ConfigurationError(f"stage {self.name!r} must have a positive number of steps, got {self.steps!r}")
        shared = sorted(OF_THE_MODEL & set(self.changes))
        if shared:
            raise ConfigurationError(
                f"stage {self.name!r} changes {', '.join(shared)}, but all stages train the same model; set it in the "
                f"first configuration"
            )
        if self.steps is not None and self.changes.get("epochs", 1) != 1:
            raise ConfigurationError(f"stage {self.name!r} has steps and epochs; leave one of them out")

    def configuration(self, first: QuantumTrainingConfig) -> QuantumTrainingConfig:
        """The settings of the stage; ConfigurationError for impossible ones."""
        counted = {"epochs": 1, "validation_fraction": 0.0, "early_stopping_patience": None}
        return first.replace(**({} if self.steps is None else counted), **self.changes)


def standard_stages(
    target: str, *, noise_model: str = "forte-1", shots: int = 200, steps: int = 5, batch_size: int = 8,
    noisy_steps: int = 20, learning_rate: float | None = None,
) -> tuple[Stage, Stage, Stage]:  # fmt: skip
    """Exact simulator for all epochs, `noisy_steps` with `noise_model` and shots, and `steps` on `target`.

    Machine and noise model have the same small batches and the same shots, so that the second stage shows, for
    nothing, what the third will meet. Debiasing is off.
    """
    rate = {} if learning_rate is None else {"learning_rate": learning_rate}
    measured = {
        "gradient_method": "parameter_shift", "gradient_options": {}, "shots_per_circuit": shots,
        "batch_size": batch_size, **rate,
    }  # fmt: skip
    simulator: dict[str, Any] = {
        "qpu_target": "simulator", "noise_model": "ideal", "shots_per_circuit": None, "gradient_method": "adjoint",
        "gradient_options": {},
    }  # fmt: skip
    return (
        Stage("simulator", simulator),
        Stage("noise", {"qpu_target": "noisy_simulator", "noise_model": noise_model, **measured}, noisy_steps),
        Stage("machine", {"qpu_target": target, "noise_model": "ideal", **measured}, steps),
    )


def subset_rows(n_rows: int, count: int, seed: int, name: str = "") -> Rows:
    """`count` of `n_rows` rows: drawn without repetition, and only when all are used up from all again.

    Every row is equally likely in every place, so the mean gradient over any part of them is an unbiased estimate of
    the mean gradient over all rows.
    """
    generator = numpy_generator(seed, "subset", name)
    rounds = [generator.permutation(n_rows) for _ in range(-(-count // n_rows))]
    return np.concatenate(rounds)[:count]


@dataclass(frozen=True)
class StageReport:
    """What a stage did: its target and run, its steps, its history, and what it used of machines.

    `loss` and `accuracy` are exact, over all rows, after the stage; None for more than JUDGED_QUBITS qubits.
    """

    name: str
    target: str
    run_id: str
    steps: int
    history: tuple[dict[str, float], ...]
    loss: float | None
    accuracy: float | None
    cost_usd: str = "0"
    circuits: int = 0
    shots: int = 0
    jobs: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain values; dollars as text."""
        return {**self.__dict__, "history": list(self.history)}


@dataclass(frozen=True, eq=False)
class ProgressiveResult:
    """The trained model, on the executor of the last stage, and the reports of all stages."""

    model: nn.Module
    stages: tuple[StageReport, ...]


class ProgressiveTrainer:
    """Trains the stages one after the other, each by a QuantumTrainer of its own with the weights of the one before.

    The optimizer begins anew in each stage. Checkpoints, journal and budget of each stage lie in
    `checkpoint_directory`, in a folder whose name follows from the settings of this stage and of all before it and from
    the data: the same call goes on after a kill, and a changed stage is trained anew with all after it. `report` names
    a JSON file that is written after each stage.
    """

    def __init__(
        self,
        config: QuantumTrainingConfig,
        stages: Sequence[Stage],
        *,
        connection: Connection | None = None,
        tracker: Tracker | None = None,
        progress: bool = True,
        report: Path | None = None,
    ) -> None:
        names = [stage.name for stage in stages]
        if not names or len(set(names)) < len(names):
            raise ConfigurationError(f"progressive training needs stages with different names, got {names}")
        self.stages = tuple(stages)
        # all at once, so that an impossible last stage is known before the first is trained
        self.configs = tuple(stage.configuration(config) for stage in stages)
        self._connection, self._tracker, self._progress = connection, tracker, progress
        self._report = report

    def fit(
        self, values: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], resume: bool = True
    ) -> ProgressiveResult:
        """Train all stages on `values` (rows, inputs) and `labels` (rows,), or go on; raises what QuantumTrainer does.

        With `resume` off, everything is trained anew; journals stay, since what they answer is paid for.
        """
        check_samples(values, labels)
        digest = hashlib.sha256(np.ascontiguousarray(values).tobytes() + np.ascontiguousarray(labels).tobytes())
        weights: dict[str, torch.Tensor] = {}
        reports: list[StageReport] = []
        for stage, config in zip(self.stages, self.configs, strict=True):
            settings = {k: v for k, v in config.to_dict().items() if k not in config.OF_THE_RUN or k == "epochs"}
            digest.update(json.dumps([stage.name, stage.steps, settings], sort_keys=True).encode())
            trainer = QuantumTrainer(
                config,
                run_id=f"{stage.name}-{digest.hexdigest()[:12]}",
                connection=self._connection,
                tracker=self._tracker,
                progress=self._progress,
                tags={"qstore.stage": stage.name},
            )
            model = trainer.build_model(values.shape[1], int(labels.max()) + 1)
            model.load_state_dict(weights or model.state_dict())
            rows = np.arange(len(labels))
            if stage.steps is not None:
                rows = subset_rows(len(labels), stage.steps * config.batch_size, config.seed, stage.name)
            result = trainer.fit(model, values[rows], labels[rows], resume)
            weights = model.state_dict()
            reports.append(_reported(stage, config, result, model, values, labels))
            if self._report is not None:
                write_json(self._report, [report.to_json() for report in reports])
        return ProgressiveResult(model, tuple(reports))


def _reported(
    stage: Stage,
    config: QuantumTrainingConfig,
    result: TrainingResult,
    model: nn.Module,
    values: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int64],
) -> StageReport:
    per_epoch = -(-(len(labels) - round(len(labels) * config.validation_fraction)) // config.batch_size)
    use = {} if result.machine_use is None else result.machine_use.to_json()
    loss, accuracy = exact_loss(config, model, values, labels)
    return StageReport(
        name=stage.name,
        target=config.qpu_target,
        run_id=result.run_id,
        steps=stage.steps or per_epoch * len(result.history),
        history=result.history,
        loss=loss,
        accuracy=accuracy,
        cost_usd=use.get("cost_usd", "0"),
        circuits=use.get("circuits", 0),
        shots=use.get("shots", 0),
        jobs=len(use.get("jobs", ())),
    )


def exact_loss(
    config: QuantumTrainingConfig,
    model: nn.Module,
    values: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int64],
) -> tuple[float, float] | tuple[None, None]:
    """Loss and accuracy with the weights of `model` on the exact simulator; None for too many qubits."""
    if config.n_qubits > JUDGED_QUBITS:
        return None, None
    spec = model_spec(config, values.shape[1], int(labels.max()) + 1)
    exact = {**spec["arguments"], "shots": None, "gradient_method": "adjoint", "gradient_options": None}
    judge = build_model({"kind": spec["kind"], "arguments": exact})
    judge.load_state_dict(model.state_dict())
    parameter = next(judge.parameters())
    rows, wanted = torch.as_tensor(values).to(parameter), torch.as_tensor(labels).to(parameter.device)
    return evaluate(judge, LOSSES.load(config.loss), rows, wanted)
