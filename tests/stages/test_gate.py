from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantum_db.errors import ConfigurationError, StageInputError
from quantum_db.stages.gate import decide

ACCURACIES = st.floats(0, 1)


def evaluation(accuracy: Any = 0.96, best: Any = 0.97) -> dict[str, Any]:
    return {"accuracy": accuracy, "best_baseline": "svc", "best_baseline_accuracy": best}


@pytest.mark.parametrize(
    ("accuracy", "threshold", "require_better", "promote", "reason"),
    [
        (0.96, 0.95, False, True, "accuracy 96.0 % reaches the threshold 95 %"),
        (0.95, 0.95, False, True, "reaches"),
        (0.9499, 0.95, False, False, "accuracy 94.99 % is below the threshold 95 %"),
        (0.96, 0.95, True, False, "but the best classical baseline (svc) reaches 97.0 % on the same rows"),
        (0.97, 0.95, True, True, "and that of the best classical baseline (svc), 97.0 %"),
        (0.94999, 0.95, False, False, "accuracy 94.999 % is below the threshold 95 %"),
        (0.8, 0.785, False, True, "accuracy 80.0 % reaches the threshold 78.5 %"),
        (0.9, 0.95, True, False, "below the threshold"),
        (0, 0, False, True, "reaches"),
        (1, 1, False, True, "reaches"),
    ],
)
def test_decisions(accuracy: float, threshold: float, require_better: bool, promote: bool, reason: str) -> None:
    decision = decide(evaluation(accuracy), threshold, require_better)
    assert decision.promote is promote
    assert reason in decision.reason


@given(ACCURACIES, ACCURACIES, ACCURACIES)
def test_the_stricter_rule_never_lets_more_through(accuracy: float, best: float, threshold: float) -> None:
    measured = evaluation(accuracy, best)
    plain, strict = decide(measured, threshold), decide(measured, threshold, require_better=True)
    assert plain.promote == (accuracy >= threshold)
    assert strict.promote == (accuracy >= threshold and accuracy >= best)


@pytest.mark.parametrize("accuracy", [None, "0.9", float("nan"), float("inf"), -0.1, 1.1, True])
def test_an_evaluation_without_an_accuracy_is_refused(accuracy: Any) -> None:
    with pytest.raises(StageInputError, match="run the stage evaluate again"):
        decide(evaluation(accuracy), 0.5)
    with pytest.raises(StageInputError, match="best_baseline_accuracy"):
        decide(evaluation(0.9, accuracy), 0.5, require_better=True)


def test_the_baseline_is_needed_only_where_it_decides() -> None:
    assert decide({"accuracy": 0.9}, 0.5).promote


@pytest.mark.parametrize("threshold", [-0.01, 1.01, float("nan"), "0.9", None, True])
def test_a_threshold_that_is_no_accuracy_is_refused(threshold: Any) -> None:
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        decide(evaluation(), threshold)
