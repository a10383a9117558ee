from __future__ import annotations

import numpy as np
import pytest

from quantum_db.benchmarking.scores import class_scores, confusion_matrix, f1_macro, roc
from quantum_db.errors import StageInputError

LABELS = np.array([0, 0, 0, 1, 1, 2])
PREDICTIONS = np.array([0, 0, 1, 1, 1, 0])


def test_confusion_matrix_has_true_classes_in_rows_and_all_classes() -> None:
    assert confusion_matrix(LABELS, PREDICTIONS, 4).tolist() == [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_macro_f1_is_the_mean_over_classes() -> None:
    # F1: class 0 2/3, class 1 4/5, class 2 never found.
    assert f1_macro(LABELS, PREDICTIONS) == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)


def test_class_scores_know_how_many_samples_they_stand_on() -> None:
    rows = class_scores(LABELS, PREDICTIONS, ("a", "b", "c"))
    assert [(row.name, row.support) for row in rows] == [("a", 3), ("b", 2), ("c", 1)]
    assert [row.precision for row in rows] == pytest.approx([2 / 3, 2 / 3, 0.0])
    assert [row.recall for row in rows] == pytest.approx([2 / 3, 1.0, 0.0])


def test_roc_known_answer() -> None:
    curve = roc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    assert curve.auc == 0.75
    assert curve.fpr[0] == curve.tpr[0] == 0.0
    assert curve.fpr[-1] == curve.tpr[-1] == 1.0
    assert np.trapezoid(curve.tpr, curve.fpr) == pytest.approx(0.75)
    assert curve.thresholds == (1.0, 0.8, 0.4, 0.35, 0.1)


def test_roc_of_one_class_is_refused() -> None:
    with pytest.raises(StageInputError, match="both classes 0 and 1, but the labels hold \\[1\\]"):
        roc(np.array([1, 1]), np.array([0.2, 0.9]))
