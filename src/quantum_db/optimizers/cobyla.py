"""COBYLA: descent by linear models inside a trust region, from values of the loss alone.

M. J. D. Powell, "A direct search optimization method that models the objective and constraint functions by linear
interpolation" (1994); the implementation is scipy's, which is PRIMA's (Z. Zhang, https://www.libprima.net). No
constraints are given to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from quantum_db.errors import ConfigurationError
from quantum_db.optimizers.objective import BatchOptimizer, Evaluation, Objective, count, in_range, positive
from quantum_db.optimizers.parameter_vector import FloatArray, ParameterVector
from quantum_db.registry import require_package
from quantum_db.seeding import check_seed

IntArray = npt.NDArray[np.int64]

MOST_PARAMETERS = 1000
"""A linear model of n parameters takes n + 1 evaluations and an n x n matrix in each of its iterations."""


def fewest_evaluations(size: int) -> int:
    """What a run over `size` parameters takes at least: the start, one point per parameter, and one move."""
    return size + 2


class Cobyla(BatchOptimizer):
    """Each step is one bounded run of COBYLA on the step's batch, from the present parameters.

    scipy's COBYLA owns its loop, so it cannot be carried on from one batch to the next: each run builds its linear
    model anew (one evaluation per parameter), as it must, since the loss of another batch is another function. A run
    makes at most `max_evaluations` evaluations (None: four times the number of parameters that move, and 2) and stops
    earlier once its trust region is `final_radius` wide. It leaves the best parameters that it saw, the start
    included; losses of different batches are never compared. So with a batch of all rows and exact values the loss
    never rises and training ends with the best parameters seen.

    The learning rate, in the units of the parameters, is the radius of the first trust region. What is carried over is
    the radius: the next run starts with as wide a region as the last one moved (Euclidean distance), but at most as
    wide as before and at least `shrink` times that. Training ends when the radius is down to `final_radius`, or when
    of `evaluations` fewer are left than a run needs.

    Nothing is drawn, so `seed` changes nothing. Dead weights are not moved. Raises ConfigurationError for impossible
    options; in the first step also for more than MOST_PARAMETERS parameters and for fewer evaluations than a run over
    them needs; MissingDependencyError without scipy.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 0.5,
        *,
        max_evaluations: int | None = None,
        evaluations: int | None = None,
        final_radius: float = 1e-4,
        shrink: float = 0.5,
        seed: int = 0,
    ) -> None:
        super().__init__(parameters, lr)
        check_seed(seed)
        self._minimize = require_package("scipy.optimize", "torch", "the optimizer 'cobyla'").minimize
        self.vector = ParameterVector(self.parameters)
        self.per_step = None if max_evaluations is None else count("max_evaluations", max_evaluations)
        self.budget = None if evaluations is None else count("evaluations", evaluations)
        self.final_radius = positive("the final radius", final_radius)
        if self.final_radius >= self.lr:
            raise ConfigurationError(
                f"the final radius is {self.final_radius:g}, but the learning rate, which is the first radius, is "
                f"{self.lr:g}; make it larger, or the final radius smaller"
            )
        self.shrink = in_range("the shrink factor", positive("the shrink factor", shrink), 0.0, 1.0)
        self.share, self.spent, self.needed = 1.0, 0, 0

    @property
    def radius(self) -> float:
        """The trust radius that the next run starts with: the learning rate times what has been carried over."""
        return self.lr * self.share

    @property
    def finished(self) -> bool:
        """Whether the radius is down to the final one, or too few evaluations are left for another run."""
        return self.radius <= self.final_radius or (self.budget is not None and self.spent + self.needed > self.budget)

    def step(self, objective: Objective) -> Evaluation:
        """One run on this batch; the evaluation is that of its start."""
        start = self.vector.read()
        live = np.flatnonzero(self.vector.live(objective.dead_weights()))
        run = _Run(objective, self.vector, start, live)
        try:
            self._minimise(run)
        except BaseException:
            self.vector.write(start)
            raise
        self.vector.write(run.best)
        self.spent += run.evaluations
        self._carry_over(float(np.linalg.norm(run.best - start)))
        return run.first

    def state_dict(self) -> dict[str, Any]:
        """The carried radius as a share of the learning rate, and the evaluations made and needed."""
        state = {"share": self.share, "spent": self.spent, "needed": self.needed}
        return {"state": {0: state}, "param_groups": [dict(self.param_groups[0])]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        state = state_dict["state"][0]
        self.share, self.spent, self.needed = float(state["share"]), int(state["spent"]), int(state["needed"])
        self.param_groups = [dict(group) for group in state_dict["param_groups"]]

    def _minimise(self, run: _Run) -> None:
        if not len(run.live):
            run.loss(run.start[run.live])
            return
        limit = self._limit(len(run.live))
        # a schedule may have taken the radius to the final one: the run then moves once, and `finished` says so
        options = {"rhobeg": self.radius, "tol": min(self.final_radius, self.radius), "maxiter": limit}
        self._minimize(run.loss, run.start[run.live], method="COBYLA", options=options)

    def _limit(self, size: int) -> int:
        """The evaluations that the next run over `size` parameters may make."""
        if size > MOST_PARAMETERS:
            raise ConfigurationError(
                f"cobyla would move {size} parameters, and it is made for at most {MOST_PARAMETERS}: a linear model of "
                f"them takes {size + 1} evaluations of each batch; use spsa, or an optimizer with gradients"
            )
        self.needed = fewest_evaluations(size)
        given = {"max_evaluations": self.per_step, "evaluations": self.budget}
        for name, value in given.items():
            if value is not None and value < self.needed:
                raise ConfigurationError(
                    f"{name} is {value}, but a run of cobyla over {size} parameters takes at least {self.needed}"
                )
        wanted = 4 * size + 2 if self.per_step is None else self.per_step
        return max(self.needed, wanted if self.budget is None else min(wanted, self.budget - self.spent))

    def _carry_over(self, moved: float) -> None:
        """The radius of the next run: the distance that this one moved, between `shrink` and 1 of its own."""
        self.share *= min(1.0, max(self.shrink, moved / self.radius))


class _Run:
    """The loss of one batch as a function of the parameters that may move, and the best that was seen of it."""

    def __init__(self, objective: Objective, vector: ParameterVector, start: FloatArray, live: IntArray) -> None:
        self._value: Callable[[], Evaluation] = objective.value
        self._vector = vector
        self.start, self.live, self.best = start, live, start
        self.evaluations = 0
        self.best_loss = np.inf
        self._first: Evaluation | None = None

    @property
    def first(self) -> Evaluation:
        """The evaluation at the start, which COBYLA makes first."""
        if self._first is None:
            raise RuntimeError("COBYLA returned without evaluating the loss")
        return self._first

    def loss(self, moved: FloatArray) -> float:
        """The loss with the parameters that may move at `moved` (live,)."""
        candidate = self.start.copy()
        candidate[self.live] = moved
        self._vector.write(candidate)
        rounded, found = self._vector.read(), self._value()
        self.evaluations += 1
        if self._first is None:
            self._first = found
        if found.loss < self.best_loss:
            self.best, self.best_loss = rounded, found.loss
        return found.loss
