"""The quantum model beside its classical baselines: who is better, by how much, and is it more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from quantum_db.benchmarking.baselines import Baseline
from quantum_db.benchmarking.paired import McNemar, holm, mcnemar
from quantum_db.errors import StageInputError

Verdict = Literal["better", "worse", "no significant difference"]

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Paired:
    """One baseline against the quantum model on the same test samples.

    `test` counts samples that only the quantum model (first) or only the baseline (second) got right; `p_adjusted` is
    its p-value after Holm's correction for the number of baselines.
    """

    name: str
    accuracy: float
    test: McNemar
    p_adjusted: float


@dataclass(frozen=True)
class Comparison:
    """The outcome: `verdict` is on the quantum model against the `best` baseline, `sentence` says it in plain words."""

    accuracy: float
    pairs: tuple[Paired, ...]
    best: Paired
    verdict: Verdict
    sentence: str


def compare(labels: NDArray[np.int64], predictions: NDArray[np.int64], baselines: Sequence[Baseline]) -> Comparison:
    """Compare the quantum model's `predictions` (test rows,) with every baseline's and judge against the best one.

    The best baseline is the most accurate on the test split (the first of equals). Because it is picked among several
    with the same samples, the difference is called significant only when McNemar's p-value, adjusted for the number of
    baselines, is below 0.05. Raises StageInputError without a baseline or when lengths differ.
    """
    if not baselines:
        raise StageInputError("a comparison needs at least one classical baseline")
    correct = _correct(labels, predictions, "the quantum model")
    tests = [mcnemar(correct, _correct(labels, baseline.predictions, baseline.name)) for baseline in baselines]
    adjusted = holm([test.p_value for test in tests])
    pairs = tuple(
        Paired(baseline.name, float(np.mean(baseline.predictions == labels)), test, p_adjusted)
        for baseline, test, p_adjusted in zip(baselines, tests, adjusted, strict=True)
    )
    best = max(pairs, key=lambda pair: pair.accuracy)
    accuracy = float(correct.mean())
    verdict = _verdict(accuracy, best)
    return Comparison(accuracy, pairs, best, verdict, _sentence(accuracy, best, verdict, len(labels), len(pairs)))


def format_p(p_value: float) -> str:
    """Return a p-value as people write it: "p = 0.13", "p < 0.001"."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def _correct(labels: NDArray[np.int64], predictions: NDArray[np.int64], name: str) -> NDArray[np.bool_]:
    if labels.shape != predictions.shape:
        raise StageInputError(f"{name} gave {predictions.shape} predictions for {labels.shape} test labels")
    return np.asarray(labels == predictions, dtype=np.bool_)


def _verdict(accuracy: float, best: Paired) -> Verdict:
    if best.p_adjusted >= SIGNIFICANCE:
        return "no significant difference"
    return "better" if accuracy > best.accuracy else "worse"


def _sentence(accuracy: float, best: Paired, verdict: Verdict, n_test: int, n_baselines: int) -> str:
    undecided = f"{n_test} test samples cannot tell the two apart, so there is no sign of a quantum advantage here."
    if accuracy == best.accuracy:
        return (
            f"The quantum model and the best classical baseline, {best.name}, are equally accurate "
            f"({_percent(accuracy)}): {undecided}"
        )
    points = f"{abs(accuracy - best.accuracy) * 100:.1f} points"
    p_value = format_p(best.p_adjusted)
    if n_baselines > 1:
        p_value += f", adjusted for {n_baselines} baselines"
    if accuracy > best.accuracy:
        who, whom = "The quantum model", f"the best classical baseline, {best.name},"
        figures = f"({_percent(accuracy)} against {_percent(best.accuracy)})"
    else:
        who, whom = best.name, "the quantum model"
        figures = f"({_percent(best.accuracy)} against {_percent(accuracy)})"
    if verdict == "no significant difference":
        return (
            f"{who} scores {points} higher than {whom} {figures}, but the difference is not significant "
            f"(McNemar {p_value}): {undecided}"
        )
    sentence = f"{who} is better than {whom} by {points} {figures}; the difference is significant (McNemar {p_value})."
    return sentence if verdict == "better" else f"{sentence} The classical model is the better choice here."


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
