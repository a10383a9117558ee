"""The natural gradient: the gradient measured in the geometry of the circuit's states, before any torch optimizer.

Stokes et al., "Quantum natural gradient", arXiv:1909.02108. Classical parameters keep their plain gradient.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import nn

from quantum_db.errors import ConfigurationError
from quantum_db.gradients.measured_metric import measured_metric
from quantum_db.gradients.metric_tensor import exact_metric
from quantum_db.optimizers.objective import BatchOptimizer, Evaluation, Objective, QuantumPart, in_range, positive
from quantum_db.optimizers.preconditioning import FloatArray, preconditioned

_BASES = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}


class NaturalGradient(BatchOptimizer):
    """Multiplies the gradient of each circuit's live weights by (g + ridge)^-1, then lets `base` make its step.

    g is the Fubini-Study metric (a quarter of the quantum Fisher information), averaged over the rows of the batch:
    exact on a simulator with exact values, else measured (block-diagonal, one circuit per level and row).

    `ridge` damps directions in which the state hardly moves; 1e-2 stands shot noise, 1e-6 does for exact values.
    `pinv` leaves such directions out instead. `blocks` keeps only the blocks of gates side by side; `measured` runs
    circuits even where the metric could be computed. `momentum` in [0, 1) is the share of the last step's metric that
    is kept. `base` is "sgd" or "adam", and `base_options` are its own. Raises ConfigurationError for impossible
    options.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 0.01,
        *,
        ridge: float = 1e-2,
        pinv: bool = False,
        blocks: bool = False,
        measured: bool = False,
        momentum: float = 0.0,
        base: str = "sgd",
        base_options: dict[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(parameters, lr)
        if base not in _BASES:
            raise ConfigurationError(f"unknown base {base!r} of the natural gradient; known: {', '.join(_BASES)}")
        try:
            self.base: torch.optim.Optimizer = _BASES[base](self.parameters, lr=lr, **(base_options or {}))
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"the options of the base {base!r} do not fit: {error}") from error
        self.param_groups = self.base.param_groups
        self.ridge, self.pinv = positive("the ridge", ridge), pinv
        self.blocks, self.measured = blocks, measured
        self.momentum = in_range("the momentum of the metric", momentum, 0.0, 1.0)
        self.metrics: dict[int, FloatArray] = {}

    def step(self, objective: Objective) -> Evaluation:
        """Gradient, metric, update."""
        evaluation = objective.gradient()
        for part in objective.quantum_parts():
            if part.parameter.grad is not None and part.live:
                self._precondition(part, part.parameter.grad)
        self.base.step()
        return evaluation

    def metric(self, part: QuantumPart) -> FloatArray:
        """The metric of the live weights of one circuit, averaged over its rows, (live, live)."""
        started = time.perf_counter()
        if self.measured or part.shots is not None or not part.executor.differentiable:
            metrics = measured_metric(part.executor, part.rows, part.live, part.shots, part.seed)
        else:
            metrics = exact_metric(part.rows, part.live, self.blocks)
        self.circuit_seconds += time.perf_counter() - started
        return np.asarray(metrics.mean(axis=0), dtype=np.float64)

    def state_dict(self) -> dict[str, Any]:
        """The base's state, with the metrics beside it."""
        saved: dict[str, Any] = self.base.state_dict()
        saved["state"] = {index: dict(entries) for index, entries in saved["state"].items()}
        for index, metric in self.metrics.items():
            saved["state"].setdefault(index, {})["metric"] = torch.as_tensor(metric)
        return saved

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        saved = {**state_dict, "state": deepcopy(state_dict["state"])}
        self.metrics = {
            index: entries.pop("metric").numpy().copy()
            for index, entries in saved["state"].items()
            if "metric" in entries
        }
        saved["state"] = {index: entries for index, entries in saved["state"].items() if entries}
        self.base.load_state_dict(saved)
        self.param_groups = self.base.param_groups

    def _precondition(self, part: QuantumPart, gradient: torch.Tensor) -> None:
        metric = self._averaged(part)
        live = list(part.live)
        plain = gradient[live].detach().cpu().to(torch.float64).numpy()
        natural = preconditioned(metric, plain, self.ridge, self.pinv)
        gradient[live] = torch.as_tensor(natural).to(gradient)

    def _averaged(self, part: QuantumPart) -> FloatArray:
        metric = self.metric(part)
        if not self.momentum:
            return metric
        index = next(i for i, parameter in enumerate(self.parameters) if parameter is part.parameter)
        known = self.metrics.get(index, metric)
        self.metrics[index] = self.momentum * known + (1 - self.momentum) * metric
        return self.metrics[index]
