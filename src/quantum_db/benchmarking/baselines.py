"""Classical baselines that a quantum model has to be measured against, on the same features and the same split.

Each baseline gets a fair chance: its scaling and regularisation are chosen by cross-validation inside the training
split, and the test labels are never passed to this module. One of them has about as many parameters as the quantum
model, so that size alone explains nothing. Reason for this design: J. Bowles, S. Ahmed, M. Schuld, "Better than
classical? The subtle art of benchmarking quantum machine learning models", arXiv:2403.07059.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from quantum_db.errors import ConfigurationError, StageInputError
from quantum_db.seeding import numpy_generator

Values = NDArray[np.float64]
Labels = NDArray[np.int64]

LOGISTIC_REGRESSION = "Logistic regression"
RBF_SVC = "RBF-SVC"
MLP = "MLP of equal size"

TUNING_ROWS = 1000
"""At most so many training rows take part in the choice of hyperparameters; the chosen model is fitted on all rows."""
_FIRST_ITERATIONS, _MOST_ITERATIONS = 1000, 16000
_SCALING = ("none", "standard")


@dataclass(frozen=True)
class Baseline:
    """One fitted baseline and its answers.

    `predictions` (test rows,) are class numbers; `parameters` counts the numbers that the fitted model stores (for an
    SVC: its support vectors with their coefficients); `chosen` are the hyperparameters with the best mean accuracy
    `cross_validation_accuracy` over the folds; `converged` is False when the optimizer was stopped by its limit.
    """

    name: str
    predictions: Labels
    parameters: int
    chosen: Mapping[str, str | float | int]
    cross_validation_accuracy: float
    converged: bool
    seconds: float


@dataclass(frozen=True)
class _Family:
    name: str
    build: Callable[..., Any]
    grid: Mapping[str, Sequence[Any]]
    count: Callable[[Any], int]


def fit_baselines(
    train_values: Values, train_labels: Labels, test_values: Values, parameter_count: int, seed: int
) -> tuple[Baseline, ...]:
    """Fit logistic regression, an RBF-SVC and an MLP of about `parameter_count` parameters; predict the test rows.

    `train_values` and `test_values` are (rows, features), `train_labels` (rows,) class numbers. The folds, the tuning
    subset and the MLP's start come from `seed`. Raises StageInputError when a class has fewer than two training
    samples, so that nothing can be cross-validated, and ConfigurationError for a parameter count below 1.
    """
    _check(train_values, train_labels, test_values)
    state = int(numpy_generator(seed, "baselines").integers(2**32))
    rows = _tuning_rows(train_labels, state)
    folds = _folds(train_labels[rows], state)
    width = hidden_width(train_values.shape[1], int(np.unique(train_labels).size), parameter_count)
    families = _families(train_values.shape[1], width, state)
    # One thread: these matrices are small, and sums split over threads would depend on how many there are.
    with threadpool_limits(limits=1):
        return tuple(_fit(family, train_values, train_labels, test_values, rows, folds) for family in families)


def hidden_width(n_features: int, n_classes: int, parameter_count: int) -> int:
    """Return the width of a one-layer MLP whose parameter count is nearest to `parameter_count`, at least 1."""
    if parameter_count < 1:
        raise ConfigurationError(f"parameter_count must be at least 1, got {parameter_count}")
    outputs = 1 if n_classes == 2 else n_classes
    return max(1, round((parameter_count - outputs) / (n_features + 1 + outputs)))


def _families(n_features: int, width: int, state: int) -> tuple[_Family, ...]:
    def logistic(C: float) -> Any:
        return LogisticRegression(C=C, max_iter=_FIRST_ITERATIONS)

    def svc(C: float, gamma: float) -> Any:
        return SVC(C=C, gamma=gamma, kernel="rbf")

    def mlp(alpha: float, width: int) -> Any:
        return MLPClassifier(
            (width,), activation="tanh", solver="lbfgs", alpha=alpha, max_iter=_FIRST_ITERATIONS, random_state=state
        )

    gammas = tuple(factor / n_features for factor in (0.1, 0.3, 1.0, 3.0))
    return (
        _Family(LOGISTIC_REGRESSION, logistic, {"C": (0.01, 0.1, 1.0, 10.0, 100.0)}, _linear_parameters),
        _Family(RBF_SVC, svc, {"C": (1.0, 10.0, 100.0), "gamma": gammas}, _svc_parameters),
        _Family(MLP, mlp, {"alpha": (0.1, 1.0, 10.0), "width": (width,)}, _mlp_parameters),
    )


def _fit(
    family: _Family,
    train_values: Values,
    train_labels: Labels,
    test_values: Values,
    rows: NDArray[np.int64],
    folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> Baseline:
    start = time.perf_counter()
    values, labels = train_values[rows], train_labels[rows]
    candidates = [
        {"scaling": scaling, **dict(zip(family.grid, chosen, strict=True))}
        for scaling in _SCALING
        for chosen in product(*family.grid.values())
    ]
    scores = [_cross_validated(family, candidate, values, labels, folds) for candidate in candidates]
    best = int(np.argmax(scores))
    model, converged = _fitted(family, candidates[best], train_values, train_labels)
    return Baseline(
        name=family.name,
        predictions=np.asarray(model.predict(test_values), dtype=np.int64),
        parameters=family.count(model[-1]),
        chosen=candidates[best],
        cross_validation_accuracy=scores[best],
        converged=converged,
        seconds=time.perf_counter() - start,
    )


def _cross_validated(
    family: _Family,
    candidate: Mapping[str, Any],
    values: Values,
    labels: Labels,
    folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> float:
    right = 0
    for inside, outside in folds:
        model, _ = _fitted(family, candidate, values[inside], labels[inside])
        right += int(np.sum(model.predict(values[outside]) == labels[outside]))
    return right / labels.size


def _fitted(family: _Family, candidate: Mapping[str, Any], values: Values, labels: Labels) -> tuple[Any, bool]:
    """Fit one candidate, with more iterations as long as the optimizer is stopped by its limit."""
    options = {name: value for name, value in candidate.items() if name != "scaling"}
    scaler = StandardScaler() if candidate["scaling"] == "standard" else "passthrough"
    model = Pipeline([("scaling", scaler), ("classifier", family.build(**options))])
    classifier = model[-1]
    while not _converges(model, values, labels):
        limit = classifier.get_params()["max_iter"]
        if limit >= _MOST_ITERATIONS or int(np.max(classifier.n_iter_)) < limit:
            return model, False
        classifier.set_params(max_iter=4 * limit)
    return model, True


def _converges(model: Any, values: Values, labels: Labels) -> bool:
    """Fit `model` and return whether its optimizer was content; other warnings are passed on."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(values, labels)
    stopped = [warning for warning in caught if issubclass(warning.category, ConvergenceWarning)]
    for warning in caught:
        if warning not in stopped:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return not stopped


def _tuning_rows(labels: Labels, state: int) -> NDArray[np.int64]:
    everything = np.arange(labels.size)
    if labels.size <= TUNING_ROWS:
        return everything
    rows, _ = train_test_split(everything, train_size=TUNING_ROWS, random_state=state, stratify=labels)
    return np.sort(rows)


def _folds(labels: Labels, state: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    smallest = int(np.min(np.unique(labels, return_counts=True)[1]))
    if smallest < 2:
        raise StageInputError(
            f"a class has only {smallest} training sample, so the classical baselines cannot be cross-validated; "
            "give at least two training samples per class"
        )
    n_folds = min(5 if labels.size <= 500 else 3, smallest)
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=state)
    return list(splitter.split(np.zeros((labels.size, 1)), labels))


def _check(train_values: Values, train_labels: Labels, test_values: Values) -> None:
    if train_values.ndim != 2 or test_values.ndim != 2 or train_values.shape[1] != test_values.shape[1]:
        raise StageInputError(
            f"baselines need training and test values of the same width, got {train_values.shape} and "
            f"{test_values.shape}; encode both splits with the same encoder"
        )
    if train_labels.shape != train_values.shape[:1] or np.unique(train_labels).size < 2:
        raise StageInputError(
            f"baselines need one label per training row and at least two classes, got {train_labels.shape} labels with "
            f"{np.unique(train_labels).size} class(es) for {train_values.shape[0]} rows"
        )


def _linear_parameters(model: Any) -> int:
    return int(model.coef_.size + model.intercept_.size)


def _svc_parameters(model: Any) -> int:
    return int(model.support_vectors_.size + model.dual_coef_.size + model.intercept_.size)


def _mlp_parameters(model: Any) -> int:
    return int(sum(array.size for array in (*model.coefs_, *model.intercepts_)))
