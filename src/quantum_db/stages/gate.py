"""The gate: whether a model may be deployed, decided from its evaluation alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quantum_db.errors import ConfigurationError, StageInputError


@dataclass(frozen=True)
class Decision:
    """promote: deploy or not; reason: one sentence with the figures that decided it."""

    promote: bool
    reason: str


def check_threshold(threshold: float) -> float:
    """Return `threshold` if it is an accuracy, 0 to 1; raise ConfigurationError otherwise."""
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        raise ConfigurationError(f"threshold is {threshold!r}; give an accuracy from 0 to 1, for example 0.95")
    return float(threshold)


def decide(evaluation: Mapping[str, Any], threshold: float, require_better: bool = False) -> Decision:
    """Decide on the evaluation of a model (the content of evaluation.json).

    The accuracy on the test split must be at least `threshold`. With `require_better` it must also be at least the
    accuracy of the best classical baseline on the same rows. Raises StageInputError when the evaluation lacks a
    figure that is needed or has one that is no accuracy, ConfigurationError for a threshold outside 0 to 1.
    """
    check_threshold(threshold)
    accuracy = accuracy_of(evaluation, "accuracy")
    least = f"the threshold {100 * threshold:.10g} %"
    if accuracy < threshold:
        return Decision(False, f"accuracy {_percent(accuracy, threshold)} is below {least}")
    passed = f"accuracy {_percent(accuracy, threshold)} reaches {least}"
    if not require_better:
        return Decision(True, passed)
    best = accuracy_of(evaluation, "best_baseline_accuracy")
    name = str(evaluation.get("best_baseline", "unnamed"))
    reached = _percent(best, accuracy)
    if accuracy < best:
        return Decision(False, f"{passed}, but the best classical baseline ({name}) reaches {reached} on the same rows")
    return Decision(True, f"{passed} and that of the best classical baseline ({name}), {reached}")


def _percent(share: float, other: float) -> str:
    """`share` in percent with one decimal, or as many as it takes to tell it from `other`."""
    digits = next((n for n in range(1, 13) if share == other or round(100 * share, n) != round(100 * other, n)), 1)
    return f"{100 * share:.{digits}f} %"


def accuracy_of(evaluation: Mapping[str, Any], key: str) -> float:
    """The accuracy under `key`; StageInputError when it is missing or not a number from 0 to 1."""
    value = evaluation.get(key)
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not 0 <= float(value or 0) <= 1:
        raise StageInputError(
            f"the evaluation has {key}={value!r}, not an accuracy from 0 to 1; run the stage evaluate again"
        )
    return float(value or 0)
