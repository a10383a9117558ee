"""Scores of a classifier on a test split: accuracy, macro F1, confusion matrix, receiver operating characteristic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from quantum_db.errors import StageInputError


@dataclass(frozen=True)
class Roc:
    """False and true positive rates at falling thresholds of the probability, and the area under the curve."""

    fpr: tuple[float, ...]
    tpr: tuple[float, ...]
    thresholds: tuple[float, ...]
    """The curve begins at 1, where no row counts as positive; a row is positive from its threshold on."""
    auc: float


@dataclass(frozen=True)
class ClassScore:
    """How well one class is found; precision, recall and F1 in 0..1, `support` is its number of test samples."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


def confusion_matrix(labels: NDArray[np.int64], predictions: NDArray[np.int64], n_classes: int) -> NDArray[np.int64]:
    """Return counts (n_classes, n_classes): row is the true class, column the predicted one."""
    return np.asarray(metrics.confusion_matrix(labels, predictions, labels=range(n_classes)), dtype=np.int64)


def f1_macro(labels: NDArray[np.int64], predictions: NDArray[np.int64]) -> float:
    """Return the mean F1 over the classes that are true or predicted at least once; a class never right counts 0."""
    return float(metrics.f1_score(labels, predictions, average="macro", zero_division=0))


def class_scores(
    labels: NDArray[np.int64], predictions: NDArray[np.int64], class_names: tuple[str, ...]
) -> tuple[ClassScore, ...]:
    """Return precision, recall, F1 and number of test samples of each class; 0 where a class is never predicted."""
    columns = metrics.precision_recall_fscore_support(
        labels, predictions, labels=range(len(class_names)), zero_division=0
    )
    return tuple(
        ClassScore(name, float(precision), float(recall), float(f1), int(support))
        for name, precision, recall, f1, support in zip(class_names, *columns, strict=True)
    )


def roc(labels: NDArray[np.int64], positive_probability: NDArray[np.float64]) -> Roc:
    """Return the ROC of class 1 against class 0 from its predicted probability (rows,).

    Raises StageInputError when the labels hold only one of the two classes, for which no curve exists.
    """
    present = np.unique(labels)
    if not np.array_equal(present, (0, 1)):
        raise StageInputError(
            f"a ROC curve needs test samples of both classes 0 and 1, but the labels hold {present.tolist()}; "
            "use a larger test split"
        )
    fpr, tpr, thresholds = metrics.roc_curve(labels, positive_probability)
    return Roc(
        fpr=tuple(map(float, fpr)),
        tpr=tuple(map(float, tpr)),
        thresholds=tuple(map(float, np.minimum(thresholds, 1.0))),  # scikit-learn begins at infinity
        auc=float(metrics.roc_auc_score(labels, positive_probability)),
    )
