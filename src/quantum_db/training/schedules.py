"""How the learning rate and the shots change over a run: functions of the position alone, so a resumed run agrees."""

from __future__ import annotations

from math import ceil, cos, floor, pi
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quantum_db.training.config import QuantumTrainingConfig

LEARNING_RATE_SCHEDULES = ("constant", "cosine", "step")
SHOTS_SCHEDULES = ("constant", "linear")


def cosine_rate(first: float, final: float, done: float) -> float:
    """From `first` to `final` along half a cosine; `done` in [0, 1] is the share of the run that is over."""
    return final + (first - final) * (1 + cos(pi * done)) / 2


def stepped_rate(first: float, factor: float, every: int, epoch: float) -> float:
    """`first`, multiplied by `factor` after every `every` epochs; `epoch` counts from 0 and may be a fraction."""
    return float(first * factor ** (floor(epoch) // every))


def grown_shots(first: int, final: int, epoch: int, epochs: int) -> int:
    """From `first` shots in the first epoch (number 0) to `final` in the last one, by equal steps, rounded."""
    return round(first + (final - first) * epoch / max(epochs - 1, 1))


def needed_shots(shots: int, ratio: float, wanted: float, most: int) -> int:
    """Shots at which a gradient whose signal-to-noise ratio is `ratio` at `shots` has the ratio `wanted`; 1 to `most`.

    The noise of a sampled gradient falls with the root of the shots.
    """
    scale = wanted / ratio if ratio > 0 else float("inf")
    return most if shots * scale * scale >= most else max(1, ceil(shots * scale * scale))


def learning_rate_at(config: QuantumTrainingConfig, epoch: float) -> float:
    """The learning rate after `epoch` epochs, which may be a fraction."""
    first = config.learning_rate
    if config.learning_rate_schedule == "cosine":
        return cosine_rate(first, config.learning_rate_final, epoch / config.epochs)
    if config.learning_rate_schedule == "step":
        return stepped_rate(first, config.learning_rate_step_factor, config.learning_rate_step_epochs, epoch)
    return first


def shots_at(config: QuantumTrainingConfig, epoch: int) -> int | None:
    """The shots for each expectation value in `epoch`, counted from 0; None for exact values."""
    first, final = config.shots_per_circuit, config.shots_final
    if config.shots_schedule == "constant" or first is None or final is None:
        return first
    return grown_shots(first, final, epoch, config.epochs)
