"""The charts of the reports as SVG text, ready for `page.figure`; the figures behind them are in `plots`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from quantum_db.reporting import plots
from quantum_db.reporting.plots import AccuracyRow

__all__ = ["AccuracyRow", "baselines_chart", "class_balance", "confusion_matrix", "loss_curve", "roc_curve"]


def loss_curve(history: Mapping[str, Sequence[float]]) -> str:
    """Return loss and accuracy per epoch as SVG; see `plots.loss_curve`."""
    return plots.to_svg(plots.loss_curve(history))


def confusion_matrix(matrix: Sequence[Sequence[int]] | np.ndarray, class_names: Sequence[str]) -> str:
    """Return true against predicted classes as SVG; see `plots.confusion_matrix`."""
    return plots.to_svg(plots.confusion_matrix(matrix, class_names))


def roc_curve(fpr: Sequence[float], tpr: Sequence[float], auc: float) -> str:
    """Return the receiver operating characteristic as SVG; see `plots.roc_curve`."""
    return plots.to_svg(plots.roc_curve(fpr, tpr, auc))


def baselines_chart(rows: Sequence[AccuracyRow]) -> str:
    """Return accuracies with their intervals as SVG; see `plots.baselines_chart`."""
    return plots.to_svg(plots.baselines_chart(rows))


def class_balance(class_names: Sequence[str], counts: Mapping[str, Sequence[int]]) -> str:
    """Return samples per class and split as SVG; see `plots.class_balance`."""
    return plots.to_svg(plots.class_balance(class_names, counts))
