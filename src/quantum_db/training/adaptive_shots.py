"""Shots that grow with the need for them, behind a rehearsal that compares them with fixed shots first."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from math import inf
from statistics import mean, median

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from quantum_db.backends.protocols import Batch, RowResults
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.errors import ConfigurationError
from quantum_db.execution.measured import measured_circuits
from quantum_db.losses import LOSSES
from quantum_db.models.saved_model import build_model
from quantum_db.optimizers.build import make_optimizer
from quantum_db.pricing import CircuitSize, PriceTable, mitigation_applies
from quantum_db.training.batches import BatchOrder, check_samples
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.model_spec import model_spec
from quantum_db.training.objective import BatchObjective, quantum_layers
from quantum_db.training.progressive import JUDGED_QUBITS, exact_loss
from quantum_db.training.schedules import learning_rate_at, needed_shots, shots_at
from quantum_db.training.step import optimization_step

Charge = Callable[[tuple[CircuitSize, ...], int], Decimal]
"""What one job costs: sizes of its circuits, and the shots of each."""
_PROBES = 6
"""Sampled gradients by which the noise of a gradient is measured."""


@dataclass(frozen=True)
class Rehearsal:
    """Training runs on the simulator with one plan of shots: by epoch, the exact loss and the cost so far (means)."""

    shots: tuple[int, ...]
    losses: tuple[float, ...]
    costs: tuple[Decimal, ...]

    def cost_to(self, loss: float) -> Decimal:
        """The cost up to the first epoch after which the loss is at most `loss`; ValueError if there is none."""
        reached = [cost for found, cost in zip(self.losses, self.costs, strict=True) if found <= loss]
        if not reached:
            raise ValueError(f"the loss {loss} was never reached; the lowest was {min(self.losses)}")
        return reached[0]


@dataclass(frozen=True)
class ShotsComparison:
    """Fixed and adaptive shots, rehearsed on the simulator, and their costs to the same loss.

    `signal_to_noise` is that of the gradient at the fixed shots, by epoch. `unit` says what the costs count.
    """

    config: QuantumTrainingConfig
    adaptive_config: QuantumTrainingConfig
    fixed: Rehearsal
    adaptive: Rehearsal
    signal_to_noise: tuple[float, ...]
    unit: str

    @property
    def loss(self) -> float:
        """The loss that both reach."""
        return max(min(self.fixed.losses), min(self.adaptive.losses))

    @property
    def costs(self) -> tuple[Decimal, Decimal]:
        """What fixed and adaptive shots cost up to that loss."""
        return self.fixed.cost_to(self.loss), self.adaptive.cost_to(self.loss)

    @property
    def adaptive_is_cheaper(self) -> bool:
        """Whether adaptive shots cost less to the same loss, and do not end above the loss of fixed shots."""
        fixed, adaptive = self.costs
        return adaptive < fixed and min(self.adaptive.losses) <= 1.02 * min(self.fixed.losses)

    @property
    def sentence(self) -> str:
        """The comparison in words."""
        fixed, adaptive = self.costs
        plan = f"{self.adaptive.shots[0]} to {self.adaptive.shots[-1]} shots"
        verdict = "Adaptive shots are cheaper" if self.adaptive_is_cheaper else "Fixed shots are the better choice"
        return (
            f"{verdict}: to a loss of {self.loss:.4f} on the simulator, {self.fixed.shots[0]} shots cost {fixed:,f} "
            f"{self.unit}, and {plan} {adaptive:,f}; the lowest losses were {min(self.fixed.losses):.4f} and "
            f"{min(self.adaptive.losses):.4f}."
        )

    def chosen(self) -> QuantumTrainingConfig:
        """The configuration with adaptive shots; ConfigurationError, with the figures, where they are not cheaper."""
        if not self.adaptive_is_cheaper:
            raise ConfigurationError(f"adaptive shots are refused. {self.sentence} Keep shots_schedule 'constant'")
        return self.adaptive_config


def priced(prices: PriceTable, target: str, debiasing: bool = False) -> Charge:
    """The charge for a job on `target`, in US dollars, by the usual reading of its minimum."""

    def charge(sizes: tuple[CircuitSize, ...], shots: int) -> Decimal:
        mitigated = mitigation_applies(target, shots, {"error_mitigation": {"debiasing": debiasing}})
        return prices.quote(target, sizes, shots, mitigated).amount

    return charge


def compare_shots(
    config: QuantumTrainingConfig,
    values: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int64],
    *,
    charge: Charge | None = None,
    signal_to_noise: float = 1.0,
    most_shots: int = 10_000,
    seeds: int = 3,
) -> ShotsComparison:
    """Rehearse `config` with its fixed shots, and with shots that grow by the gradient's signal-to-noise ratio.

    The ratio is measured along the rehearsal with fixed shots, on the first batch of each epoch. Shots that would give
    `signal_to_noise` at the beginning and at the end are the ends of a linear schedule, never falling and at most
    `most_shots`. Costs are those of `charge`; without it, shots are counted. Each rehearsal is the mean over `seeds`
    seeds of the samples. Everything runs on the exact simulator, without noise, and costs nothing.

    Raises ConfigurationError for a configuration without shots, with a schedule already or of a single epoch, and for
    circuits too large to rehearse.
    """
    check_samples(values, labels)
    _check(config)
    free = config.replace(
        qpu_target="simulator", noise_model="ideal", budget_usd="", session_id="", native=False, debiasing=False,
        mitigation={}, balance={},
    )  # fmt: skip
    rehearse = partial(_rehearsed, values=values, labels=labels, charge=charge or _shots, seeds=seeds)
    fixed, ratios = rehearse(free, probe=True)
    base = fixed.shots[0]
    needed = [needed_shots(base, ratio, signal_to_noise, most_shots) for ratio in ratios]
    third = max(1, len(needed) // 3)
    first = round(median(needed[:third]))
    last = max(first, round(median(needed[-third:])))
    schedule = {"shots_schedule": "linear", "shots_per_circuit": first, "shots_final": last}
    adaptive, _ = rehearse(free.replace(**schedule), probe=False)
    unit = "shots" if charge is None else "USD"
    return ShotsComparison(config, config.replace(**schedule), fixed, adaptive, tuple(ratios), unit)


def _shots(sizes: tuple[CircuitSize, ...], shots: int) -> Decimal:
    return Decimal(len(sizes) * shots)


def _check(config: QuantumTrainingConfig) -> None:
    if config.shots_per_circuit is None or config.shots_schedule != "constant":
        raise ConfigurationError(
            f"adaptive shots are compared with fixed ones: set shots_per_circuit (it is {config.shots_per_circuit}), "
            f"and leave shots_schedule constant (it is {config.shots_schedule!r})"
        )
    if config.n_qubits > JUDGED_QUBITS:
        raise ConfigurationError(
            f"n_qubits is {config.n_qubits}, and circuits of more than {JUDGED_QUBITS} qubits are not rehearsed; keep "
            f"fixed shots"
        )
    if config.epochs < 2:
        raise ConfigurationError(f"epochs is {config.epochs}; shots can only grow over at least 2 epochs")


class _Charged:
    """Samples on the exact simulator and adds up what the batches would cost, each as one job."""

    differentiable = False

    def __init__(self, charge: Charge, precision: str) -> None:
        self._inner, self._charge = StatevectorExecutor(precision=precision), charge
        self.cost = Decimal(0)
        self.counts = True

    @property
    def name(self) -> str:
        """As the simulator."""
        return self._inner.name

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        """Run `batch` and charge it."""
        if self.counts and batch.shots is not None:
            measured = measured_circuits(batch)
            sizes = tuple(CircuitSize(*measured.structures[k].count_by_arity()) for k in measured.of)
            self.cost += self._charge(sizes, batch.shots) if sizes else Decimal(0)
        return self._inner.run(batch)


def _rehearsed(
    config: QuantumTrainingConfig,
    *,
    values: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int64],
    charge: Charge,
    seeds: int,
    probe: bool,
) -> tuple[Rehearsal, list[float]]:
    runs = [_one(config, values, labels, charge, number, probe) for number in range(seeds)]
    epochs = range(config.epochs)
    rehearsal = Rehearsal(
        shots=tuple(shots_at(config, epoch) or 0 for epoch in epochs),
        losses=tuple(mean(losses[epoch] for losses, _, _ in runs) for epoch in epochs),
        costs=tuple(sum((costs[epoch] for _, costs, _ in runs), Decimal(0)) / seeds for epoch in epochs),
    )
    return rehearsal, [mean(ratios[epoch] for _, _, ratios in runs) for epoch in epochs] if probe else []


def _one(
    config: QuantumTrainingConfig,
    values: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int64],
    charge: Charge,
    number: int,
    probe: bool,
) -> tuple[list[float], list[Decimal], list[float]]:
    """Exact losses, costs so far and signal-to-noise ratios by epoch, of one run."""
    executor = _Charged(charge, config.precision)
    model = build_model(model_spec(config, values.shape[1], int(labels.max()) + 1), executor)
    for layer in quantum_layers(model):
        layer.sampled_batches += 1_000_000 * number  # other samples, the same weights and batches
    optimizer = make_optimizer(
        config.optimizer, model.parameters(), config.learning_rate, config.seed, config.optimizer_options
    )
    loss_function = LOSSES.load(config.loss)
    parameter = next(model.parameters())
    rows, wanted = torch.as_tensor(values).to(parameter), torch.as_tensor(labels)
    order = BatchOrder(len(labels), config.batch_size, config.seed)
    losses, costs, ratios = [], [], []
    for epoch in range(config.epochs):
        batches = [torch.as_tensor(chosen) for chosen in order.batches(epoch)]
        for layer in quantum_layers(model):
            layer.shots = shots_at(config, epoch)
        if probe:
            executor.counts = False
            ratios.append(_signal_to_noise(model, config, rows[batches[0]], wanted[batches[0]]))
            executor.counts = True
        for place, batch in enumerate(batches):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(config, epoch + place / len(batches))
            optimization_step(model, optimizer, loss_function, rows[batch], wanted[batch])
        loss, _ = exact_loss(config, model, values, labels)
        losses.append(inf if loss is None else loss)
        costs.append(executor.cost)
    return losses, costs, ratios


def _signal_to_noise(
    model: nn.Module, config: QuantumTrainingConfig, values: torch.Tensor, labels: torch.Tensor
) -> float:
    """Size of the exact gradient over the root mean square error of a sampled one."""
    executors = {id(layer.executor): layer.executor for layer in quantum_layers(model)}
    probe = copy.deepcopy(model, dict(executors))
    objective = BatchObjective(probe, LOSSES.load(config.loss), values, labels)

    def gradient() -> torch.Tensor:
        objective.gradient()
        return torch.cat([p.grad.flatten() for p in probe.parameters() if p.grad is not None]).clone()

    for layer in quantum_layers(probe):
        layer.sampled_batches += 500_000
    drawn = [gradient() for _ in range(_PROBES)]
    for layer in quantum_layers(probe):
        layer.shots = None
    exact = gradient()
    noise = mean(float((one - exact).square().sum()) for one in drawn) ** 0.5
    signal = float(torch.linalg.vector_norm(exact))
    return signal / noise if noise > 0 else inf
