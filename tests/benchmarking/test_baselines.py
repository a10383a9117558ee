from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_circles
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

from quantum_db.benchmarking import baselines as module
from quantum_db.benchmarking.baselines import LOGISTIC_REGRESSION, MLP, RBF_SVC, fit_baselines, hidden_width
from quantum_db.errors import ConfigurationError, StageInputError


def iris() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    values, labels = load_iris(return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(
        values, labels, test_size=0.3, stratify=labels, random_state=0
    )
    return train, train_labels.astype(np.int64), test, test_labels.astype(np.int64)


def test_three_baselines_learn_iris() -> None:
    train, train_labels, test, test_labels = iris()
    fitted = fit_baselines(train, train_labels, test, parameter_count=40, seed=0)
    assert [baseline.name for baseline in fitted] == [LOGISTIC_REGRESSION, RBF_SVC, MLP]
    for baseline in fitted:
        assert np.mean(baseline.predictions == test_labels) >= 0.93
        assert baseline.cross_validation_accuracy >= 0.95
        assert baseline.converged
    # 3 classes: 4 weights and an intercept each; MLP 4-5-3: 4 * 5 + 5 + 5 * 3 + 3.
    assert fitted[0].parameters == 15
    assert fitted[2].parameters == 43
    assert fitted[2].chosen["width"] == 5


def test_only_the_linear_model_fails_on_circles() -> None:
    values, labels = make_circles(300, noise=0.05, factor=0.5, random_state=0)
    fitted = fit_baselines(values[:200], labels[:200], values[200:], parameter_count=33, seed=0)
    accuracy = {baseline.name: np.mean(baseline.predictions == labels[200:]) for baseline in fitted}
    assert accuracy[LOGISTIC_REGRESSION] < 0.7
    assert accuracy[RBF_SVC] >= 0.98
    assert accuracy[MLP] >= 0.98


def test_the_same_seed_gives_the_same_baselines() -> None:
    train, train_labels, test, _ = iris()
    first, second = (fit_baselines(train[:45], train_labels[:45], test, 40, seed=4) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.predictions, b.predictions)
        assert (a.chosen, a.cross_validation_accuracy) == (b.chosen, b.cross_validation_accuracy)


def test_the_test_rows_do_not_move_the_choice() -> None:
    train, train_labels, test, _ = iris()
    first = fit_baselines(train[:45], train_labels[:45], test, 40, seed=0)
    second = fit_baselines(train[:45], train_labels[:45], 100 * test[:3], 40, seed=0)
    assert [baseline.chosen for baseline in first] == [baseline.chosen for baseline in second]


@pytest.mark.parametrize(("features", "classes", "count"), [(64, 10, 900), (4, 3, 36), (30, 2, 65), (8, 10, 1)])
def test_hidden_width_is_the_nearest(features: int, classes: int, count: int) -> None:
    outputs = 1 if classes == 2 else classes

    def distance(width: int) -> int:
        return abs(width * (features + 1) + outputs * (width + 1) - count)

    width = hidden_width(features, classes, count)
    assert distance(width) == min(map(distance, range(1, 100)))


def test_an_optimizer_stopped_by_its_limit_gets_more_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    train, train_labels, _, _ = iris()
    monkeypatch.setattr(module, "_FIRST_ITERATIONS", 4)
    family = module._families(4, 5, 0)[0]
    candidate = {"scaling": "none", "C": 100.0}
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model, converged = module._fitted(family, candidate, train, train_labels)
        assert converged
        assert model[-1].max_iter > 4
        monkeypatch.setattr(module, "_MOST_ITERATIONS", 16)
        model, converged = module._fitted(family, candidate, train, train_labels)
        assert not converged
        assert model[-1].max_iter == 16


def test_other_warnings_of_a_fit_are_passed_on() -> None:
    class Noisy(LogisticRegression):
        def fit(self, values: np.ndarray, labels: np.ndarray) -> Noisy:
            warnings.warn("something else", UserWarning, stacklevel=1)
            return super().fit(values, labels)

    train, train_labels, _, _ = iris()
    with pytest.warns(UserWarning, match="something else"):
        assert module._converges(Pipeline([("classifier", Noisy(max_iter=1000))]), train, train_labels)


def test_large_training_splits_are_tuned_on_a_stratified_part() -> None:
    labels = np.repeat([0, 1], [3000, 1000])
    rows = module._tuning_rows(labels, 0)
    assert rows.size == module.TUNING_ROWS == 1000
    assert np.bincount(labels[rows]).tolist() == [750, 250]


def test_bad_input_is_refused() -> None:
    train, train_labels, test, _ = iris()
    with pytest.raises(StageInputError, match="a class has only 1 training sample"):
        fit_baselines(train[:3], np.array([0, 0, 1]), test, 40, 0)
    with pytest.raises(StageInputError, match="same width, got \\(105, 4\\) and \\(45, 3\\)"):
        fit_baselines(train, train_labels, test[:, :3], 40, 0)
    with pytest.raises(StageInputError, match="at least two classes"):
        fit_baselines(train, np.zeros_like(train_labels), test, 40, 0)
    with pytest.raises(ConfigurationError, match="parameter_count must be at least 1, got 0"):
        fit_baselines(train, train_labels, test, 0, 0)
