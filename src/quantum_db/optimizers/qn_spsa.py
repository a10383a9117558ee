"""QN-SPSA: SPSA with an estimate of the natural gradient, from a constant number of circuits per row.

Gacon et al., "Simultaneous Perturbation Stochastic Approximation of the Quantum Fisher Information", arXiv:2103.09232.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn

from quantum_db.gradients.fidelity import perturbed_metric
from quantum_db.optimizers.objective import BatchOptimizer, Evaluation, Objective, QuantumPart, count, positive
from quantum_db.optimizers.parameter_vector import ParameterVector
from quantum_db.optimizers.perturbation import perturbed_gradient
from quantum_db.optimizers.preconditioning import FloatArray, preconditioned
from quantum_db.seeding import check_seed, numpy_generator


class QuantumNaturalSPSA(BatchOptimizer):
    """SPSA whose estimate is multiplied by (g + ridge)^-1 on each circuit's live weights.

    g is the running mean of the estimates of the Fubini-Study metric in all steps, started from the identity. In each
    step the gradient and the metric are averaged over `draws` directions; a draw takes two evaluations of the loss, and
    for the metric four circuits of twice the depth per row. Classical parameters follow plain SPSA. Raises
    ConfigurationError for impossible options.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 0.01,
        *,
        perturbation: float = 0.1,
        ridge: float = 1e-2,
        draws: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(parameters, lr)
        self.vector = ParameterVector(self.parameters)
        self.perturbation, self.ridge = positive("the perturbation", perturbation), positive("the ridge", ridge)
        self.draws, self.seed, self.steps = count("the draws", draws), check_seed(seed), 0
        self.metrics: dict[int, FloatArray] = {}

    def step(self, objective: Objective) -> Evaluation:
        """Estimate gradient and metric, and go against the natural gradient."""
        start = self.vector.read()
        generator = numpy_generator(self.seed, "qn_spsa", self.steps)
        evaluation, gradient = perturbed_gradient(objective, self.vector, self.perturbation, self.draws, generator)
        for part in objective.quantum_parts():
            if part.live:
                metric = self._averaged(part, generator)
                own = gradient[self.vector.place(part.parameter)]
                own[list(part.live)] = preconditioned(metric, own[list(part.live)], self.ridge)
        self.vector.write(start - self.lr * gradient)
        self.steps += 1
        return evaluation

    def state_dict(self) -> dict[str, Any]:
        """The number of steps made and the averaged metrics."""
        state: dict[int, dict[str, Any]] = {0: {"step": self.steps}}
        for index, metric in self.metrics.items():
            state.setdefault(index, {})["metric"] = torch.as_tensor(metric)
        return {"state": state, "param_groups": [dict(self.param_groups[0])]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        state = state_dict["state"]
        self.steps = int(state[0]["step"])
        self.metrics = {
            index: entries["metric"].numpy().copy() for index, entries in state.items() if "metric" in entries
        }
        self.param_groups = [dict(group) for group in state_dict["param_groups"]]

    def _averaged(self, part: QuantumPart, generator: np.random.Generator) -> FloatArray:
        started = time.perf_counter()
        found = np.mean([self._estimate(part, generator, draw) for draw in range(self.draws)], axis=0)
        self.circuit_seconds += time.perf_counter() - started
        index = next(i for i, parameter in enumerate(self.parameters) if parameter is part.parameter)
        known = self.metrics.get(index, np.eye(len(part.live)))
        weight = 1 / (self.steps + 2)  # the identity counts as the first estimate
        self.metrics[index] = (1 - weight) * known + weight * found
        return self.metrics[index]

    def _estimate(self, part: QuantumPart, generator: np.random.Generator, draw: int) -> FloatArray:
        live = list(part.live)
        first, second = np.zeros((2, part.rows.circuit.n_weights))
        first[live], second[live] = generator.choice([-1.0, 1.0], size=(2, len(live)))
        seed = (part.seed + draw) % 2**32
        found = perturbed_metric(part.executor, part.rows, (first, second), self.perturbation, part.shots, seed)
        return found[np.ix_(live, live)]
