"""The ways in which one configuration can be trained: optimizer and gradient method, and what a step of each runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from quantum_db.errors import ConfigurationError
from quantum_db.optimizers.build import make_optimizer
from quantum_db.optimizers.cobyla import MOST_PARAMETERS, Cobyla, fewest_evaluations
from quantum_db.optimizers.natural_gradient import NaturalGradient
from quantum_db.optimizers.objective import BatchOptimizer
from quantum_db.optimizers.qn_spsa import QuantumNaturalSPSA
from quantum_db.optimizers.simulated_annealing import SimulatedAnnealing
from quantum_db.optimizers.spsa import SPSA
from quantum_db.training.config import QuantumTrainingConfig

Kind = Literal["forward", "gradient", "metric", "overlaps"]
Asked = tuple[tuple[Kind, int], ...]
"""What a step runs: kinds of batches, and how many of each, one after the other."""

SIMULATED = ("adjoint", "backprop")
"""Gradient methods that differentiate the simulation and run no circuit for it."""
_WITH_GRADIENTS = ("adam", "sgd", "quantum_natural_gradient")
_GRADIENT_FREE = ("spsa", "qn_spsa", "cobyla", "simulated_annealing")


@dataclass(frozen=True)
class Choice:
    """A configuration under a name, with optimizer and gradient method chosen. `method` is "" where none is used."""

    name: str
    config: QuantumTrainingConfig

    @property
    def uses_gradients(self) -> bool:
        """Whether the optimizer asks for gradients."""
        return self.config.optimizer in _WITH_GRADIENTS

    @property
    def method(self) -> str:
        """The gradient method, "" where the optimizer asks for none."""
        return self.config.gradient_method if self.uses_gradients else ""


def configured(config: QuantumTrainingConfig) -> Choice:
    """The choice that the configuration makes."""
    return Choice(_name(config), config)


def alternatives(config: QuantumTrainingConfig) -> Iterator[Choice]:
    """The other ways to train what `config` trains, on machines; each with the default options of what it changes."""
    base = config if config.optimizer in _WITH_GRADIENTS else _with_optimizer(config, "adam")
    own = _name(config)
    for method in ("parameter_shift", "finite_diff", "spsa"):
        same = method == base.gradient_method
        changed = base if same else base.replace(gradient_method=method, gradient_options={})
        if _name(changed) != own:
            yield Choice(_name(changed), changed)
    machine = base.replace(gradient_method="parameter_shift", gradient_options={})
    for optimizer in ("quantum_natural_gradient", *_GRADIENT_FREE):
        changed = _with_optimizer(machine, optimizer)
        if _name(changed) != own:
            yield Choice(_name(changed), changed)


def _with_optimizer(config: QuantumTrainingConfig, optimizer: str) -> QuantumTrainingConfig:
    return config.replace(optimizer=optimizer, optimizer_options={})


def _name(config: QuantumTrainingConfig) -> str:
    optimizer = "simulated_annealing" if config.optimizer == "quantum_annealing" else config.optimizer
    return f"{optimizer} with {config.gradient_method}" if optimizer in _WITH_GRADIENTS else optimizer


class StepCounts:
    """What the steps of a run ask for, one after the other, as its optimizer decides; most where it is not fixed.

    `parameters` are the model's, `live_parameters` how many of their numbers may move. `exact` says whether values are
    exact and the executor a simulator.
    """

    def __init__(self, choice: Choice, parameters: Any, live_parameters: int, exact: bool) -> None:
        config = choice.config
        self.optimizer = make_optimizer(
            config.optimizer, parameters, config.learning_rate, config.seed, config.optimizer_options
        )
        self._live, self._exact = live_parameters, exact
        self._stage = self._spent = 0
        if isinstance(self.optimizer, Cobyla):
            self._check_cobyla(self.optimizer)

    @property
    def at_most(self) -> bool:
        """Whether steps may take fewer evaluations than planned."""
        return isinstance(self.optimizer, Cobyla)

    def finished(self) -> bool:
        """Whether the optimizer has ended the run."""
        optimizer = self.optimizer
        if isinstance(optimizer, SimulatedAnnealing):
            spent = optimizer.budget is not None and self._spent >= optimizer.budget
            return spent or optimizer.cooling.over(self._stage)
        if isinstance(optimizer, Cobyla) and optimizer.budget is not None and self._stage:
            return self._spent + fewest_evaluations(self._live) > optimizer.budget
        return False

    def next(self) -> Asked:
        """What the next step asks for."""
        optimizer = self.optimizer
        if isinstance(optimizer, SPSA):
            return (("forward", 2 * optimizer.draws),)
        if isinstance(optimizer, QuantumNaturalSPSA):
            return (("forward", 2 * optimizer.draws), ("overlaps", optimizer.draws))
        if isinstance(optimizer, SimulatedAnnealing):
            left = optimizer.moves if optimizer.budget is None else optimizer.budget - self._spent - 1
            return self._evaluated(1 + max(0, min(optimizer.moves, left)))
        if isinstance(optimizer, Cobyla):
            return self._evaluated(self._cobyla_evaluations(optimizer))
        if isinstance(optimizer, NaturalGradient) and (optimizer.measured or not self._exact):
            return (("forward", 1), ("gradient", 1), ("metric", 1))
        if isinstance(optimizer, BatchOptimizer) and not isinstance(optimizer, NaturalGradient):
            raise ConfigurationError(f"what a step of {type(optimizer).__name__} runs is not known, so it has no plan")
        return (("forward", 1), ("gradient", 1))

    def _evaluated(self, evaluations: int) -> Asked:
        self._stage += 1
        self._spent += evaluations
        return (("forward", evaluations),)

    def _cobyla_evaluations(self, optimizer: Cobyla) -> int:
        if not self._live:
            return 1
        needed = fewest_evaluations(self._live)
        wanted = 4 * self._live + 2 if optimizer.per_step is None else optimizer.per_step
        return max(needed, wanted if optimizer.budget is None else min(wanted, optimizer.budget - self._spent))

    def _check_cobyla(self, optimizer: Cobyla) -> None:
        if self._live > MOST_PARAMETERS:
            raise ConfigurationError(
                f"cobyla moves at most {MOST_PARAMETERS} parameters, and this model has {self._live}, classical ones "
                f"included"
            )
        needed = fewest_evaluations(self._live)
        for name, value in (("max_evaluations", optimizer.per_step), ("evaluations", optimizer.budget)):
            if self._live and value is not None and value < needed:
                raise ConfigurationError(f"{name} is {value}, but cobyla over {self._live} parameters needs {needed}")
