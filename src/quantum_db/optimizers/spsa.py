"""SPSA: descent along random directions, from two evaluations of the loss whatever the number of parameters.

J. C. Spall, IEEE Transactions on Automatic Control 37, 332 (1992).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from quantum_db.optimizers.objective import BatchOptimizer, Evaluation, Objective, count, in_range, positive
from quantum_db.optimizers.parameter_vector import ParameterVector
from quantum_db.optimizers.perturbation import perturbed_gradient
from quantum_db.seeding import check_seed, numpy_generator


class SPSA(BatchOptimizer):
    """Moves all parameters against a gradient that is estimated from `draws` pairs of evaluations.

    In step k (from 0) the parameters are moved by +-perturbation / (k + 1)^perturbation_decay, and the learning rate
    is divided by (k + 1)^decay (0: as the schedule says; Spall's choice for convergence is 0.602). The loss that is
    reported is the mean of the evaluations. Dead weights are not moved. Raises ConfigurationError for impossible
    options.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 0.01,
        *,
        perturbation: float = 0.1,
        perturbation_decay: float = 0.101,
        decay: float = 0.0,
        draws: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(parameters, lr)
        self.vector = ParameterVector(self.parameters)
        self.perturbation = positive("the perturbation", perturbation)
        self.perturbation_decay = in_range("the decay of the perturbation", perturbation_decay, 0.0, 10.0)
        self.decay = in_range("the decay of the learning rate", decay, 0.0, 10.0)
        self.draws, self.seed, self.steps = count("the draws", draws), check_seed(seed), 0

    def step(self, objective: Objective) -> Evaluation:
        """Estimate the gradient and go against it."""
        spread = self.perturbation / (self.steps + 1) ** self.perturbation_decay
        generator = numpy_generator(self.seed, "spsa", self.steps)
        start = self.vector.read()
        evaluation, gradient = perturbed_gradient(objective, self.vector, spread, self.draws, generator)
        self.vector.write(start - self.lr / (self.steps + 1) ** self.decay * gradient)
        self.steps += 1
        return evaluation

    def state_dict(self) -> dict[str, Any]:
        """The number of steps made."""
        return {"state": {0: {"step": self.steps}}, "param_groups": [dict(self.param_groups[0])]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        self.steps = int(state_dict["state"][0]["step"])
        self.param_groups = [dict(group) for group in state_dict["param_groups"]]
