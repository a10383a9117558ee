from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from quantum_db.benchmarking.intervals import bootstrap_accuracy, wilson_accuracy
from quantum_db.errors import ConfigurationError, StageInputError
from quantum_db.seeding import numpy_generator


def answers(right: int, n: int) -> np.ndarray:
    return np.arange(n) < right


def test_bootstrap_of_351_of_360_is_the_binomial_quantile() -> None:
    interval = bootstrap_accuracy(answers(351, 360), numpy_generator(0, "test"), samples=20_000)
    # 2.5 % and 97.5 % points of Binomial(360, 351 / 360): 345 and 356.
    assert (interval.low, interval.high) == (345 / 360, 356 / 360)


def test_bootstrap_agrees_with_resampling_rows() -> None:
    correct = answers(83, 100)
    rows = numpy_generator(1, "rows").integers(100, size=(20_000, 100))
    low, high = np.quantile(correct[rows].mean(axis=1), (0.025, 0.975))
    interval = bootstrap_accuracy(correct, numpy_generator(1, "test"), samples=20_000)
    assert interval.low == pytest.approx(low, abs=0.01)
    assert interval.high == pytest.approx(high, abs=0.01)


def test_same_generator_same_interval() -> None:
    intervals = {bootstrap_accuracy(answers(70, 90), numpy_generator(3, "test")) for _ in range(2)}
    assert len(intervals) == 1


@pytest.mark.parametrize("method", ["bootstrap", "wilson"])
def test_intervals_cover_the_true_accuracy_about_95_times_in_100(method: str) -> None:
    generator = numpy_generator(5, "coverage")
    truth, n, trials, covered = 0.85, 300, 1000, 0
    for _ in range(trials):
        correct = generator.random(n) < truth
        interval = bootstrap_accuracy(correct, generator, 1000) if method == "bootstrap" else wilson_accuracy(correct)
        covered += interval.low <= truth <= interval.high
    assert 0.93 <= covered / trials <= 0.97


def test_a_perfect_score_is_certain_to_the_bootstrap_and_not_to_wilson() -> None:
    assert bootstrap_accuracy(answers(30, 30), numpy_generator(0, "test")).low == 1.0
    interval = wilson_accuracy(answers(30, 30))
    assert interval.low == pytest.approx(0.88649, abs=1e-5)
    assert interval.high == 1.0


@given(n=st.integers(1, 2000), share=st.floats(0, 1))
def test_wilson_agrees_with_scipy(n: int, share: float) -> None:
    right = round(share * n)
    expected = binomtest(right, n).proportion_ci(method="wilson")
    interval = wilson_accuracy(answers(right, n))
    assert interval.low == pytest.approx(expected.low, abs=1e-12)
    assert interval.high == pytest.approx(expected.high, abs=1e-12)
    assert interval.low <= right / n <= interval.high


def test_bad_input_is_refused() -> None:
    generator = numpy_generator(0, "test")
    with pytest.raises(StageInputError, match="one boolean per test sample, got shape \\(0,\\)"):
        wilson_accuracy(np.array([], dtype=bool))
    with pytest.raises(StageInputError, match="of int64"):
        bootstrap_accuracy(np.array([0, 1]), generator)
    with pytest.raises(ConfigurationError, match="bootstrap_samples is 10"):
        bootstrap_accuracy(answers(1, 2), generator, samples=10)
    with pytest.raises(ConfigurationError, match="confidence must lie between 0 and 1, got 95"):
        wilson_accuracy(answers(1, 2), confidence=95)
