"""How the learning rate and the shots change over a run: functions of the position alone, so a resumed run agrees."""

from __future__ import annotations

from math import cos, floor, pi

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
