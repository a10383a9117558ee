"""Data-parallel training on several targets: the gradient of a batch from its shards, equal to that of one process."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from quantum_db.backends.protocols import Batch, Executor, RowResults
from quantum_db.backends.remote import TargetReport
from quantum_db.errors import ConfigurationError, TrainingError, TransientBackendError
from quantum_db.execution.balanced import BalancedExecutor, BalanceOptions, Candidate, Decision
from quantum_db.gradients.simulated import SimulatedGradient
from quantum_db.losses import LOSSES
from quantum_db.optimizers.build import make_optimizer
from quantum_db.optimizers.objective import BatchOptimizer
from quantum_db.seeding import numpy_generator
from quantum_db.training.batches import BatchOrder, check_samples
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.objective import BatchObjective, Loss, quantum_layers
from quantum_db.training.schedules import learning_rate_at, shots_at

T = TypeVar("T")


class QuantumLoadBalancer:
    """Chooses the target of each piece of work by status, queue, price and fidelity, and leaves one that goes down.

    With `options.mix_targets` the shards of one gradient may run on different targets. Machines differ in their errors,
    which then differ between the rows of a batch; without it (the default) each gradient runs on one target.
    """

    def __init__(self, candidates: Sequence[Candidate], options: BalanceOptions | None = None) -> None:
        options = options or BalanceOptions()
        self.mix_targets = options.mix_targets
        # a piece of work is never divided between targets; what may be mixed are whole shards
        self._balanced = BalancedExecutor(candidates, replace(options, mix_targets=False))

    @classmethod
    def of(cls, executors: Sequence[Executor], options: BalanceOptions | None = None) -> QuantumLoadBalancer:
        """Balance executors that cost nothing and are always there, such as simulators on several workers."""

        def candidate(executor: Executor) -> Candidate:
            return Candidate(executor, lambda: TargetReport(executor.name, True, "available"), lambda _: Decimal(0))

        return cls([candidate(executor) for executor in executors], options)

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of all targets."""
        return tuple(candidate.executor.name for candidate in self._balanced.candidates)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The last thousand decisions with the scores of all targets, oldest first."""
        return self._balanced.decisions

    def on_available_qpu(self, batch: Batch, work: Callable[[Executor], T]) -> T:
        """Do `work`, which begins with `batch`, on the best target; from the start on the next if that goes down.

        Raises TransientBackendError, with each reason, when all targets are down.
        """
        return self._balanced.on_one_target(batch, work)


@dataclass(frozen=True)
class ShardRecord:
    """Which target gave the gradient of a shard, from how many rows, and the targets that went down before."""

    shard: int
    rows: int
    target: str
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class DistributedGradient:
    """Loss and gradient norm of a whole batch, its outputs (rows, classes), and where its shards were run."""

    loss: float
    norm: float
    outputs: Tensor
    shards: tuple[ShardRecord, ...]


@dataclass(frozen=True)
class DistributedResult:
    """What a distributed training did: loss, accuracy and grad_norm by epoch, and the shards of every step."""

    history: tuple[dict[str, float], ...]
    steps: tuple[tuple[ShardRecord, ...], ...]


@dataclass(frozen=True)
class _Part:
    loss: float
    outputs: Tensor
    gradients: list[Tensor | None]
    record: ShardRecord


class DistributedQuantumTrainer:
    """Synchronous data-parallel training: every step divides its batch into shards and adds up their gradients.

    All shards of a step use the same weights, and their gradients are weighted by their rows, so the sum is the
    gradient of the batch. It holds for losses that are means over rows, as all of `LOSSES` are. `shards` is their
    number (one per target by default). Circuits are run by whichever target the balancer chooses: the model's own
    executors are not used. With shots, the shards of a step are sampled with seeds of their own, which depend on the
    step and on the shard and not on the target.

    Raises ConfigurationError for a gradient method that looks into a simulation, for an optimizer that uses no
    gradient, and for models whose layers mix the rows of a batch.
    """

    def __init__(
        self, config: QuantumTrainingConfig, balancer: QuantumLoadBalancer, *, shards: int | None = None
    ) -> None:
        if shards is not None and (isinstance(shards, bool) or not isinstance(shards, int) or shards < 1):
            raise ConfigurationError(f"shards must be a positive integer, got {shards!r}")
        self.config, self.balancer = config, balancer
        self.n_shards = len(balancer.targets) if shards is None else shards
        self.loss_function: Loss = LOSSES.load(config.loss)

    def train_distributed(
        self, model: nn.Module, values: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]
    ) -> DistributedResult:
        """Train `model` in place for all epochs, in the batches and with the schedules of `QuantumTrainer`.

        A step whose shards cannot all be run changes no weight and raises.
        """
        check_samples(values, labels)
        config = self.config
        optimizer = make_optimizer(
            config.optimizer, model.parameters(), config.learning_rate, config.seed, config.optimizer_options
        )
        if isinstance(optimizer, BatchOptimizer):
            raise ConfigurationError(
                f"the optimizer {config.optimizer!r} evaluates the loss by itself; distributed training takes those "
                f"that are given a gradient, such as 'adam'"
            )
        parameter = next(model.parameters())
        rows, wanted = torch.as_tensor(values).to(parameter), torch.as_tensor(labels).to(parameter.device)
        order = BatchOrder(len(labels), config.batch_size, config.seed)
        history, steps = [], []
        for epoch in range(config.epochs):
            sums = np.zeros(3)
            for number, chosen in enumerate(order.batches(epoch)):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate_at(config, epoch + number / order.batches_per_epoch)
                for layer in quantum_layers(model) if config.shots_schedule != "constant" else ():
                    layer.shots = shots_at(config, epoch)
                batch = torch.as_tensor(chosen)
                found = self.gradient(model, rows[batch], wanted[batch])
                optimizer.step()
                correct = int((found.outputs.argmax(dim=1) == wanted[batch]).sum())
                sums += (found.loss * len(batch), correct, found.norm)
                steps.append(found.shards)
            loss, correct_share = sums[:2] / len(labels)
            norm = sums[2] / order.batches_per_epoch
            history.append({"loss": float(loss), "accuracy": float(correct_share), "grad_norm": float(norm)})
        return DistributedResult(tuple(history), tuple(steps))

    def gradient(self, model: nn.Module, values: Tensor, labels: Tensor) -> DistributedGradient:
        """The gradient of the loss on all rows, put into the parameters of `model`.

        If a shard fails for good the others are waited for, no gradient is set, and its error is raised. Raises
        TrainingError when loss or gradient is no number.
        """
        _check_model(model)
        shards = [rows for rows in np.array_split(np.arange(len(labels)), self.n_shards) if len(rows)]
        if self.balancer.mix_targets:
            parts = self._on_many(model, values, labels, shards)
        else:
            parts = self._on_one(model, values, labels, shards)
        self._add_up(model, parts, len(labels))
        for layer in quantum_layers(model):
            layer.sampled_batches += 1  # the next step draws other samples
        norms = [torch.linalg.vector_norm(p.grad) for p in model.parameters() if p.grad is not None]
        norm = float(torch.linalg.vector_norm(torch.stack(norms)))
        loss = sum(part.loss * part.record.rows for part in parts) / len(labels)
        if not np.isfinite([loss, norm]).all():
            raise TrainingError(
                f"training diverged: the loss is {loss} and the gradient's norm {norm}; lower the learning rate"
            )
        return DistributedGradient(
            loss, norm, torch.cat([part.outputs for part in parts]), tuple(part.record for part in parts)
        )

    def _on_many(self, model: nn.Module, values: Tensor, labels: Tensor, shards: list[_Rows]) -> list[_Part]:
        """Each shard on a target of its own choice."""

        def run(number: int) -> _Part:
            rows = torch.as_tensor(shards[number])
            left: list[str] = []

            def work(target: Executor) -> _Part:
                with _noting(left, target):
                    return self._part(model, values[rows], labels[rows], target, (number, len(shards)), left)

            return self.balancer.on_available_qpu(_first_batch(model, values[rows], (number, len(shards))), work)

        return _all(run, len(shards))

    def _on_one(self, model: nn.Module, values: Tensor, labels: Tensor, shards: list[_Rows]) -> list[_Part]:
        """All shards on one target, and all of them again on another if that one goes down."""
        left: list[str] = []

        def work(target: Executor) -> list[_Part]:
            def run(number: int) -> _Part:
                rows = torch.as_tensor(shards[number])
                return self._part(model, values[rows], labels[rows], target, (number, len(shards)), left)

            with _noting(left, target):
                return _all(run, len(shards))

        rows = torch.as_tensor(shards[0])
        return self.balancer.on_available_qpu(_first_batch(model, values[rows], (0, len(shards))), work)

    def _part(
        self, model: nn.Module, values: Tensor, labels: Tensor, target: Executor, place: _Place, left: list[str]
    ) -> _Part:
        """The gradient of one shard by a copy of the model, so that an attempt that fails leaves nothing behind."""
        replica = _replica(model, target, place)
        found = BatchObjective(replica, self.loss_function, values, labels).gradient()
        record = ShardRecord(place[0], len(labels), target.name, tuple(left))
        return _Part(found.loss, found.outputs, [p.grad for p in replica.parameters()], record)

    @staticmethod
    def _add_up(model: nn.Module, parts: Sequence[_Part], n_rows: int) -> None:
        for index, parameter in enumerate(model.parameters()):
            parameter.grad = None
            for part in parts:  # in the order of the shards, so that the sum does not depend on who was first
                found = part.gradients[index]
                if found is not None:
                    share = found * (part.record.rows / n_rows)
                    parameter.grad = share if parameter.grad is None else parameter.grad + share


_Rows = npt.NDArray[np.int64]
_Place = tuple[int, int]
"""Number of a shard, and how many there are."""


class _Asked:
    """In place of a target, to learn what will be asked of it: keeps the batches and answers with zeros."""

    name, differentiable = "asked", False

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        self.batches.append(batch)
        return tuple(RowResults(np.zeros((part.n_rows, len(part.circuit.observables)))) for part in batch.parts)


def _first_batch(model: nn.Module, values: Tensor, place: _Place) -> Batch:
    """The batch that a shard begins with, by which its target is chosen, or found again after a kill."""
    asked = _Asked()
    with torch.no_grad():
        _replica(model, asked, place)(values)
    return asked.batches[0]


def _replica(model: nn.Module, executor: Executor, place: _Place) -> nn.Module:
    """A copy of the model that runs its circuits on `executor`, and draws the samples of its shard."""
    shared = {id(layer.executor): executor for layer in quantum_layers(model)}
    replica = copy.deepcopy(model, shared)
    number, count = place
    for layer in quantum_layers(replica):
        if count > 1:
            layer.seed = int(numpy_generator(layer.seed, "shard", number).integers(2**32))
    return replica


@contextmanager
def _noting(left: list[str], target: Executor) -> Iterator[None]:
    """Add the name of a target that goes down to those that were left."""
    try:
        yield
    except TransientBackendError:
        left.append(target.name)
        raise


def _all(run: Callable[[int], _Part], count: int) -> list[_Part]:
    """All shards at the same time; every one is waited for before the first error is raised."""
    with ThreadPoolExecutor(max_workers=count, thread_name_prefix="shard") as pool:
        futures = [pool.submit(run, number) for number in range(count)]
    errors = [error for future in futures if (error := future.exception()) is not None]
    # what says that a job may be running weighs more than a target that is down: nothing may be sent elsewhere then
    errors.sort(key=lambda error: isinstance(error, TransientBackendError))
    if errors:
        for error in errors[1:]:
            errors[0].add_note(f"another shard failed too: {error}")
        raise errors[0]
    return [future.result() for future in futures]


def _check_model(model: nn.Module) -> None:
    for layer in quantum_layers(model):
        if isinstance(layer.method, SimulatedGradient):
            raise ConfigurationError(
                "a shard's gradient comes from circuits run on its target; use gradient_method 'parameter_shift' or "
                "'spsa' instead of one that looks into a simulation of this process"
            )
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):
        raise ConfigurationError(
            "the model normalises over the rows of a batch, so the gradients of its shards do not add up to that of "
            "the batch; use a model without batch normalisation"
        )
