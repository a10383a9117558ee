from __future__ import annotations

import numpy as np
import pytest

from quantum_db.benchmarking.baselines import Baseline
from quantum_db.benchmarking.comparison import Comparison, compare, format_p
from quantum_db.errors import StageInputError

N = 360
LABELS = np.zeros(N, dtype=np.int64)


def wrong_on(first: int, last: int) -> np.ndarray:
    predictions = LABELS.copy()
    predictions[first:last] = 1
    return predictions


def baseline(name: str, predictions: np.ndarray) -> Baseline:
    return Baseline(name, predictions, 10, {}, 0.9, True, 0.1)


def against(ours: np.ndarray, theirs: np.ndarray) -> Comparison:
    return compare(LABELS, ours, [baseline("RBF-SVC", theirs)])


def test_a_baseline_that_is_a_little_better() -> None:
    result = against(wrong_on(0, 9), wrong_on(7, 11))
    assert result.verdict == "no significant difference"
    assert result.best.test.only_second == 7
    assert result.sentence == (
        "RBF-SVC scores 1.4 points higher than the quantum model (98.9 % against 97.5 %), but the difference is not "
        "significant (McNemar p = 0.18): 360 test samples cannot tell the two apart, so there is no sign of a quantum "
        "advantage here."
    )


def test_a_baseline_that_is_clearly_better() -> None:
    result = against(wrong_on(0, 36), wrong_on(0, 4))
    assert result.verdict == "worse"
    assert result.sentence == (
        "RBF-SVC is better than the quantum model by 8.9 points (98.9 % against 90.0 %); the difference is significant "
        "(McNemar p < 0.001). The classical model is the better choice here."
    )


def test_a_quantum_model_that_is_clearly_better() -> None:
    result = against(wrong_on(0, 4), wrong_on(0, 36))
    assert result.verdict == "better"
    assert result.sentence.startswith(
        "The quantum model is better than the best classical baseline, RBF-SVC, by 8.9 points (98.9 % against 90.0 %);"
    )


def test_a_quantum_model_that_is_a_little_better() -> None:
    result = against(wrong_on(7, 11), wrong_on(0, 9))
    assert result.verdict == "no significant difference"
    assert "The quantum model scores 1.4 points higher than the best classical baseline, RBF-SVC," in result.sentence


def test_equally_accurate_models() -> None:
    result = against(wrong_on(0, 9), wrong_on(20, 29))
    assert result.verdict == "no significant difference"
    assert "are equally accurate (97.5 %): 360 test samples" in result.sentence


def test_the_best_of_several_is_judged_with_an_adjusted_p_value() -> None:
    ours = wrong_on(0, 9)
    theirs = {"first": ours, "second": wrong_on(0, 3), "third": ours}
    result = compare(LABELS, ours, [baseline(*pair) for pair in theirs.items()])
    # 6 samples against none would be significant for a baseline chosen beforehand, not for the best of three.
    assert result.best.name == "second"
    assert result.best.test.p_value == 2 / 2**6
    assert result.best.p_adjusted == 3 * 2 / 2**6
    assert result.verdict == "no significant difference"
    assert "McNemar p = 0.094, adjusted for 3 baselines" in result.sentence


def test_p_values_are_written_as_people_do() -> None:
    assert format_p(0.134) == "p = 0.13"
    assert format_p(0.0009) == "p < 0.001"
    assert format_p(1.0) == "p = 1"


def test_bad_input_is_refused() -> None:
    with pytest.raises(StageInputError, match="at least one classical baseline"):
        compare(LABELS, LABELS, [])
    with pytest.raises(StageInputError, match="RBF-SVC gave \\(3,\\) predictions for \\(360,\\) test labels"):
        against(LABELS, LABELS[:3])
