"""Classical simulated annealing over parameters: no gradient, no quantum annealer, nothing tunnels.

Metropolis rule: a move that changes the loss by d is accepted if d <= 0, and otherwise with probability exp(-d / T),
where the temperature T falls geometrically. Moves are heavy-tailed (Student's t), so that long jumps stay possible when
it is cold. Kirkpatrick et al., Science 220, 671 (1983); Szu and Hartley, Physics Letters A 122, 157 (1987).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import exp, isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from quantum_db.errors import TrainingError
from quantum_db.optimizers.objective import BatchOptimizer, Evaluation, Objective, count, in_range, positive
from quantum_db.optimizers.parameter_vector import FloatArray, ParameterVector
from quantum_db.seeding import check_seed, numpy_generator

_FREEDOM = 1.5
"""Degrees of freedom of the moves' distribution; below 2 its variance is infinite."""


@dataclass(frozen=True)
class Cooling:
    """From `temperature`, times `factor` after every stage, while above `final`; 90 stages by default."""

    temperature: float = 1.0
    factor: float = 0.95
    final: float = 0.01

    def __post_init__(self) -> None:
        positive("the temperature", self.temperature)
        positive("the cooling factor", self.factor)
        in_range("the cooling factor", self.factor, 0.0, 1.0)
        in_range("the final temperature", positive("the final temperature", self.final), 0.0, self.temperature)

    def at(self, stage: int) -> float:
        """The temperature of `stage`, counted from 0."""
        return float(self.temperature * self.factor**stage)

    def over(self, stage: int) -> bool:
        """Whether annealing ends before `stage`."""
        return self.at(stage) <= self.final


@dataclass(frozen=True, eq=False)
class Annealed:
    """The best parameters that were seen, their loss, and how many losses were evaluated."""

    parameters: FloatArray
    loss: float
    evaluations: int


def simulated_annealing(
    function: Callable[[FloatArray], float],
    start: npt.ArrayLike,
    *,
    width: float = 0.5,
    cooling: Cooling | None = None,
    moves: int = 10,
    evaluations: int | None = None,
    seed: int = 0,
) -> Annealed:
    """Minimise `function` from `start` (size,); return the best seen, not the last accepted.

    `moves` proposals of the given `width` are made at each temperature. `evaluations` bounds the number of calls of
    `function`, the one at the start included. The same seed gives the same result. Raises TrainingError when
    `function` gives no number.
    """
    schedule, size = cooling or Cooling(), positive("the width", width)
    per_stage, budget = count("the moves", moves), np.inf if evaluations is None else count("evaluations", evaluations)
    current = best = np.array(start, dtype=np.float64)
    loss = best_loss = _checked(function(current))
    spent, stage = 1, 0
    while not schedule.over(stage) and spent < budget:
        generator = numpy_generator(seed, "annealing", stage)
        for _ in range(int(min(per_stage, budget - spent))):
            candidate = proposed(generator, current, np.ones(len(current)), size * reach(schedule, stage))
            found = _checked(function(candidate))
            spent += 1
            if accepts(generator, found - loss, schedule.at(stage)):
                current, loss = candidate, found
            if found < best_loss:
                best, best_loss = candidate, found
        stage += 1
    return Annealed(best, best_loss, spent)


def proposed(generator: np.random.Generator, current: FloatArray, live: FloatArray, width: float) -> FloatArray:
    """A neighbour of `current`: one or more of the entries with `live` 1, each moved by width times Student's t."""
    open_ = np.flatnonzero(live)
    if not len(open_):
        return current.copy()
    chosen = generator.choice(open_, size=1 + generator.binomial(len(open_) - 1, 1 / len(open_)), replace=False)
    candidate = current.copy()
    candidate[chosen] += width * generator.standard_t(_FREEDOM, size=len(chosen))
    return candidate


def accepts(generator: np.random.Generator, difference: float, temperature: float) -> bool:
    """Metropolis: always when the loss does not rise, else with probability exp(-difference / temperature)."""
    drawn = generator.random()
    return difference <= 0 or drawn < exp(-difference / temperature)


def reach(cooling: Cooling, stage: int) -> float:
    """The share of the width that is used at `stage`: it falls with the root of the temperature."""
    return float(np.sqrt(cooling.at(stage) / cooling.temperature))


def _checked(loss: float) -> float:
    if not isfinite(loss):
        raise TrainingError(f"annealing cannot go on: the loss is {loss}; bound the function, or start elsewhere")
    return float(loss)


class SimulatedAnnealing(BatchOptimizer):
    """Classical simulated annealing of all parameters of a model; also known here as "quantum_annealing".

    Each step evaluates the batch at the present parameters and at `moves` neighbours, then cools. The learning rate is
    the width of the moves in radians. Training ends when it is cold or `evaluations` losses have been evaluated, with
    the best parameters that were seen; losses of different batches are compared as they are, so a batch of all rows
    is best. Dead weights are not moved. Raises ConfigurationError for impossible options.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 0.5,
        *,
        temperature: float = 1.0,
        cooling: float = 0.95,
        final_temperature: float = 0.01,
        moves: int = 10,
        evaluations: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(parameters, lr)
        self.vector = ParameterVector(self.parameters)
        self.cooling = Cooling(temperature, cooling, final_temperature)
        self.moves, self.seed = count("the moves", moves), check_seed(seed)
        self.budget = None if evaluations is None else count("evaluations", evaluations)
        self.stage, self.spent = 0, 0
        self.best_loss: float | None = None
        self.best = self.vector.read()

    @property
    def finished(self) -> bool:
        """Whether it is cold or the evaluations are spent."""
        return self.cooling.over(self.stage) or (self.budget is not None and self.spent >= self.budget)

    def step(self, objective: Objective) -> Evaluation:
        """One temperature: the present parameters and their neighbours on this batch."""
        live = self.vector.live(objective.dead_weights())
        current, before = self.vector.read(), objective.value()
        generator = numpy_generator(self.seed, "annealing", self.stage)
        self.spent += 1
        self._remember(current, before.loss)
        loss = before.loss
        try:
            for _ in range(self._affordable()):
                width = self.lr * reach(self.cooling, self.stage)
                self.vector.write(proposed(generator, current, live, width))
                candidate, found = self.vector.read(), objective.value().loss
                self.spent += 1
                self._remember(candidate, found)
                if accepts(generator, found - loss, self.cooling.at(self.stage)):
                    current, loss = candidate, found
        finally:
            self.vector.write(current)
        self.stage += 1
        return before

    def finish(self) -> None:
        """Put the best parameters that were seen into the model."""
        if self.best_loss is not None:
            self.vector.write(self.best)

    def state_dict(self) -> dict[str, Any]:
        """Where the annealing stands and the best that was seen."""
        state = {"stage": self.stage, "spent": self.spent, "best_loss": self.best_loss}
        return {
            "state": {0: {**state, "best": torch.as_tensor(self.best)}},
            "param_groups": [dict(self.param_groups[0])],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        state = state_dict["state"][0]
        self.stage, self.spent, self.best_loss = int(state["stage"]), int(state["spent"]), state["best_loss"]
        self.best = state["best"].numpy().copy()
        self.param_groups = [dict(group) for group in state_dict["param_groups"]]

    def _affordable(self) -> int:
        return self.moves if self.budget is None else max(0, min(self.moves, self.budget - self.spent))

    def _remember(self, parameters: FloatArray, loss: float) -> None:
        if self.best_loss is None or loss < self.best_loss:
            self.best, self.best_loss = parameters, loss
