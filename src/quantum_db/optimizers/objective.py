"""What an optimizer of ours sees of a training step, and what the trainer sees of such an optimizer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol

from torch import Tensor, nn

from quantum_db.backends.protocols import CircuitRows, Executor
from quantum_db.errors import ConfigurationError


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The loss of one batch, the model's outputs (rows, outputs), and the norm of the gradient (0 if none was made)."""

    loss: float
    outputs: Tensor
    gradient_norm: float = 0.0


@dataclass(frozen=True, eq=False)
class QuantumPart:
    """One circuit of a model: its parameter, and `rows` with the weights and the features that last reached it.

    `live` are the weights that can move an observable. `shots` and `seed` say how it is to be measured.
    """

    parameter: nn.Parameter
    live: tuple[int, ...]
    rows: CircuitRows
    executor: Executor
    shots: int | None
    seed: int


class Objective(Protocol):
    """The loss of one batch as a function of the model's parameters, at their present values.

    Evaluations raise TrainingError when the loss or the gradient is no number.
    """

    def value(self) -> Evaluation:
        """The loss, without a gradient."""
        ...

    def gradient(self) -> Evaluation:
        """The loss; the gradient is put into the parameters' `grad`."""
        ...

    def quantum_parts(self) -> Sequence[QuantumPart]:
        """The circuits as they were in the last evaluation."""
        ...

    def dead_weights(self) -> Sequence[tuple[nn.Parameter, tuple[int, ...]]]:
        """The entries of the circuits' parameters that no observable depends on."""
        ...


class BatchOptimizer(ABC):
    """An optimizer that needs more than a gradient, or none. It evaluates the batch's loss as often as it likes.

    `circuit_seconds` adds up the time spent on circuits beside those of the model's own evaluations.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        if not self.parameters:
            raise ConfigurationError("there is nothing to optimize: no parameter is trainable")
        self.param_groups: list[dict[str, Any]] = [{"lr": positive("the learning rate", lr)}]
        self.circuit_seconds = 0.0

    @property
    def lr(self) -> float:
        """The present learning rate."""
        return float(self.param_groups[0]["lr"])

    @property
    def finished(self) -> bool:
        """Whether the optimizer has spent what it may spend, so that training ends."""
        return False

    @abstractmethod
    def step(self, objective: Objective) -> Evaluation:
        """Update the parameters; return an evaluation from before the update."""

    def finish(self) -> None:  # noqa: B027 - most optimizers have nothing to do at the end
        """Put the parameters to what training shall end with."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """The state in torch's form: "state" by number of the parameter, tensors or JSON values; "param_groups"."""

    @abstractmethod
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""


def positive(what: str, value: Any) -> float:
    """`value` if it is a number above 0; raise ConfigurationError otherwise."""
    if not _is_number(value) or value <= 0:
        raise ConfigurationError(f"{what} must be a number above 0, got {value!r}")
    return float(value)


def in_range(what: str, value: Any, low: float, high: float) -> float:
    """`value` if it is a number in [low, high); raise ConfigurationError otherwise."""
    if not _is_number(value) or not low <= value < high:
        raise ConfigurationError(f"{what} must be a number in [{low:g}, {high:g}), got {value!r}")
    return float(value)


def count(what: str, value: Any) -> int:
    """`value` if it is a positive integer; raise ConfigurationError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{what} must be a positive integer, got {value!r}")
    return value


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, (int, float)) and isfinite(value)
