"""`QuantumTrainer`: trains a model on rows of values, watched, checkpointed and resumable bit for bit."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from tqdm import tqdm

from quantum_db.backends.protocols import Executor
from quantum_db.checkpoints import Checkpoint, LocalCheckpointStore
from quantum_db.checkpoints.local_store import check_run_id
from quantum_db.circuits.light_cone import dead_weights
from quantum_db.errors import StageInputError
from quantum_db.execution.machines import Connection, MachineRun, RunFolder
from quantum_db.files import read_json, write_json
from quantum_db.losses import LOSSES
from quantum_db.models.saved_model import build_model
from quantum_db.optimizers.build import make_optimizer
from quantum_db.optimizers.objective import BatchOptimizer
from quantum_db.seeding import torch_generator
from quantum_db.simulation.threads import threads_for
from quantum_db.tracking.tracker import NullTracker, RunStatus, Tracker
from quantum_db.training.batches import BatchOrder, check_samples, hold_out
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.model_spec import model_spec
from quantum_db.training.run_executor import MachineUse, RunExecutor, UseByEpoch, training_executor
from quantum_db.training.run_identity import default_run_id, run_identity
from quantum_db.training.schedules import learning_rate_at, shots_at
from quantum_db.training.state import EpochSums, Progress, capture, restore, sums_record
from quantum_db.training.step import Loss, evaluate, optimization_step, quantum_layers
from quantum_db.training.tracked_use import track_use

_LOG = logging.getLogger(__name__)
_TRACKED = {
    "loss": "train_loss",
    "accuracy": "train_accuracy",
    "circuit_time_ms": "quantum_circuit_time",
    "grad_norm": "gradient_norm",
}
"""Names in the tracking store of what an epoch measures; other names stay as they are."""


@dataclass(frozen=True)
class TrainingResult:
    """What a run did.

    `history` has one record per epoch: loss and accuracy (means over the epoch's batches, before each update),
    grad_norm (mean over batches), circuit_time_ms (spent on circuits, forward and shifted), seconds, and
    validation_loss and validation_accuracy where rows were held out; on machines also cost_usd, circuits, shots, jobs,
    queue_s and run_s. `machine_use` sums that up, None without machines.
    """

    history: tuple[dict[str, float], ...]
    run_id: str
    tracking_run_id: str
    resumed_at_epoch: int
    best_epoch: int
    stopped_early: bool
    machine_use: MachineUse | None = None


class QuantumTrainer:
    """Trains with the settings of a configuration.

    `tracker` records the run; `run_id` names its checkpoints (by default made from what is trained on what, so that
    the same call goes on after a kill); `progress` shows a bar on a terminal. With `checkpoints` False nothing is
    written. Machines need a `connection`; journal and budget lie beside the checkpoints of the run.
    """

    def __init__(
        self,
        config: QuantumTrainingConfig,
        *,
        executor: Executor | None = None,
        tracker: Tracker | None = None,
        run_id: str = "",
        progress: bool = True,
        checkpoints: bool = True,
        tags: Mapping[str, str] | None = None,
        connection: Connection | None = None,
    ) -> None:
        self.config = config
        self.quantum_backend = training_executor(config.execution, connection) if executor is None else executor
        self.loss_function: Loss = LOSSES.load(config.loss)
        self._tracker: Tracker = NullTracker() if tracker is None else tracker
        self._run_id = run_id
        self._progress = progress
        self._tags = dict(tags or {})
        self._store = LocalCheckpointStore(Path(config.checkpoint_directory)) if checkpoints else None

    def build_model(self, input_dim: int, n_classes: int) -> nn.Module:
        """The untrained model of the configuration, on this trainer's executor."""
        model = build_model(model_spec(self.config, input_dim, n_classes), self.quantum_backend)
        return model.to(self.config.device)

    def fit(
        self, model: nn.Module, values: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], resume: bool = True
    ) -> TrainingResult:
        """Train `model` in place on `values` (rows, inputs) and `labels` (rows,).

        With `resume` a run that has checkpoints goes on from the newest one; without, they are removed and it starts
        anew. Raises StoreError when the checkpoint to go on from is damaged or of another configuration, TrainingError
        when the loss stops being a number.
        """
        check_samples(values, labels)
        run = _Run(self, model, values, labels)
        with closing(self._opened(run.run_id)) as machine:
            return self._fit(run, machine, resume)

    def _opened(self, run_id: str) -> MachineRun | _NoMachine:
        """The run on machines, which is to be closed; nothing for an executor of this process."""
        if not isinstance(self.quantum_backend, RunExecutor):
            return _NoMachine()
        folder = None if self._store is None else RunFolder(self._store.root / check_run_id(run_id), run_id)
        return self.quantum_backend.open(folder)

    def _fit(self, run: _Run, machine: MachineRun | _NoMachine, resume: bool) -> TrainingResult:
        model = run.model
        run.machine = machine if isinstance(machine, MachineRun) else None
        run.check_classes()
        qubits = max((layer.n_qubits for layer in quantum_layers(model)), default=0)
        with torch.random.fork_rng(devices=[]), threads_for(qubits, self.config.batch_size):
            torch.set_rng_state(torch_generator(self.config.seed, "training").get_state())
            if resume:
                run.resume()
            else:
                run.start_anew()
            run.begin()
            status: RunStatus = "FAILED"
            run.start_tracking(self._tags)
            try:
                result = run.train()
                status = "FINISHED"
            except KeyboardInterrupt:
                status = "KILLED"
                raise
            finally:
                use = run.track_use()
                self._tracker.finish(status)
        run.keep_tracking_id()
        # a slow store may tell the id of the run as late as its end
        return replace(result, tracking_run_id=self._tracker.run_id, machine_use=use)


class _NoMachine:
    """In place of a run on machines, for executors of this process."""

    def close(self) -> None:
        """Nothing is open."""


class _Run:
    """One call of `fit`: the model, its optimizer, where it stands, and what is kept of it."""

    def __init__(
        self,
        trainer: QuantumTrainer,
        model: nn.Module,
        values: npt.NDArray[np.float64],
        labels: npt.NDArray[np.int64],
    ) -> None:
        config = self.config = trainer.config
        self.model, self.loss_function = model, trainer.loss_function
        self.optimizer = make_optimizer(
            config.optimizer, model.parameters(), config.learning_rate, config.seed, config.optimizer_options
        )
        self.tracker, self.store, self.show_bar = trainer._tracker, trainer._store, trainer._progress
        parameter = next(model.parameters())
        self.values = torch.as_tensor(values).to(parameter)
        self.labels = torch.as_tensor(labels).to(parameter.device)
        training, validation = hold_out(labels, config.validation_fraction, config.seed)
        self.training, self.validation = (torch.as_tensor(rows) for rows in (training, validation))
        self.order = BatchOrder(len(training), config.batch_size, config.seed)
        self.progress = Progress()
        self.best: dict[str, torch.Tensor] | None = None
        self.identity = run_identity(config, model, values, labels)
        self.run_id = trainer._run_id or default_run_id(config, self.identity)
        self.resumed_at_epoch = 0
        self.machine: MachineRun | None = None
        self.use = UseByEpoch(None, resumed=False)
        self.last_batch: Checkpoint | None = None

    def resume(self) -> None:
        """Go on from the newest checkpoint of this run, if there is one."""
        checkpoint = None if self.store is None else self.store.latest(self.run_id)
        if checkpoint is None:
            return
        self.progress, self.best = restore(checkpoint, self.model, self.optimizer, self.identity)
        self.resumed_at_epoch = self.progress.epoch
        _LOG.info("run %s goes on after epoch %d, batch %d", self.run_id, self.progress.epoch, self.progress.batch)

    def start_anew(self) -> None:
        """Drop what an earlier run of this name left, which a later resume would take for the state of this one.

        Its journal and its budget stay: what they answer is paid for.
        """
        if self.store is not None:
            self.store.discard(self.run_id)
        file = self._tracking_file()
        if file is not None:
            file.unlink(missing_ok=True)

    def begin(self) -> None:
        """Begin to count what is used of machines, and to remember the state after each batch."""
        self.use = UseByEpoch(self.machine, resumed=self.progress.epoch > 0 or self.progress.batch > 0)
        self._remember()

    def start_tracking(self, tags: Mapping[str, str]) -> None:
        known = self._tracking_file()
        earlier = read_json(known)["run_id"] if known is not None and known.exists() else None
        params = {key: value for key, value in self.config.to_dict().items() if key != "checkpoint_directory"}
        self.tracker.start(self.run_id, params, {"qstore.run_id": self.run_id, **tags}, resume_run_id=earlier)
        self.keep_tracking_id()
        # what was still on its way when the run was killed; the store skips the steps it already has
        for number, record in enumerate(self.progress.history, start=1):
            self._track(record, number)
        self.tracker.log_dict(self.config.to_dict(), "quantum_config.json")
        for number, layer in enumerate(quantum_layers(self.model)):
            self.tracker.log_text(str(layer.circuit) + "\n", f"circuit_{number}.txt")
            pairs = [list(pair) for pair in layer.circuit.entanglement_map()]
            self.tracker.log_dict({"pairs": pairs}, f"entanglement_map_{number}.json")
            if dead := dead_weights(layer.circuit):
                _LOG.warning(
                    "%d of %d angles cannot move any observable (weights %s); they are never trained",
                    len(dead),
                    layer.parameter_count,
                    ", ".join(map(str, dead)),
                )

    def train(self) -> TrainingResult:
        self.model.train()
        per_epoch = self.order.batches_per_epoch
        done = self.progress.epoch * per_epoch + self.progress.batch
        bar = tqdm(
            total=self.config.epochs * per_epoch,
            initial=done,
            unit="batch",
            desc="training",
            disable=None if self.show_bar else True,
        )
        with bar:
            try:
                while self.progress.epoch < self.config.epochs and not self.progress.stopped_early and not self._spent:
                    self._train_epoch(bar)
            except BaseException:
                self._keep_last_batch()
                raise
        if self.best is not None:
            self.model.load_state_dict(self.best)
        elif isinstance(self.optimizer, BatchOptimizer):
            self.optimizer.finish()
        return TrainingResult(
            history=tuple(self.progress.history),
            run_id=self.run_id,
            tracking_run_id=self.tracker.run_id,
            resumed_at_epoch=self.resumed_at_epoch,
            best_epoch=self.progress.best_epoch or self.progress.epoch,
            stopped_early=self.progress.stopped_early,
        )

    @property
    def _spent(self) -> bool:
        """Whether the optimizer ends the run."""
        return isinstance(self.optimizer, BatchOptimizer) and self.optimizer.finished

    def _follow_schedules(self) -> None:
        """Set the learning rate and the shots of the next batch."""
        epoch = self.progress.epoch
        rate = learning_rate_at(self.config, epoch + self.progress.batch / self.order.batches_per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if self.config.shots_schedule != "constant":
            for layer in quantum_layers(self.model):
                layer.shots = shots_at(self.config, epoch)

    def _train_epoch(self, bar: Any) -> None:
        batches = self.order.batches(self.progress.epoch)
        for number in range(self.progress.batch, len(batches)):
            self._follow_schedules()
            self._train_batch(self.training[torch.as_tensor(batches[number])])
            self.progress.batch = number + 1
            self._remember()
            bar.update()
            if self._spent:
                break
            every = self.config.checkpoint_batches
            if every is not None and (number + 1) % every == 0 and number + 1 < len(batches):
                self._checkpoint()
        record = self._finish_epoch()
        bar.set_postfix(loss=f"{record['loss']:.4f}", accuracy=f"{record['accuracy']:.3f}")
        if bar.disable:
            told = ", ".join(f"{name} {value:.4g}" for name, value in record.items())
            _LOG.info("epoch %d of %d: %s", self.progress.epoch, self.config.epochs, told)

    def _train_batch(self, rows: torch.Tensor) -> None:
        started = time.perf_counter()
        step = optimization_step(self.model, self.optimizer, self.loss_function, self.values[rows], self.labels[rows])
        sums = self.progress.sums
        sums.rows += len(rows)
        sums.loss += step.loss * len(rows)
        sums.correct += step.correct
        sums.grad_norm += step.grad_norm
        sums.batches += 1
        sums.circuit_seconds += step.circuit_seconds
        sums.seconds += time.perf_counter() - started
        self.use.book(sums)

    def _finish_epoch(self) -> dict[str, float]:
        progress = self.progress
        record = sums_record(progress.sums)
        if len(self.validation):
            rows = self.validation
            loss, accuracy = evaluate(self.model, self.loss_function, self.values[rows], self.labels[rows])
            record |= {"validation_loss": loss, "validation_accuracy": accuracy}
            self.use.book(progress.sums)
        record |= self.use.record(progress.sums)
        progress.epoch, progress.batch, progress.sums = progress.epoch + 1, 0, EpochSums()
        progress.history.append(record)
        self._watch(record)
        self._remember()
        self._track(record, progress.epoch)
        last = progress.epoch == self.config.epochs or progress.stopped_early or self._spent
        if last or progress.epoch % self.config.checkpoint_interval == 0:
            self._checkpoint()
        return record

    def _track(self, record: Mapping[str, float], epoch: int) -> None:
        self.tracker.log_metrics({_TRACKED.get(name, name): value for name, value in record.items()}, step=epoch)

    def _watch(self, record: Mapping[str, float]) -> None:
        """Early stopping: remember the best weights, stop when they have been the best for too long."""
        patience = self.config.early_stopping_patience
        if patience is None:
            return
        progress, loss = self.progress, record["validation_loss"]
        if progress.best_loss is None or loss < progress.best_loss:
            progress.best_loss, progress.best_epoch = loss, progress.epoch
            self.best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        progress.stopped_early = progress.epoch - progress.best_epoch >= patience

    def _checkpoint(self) -> None:
        if self.store is None:
            return
        checkpoint: Checkpoint = capture(self.model, self.optimizer, self.progress, self.best, self.identity)
        self.store.write(self.run_id, self.progress.epoch, self.progress.batch, checkpoint)
        self.keep_tracking_id()

    def _remember(self) -> None:
        """Keep the state after the last finished batch, for a step on machines that cannot be finished."""
        if self.machine is not None and self.store is not None:
            self.last_batch = capture(self.model, self.optimizer, self.progress, self.best, self.identity)

    def _keep_last_batch(self) -> None:
        """Write the state after the last finished batch: the run goes on from there, and asks the same again."""
        if self.store is not None and self.last_batch is not None:
            done = self.last_batch.manifest["progress"]
            self.store.write(self.run_id, done["epoch"], done["batch"], self.last_batch)
            _LOG.warning("run %s stops after epoch %d, batch %d", self.run_id, done["epoch"], done["batch"])

    def track_use(self) -> MachineUse | None:
        """Record what the run has used of machines, in total and job by job."""
        if self.machine is None:
            return None
        use = MachineUse.of(self.machine)
        track_use(self.tracker, use, self.progress.epoch)
        return use

    def _tracking_file(self) -> Path | None:
        return None if self.store is None else self.store.root / self.run_id / "tracking.json"

    def keep_tracking_id(self) -> None:
        """Write down which run of the tracking store this is, as soon as the store has told."""
        file = self._tracking_file()
        if file is not None and self.tracker.run_id and not file.exists():
            write_json(file, {"run_id": self.tracker.run_id})

    def check_classes(self) -> None:
        """Refuse labels that the model has no output for, before anything is trained."""
        self.model.eval()  # no random numbers and no statistics are taken from this row, and no circuit is run for it
        with torch.no_grad(), ExitStack() as looking:
            for layer in quantum_layers(self.model):
                looking.enter_context(layer.shapes_only())
            outputs = self.model(self.values[:1]).shape[1]
        highest = int(self.labels.max())
        if highest >= outputs:
            raise StageInputError(f"the labels go up to {highest}, but the model has {outputs} outputs")
