"""Fits against their own truth, and their errors against the spread over many samples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from quantum_db.errors import ConfigurationError
from quantum_db.execution.mitigation.extrapolation import extrapolate, fit_weights

FACTORS = np.array([1.0, 2.0, 3.0, 5.0])


@pytest.mark.parametrize(
    ("fit", "degree", "truth"),
    [("linear", 1, [0.7, -0.1]), ("polynomial", 2, [0.7, -0.2, 0.03]), ("richardson", 1, [0.7, -0.3, 0.05, -0.004])],
)
def test_a_curve_of_the_fits_own_kind_is_recovered(fit, degree, truth):
    values = np.polynomial.polynomial.polyval(FACTORS, truth)
    found = extrapolate(FACTORS, values[:, None], None, fit, degree=degree)
    np.testing.assert_allclose(found.values, [truth[0]], atol=1e-12)
    assert found.standard_errors is None


@pytest.mark.parametrize(
    ("height", "rate"), [(0.9, 0.2), (-0.5, 0.05), (0.3, 1.1), (1.0, 0.0), (0.0, 0.3), (1e-9, 0.4)]
)
@pytest.mark.parametrize("asymptote", [0.0, 0.25])
def test_an_exponential_is_recovered(height, rate, asymptote):
    values = asymptote + height * np.exp(-rate * FACTORS)
    found = extrapolate(FACTORS, values[:, None], None, "exponential", asymptote=asymptote)
    np.testing.assert_allclose(found.values, [asymptote + height], atol=1e-7)


def test_an_exponential_of_two_factors_is_the_line_through_the_logarithms():
    values = np.array([[0.8], [0.5]])
    (found,) = extrapolate([1, 3], values, None, "exponential").values
    assert found == pytest.approx(0.8 * (0.8 / 0.5) ** 0.5, abs=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_least_squares_are_those_of_scipy(seed):
    generator = np.random.default_rng(seed)
    values = 0.8 * np.exp(-0.25 * FACTORS) + generator.normal(0, 0.02, 4)
    errors = np.full(4, 0.02)
    found = extrapolate(FACTORS, values[:, None], errors[:, None], "exponential")
    best, covariance = curve_fit(
        lambda factor, b, c: b * np.exp(-c * factor), FACTORS, values, p0=(0.8, 0.2), sigma=errors, absolute_sigma=True
    )
    np.testing.assert_allclose(found.values[0], best[0], rtol=1e-5)
    np.testing.assert_allclose(found.standard_errors[0], np.sqrt(covariance[0, 0]), rtol=1e-3)
    line = extrapolate(FACTORS, values[:, None], errors[:, None], "linear")
    best, covariance = np.polyfit(FACTORS, values, 1, cov="unscaled")
    np.testing.assert_allclose(line.values[0], best[1], rtol=1e-10)
    np.testing.assert_allclose(line.standard_errors[0], 0.02 * np.sqrt(covariance[1, 1]), rtol=1e-10)


@pytest.mark.parametrize("fit", ["linear", "polynomial", "richardson", "exponential"])
def test_errors_are_the_spread_over_many_samples(fit):
    generator = np.random.default_rng(3)
    truth = 0.9 * np.exp(-0.15 * FACTORS)
    errors = np.array([0.004, 0.005, 0.006, 0.008])
    samples = truth[:, None] + errors[:, None] * generator.standard_normal((4, 20000))
    found = extrapolate(FACTORS, samples, np.broadcast_to(errors[:, None], samples.shape), fit)
    stated = np.sqrt(np.mean(found.standard_errors**2))
    assert found.values.std() == pytest.approx(stated, rel=0.04)


def test_weights_sum_to_one_and_richardson_is_lagrange():
    for fit in ("linear", "polynomial", "richardson"):
        assert fit_weights(FACTORS, fit).sum() == pytest.approx(1)
    np.testing.assert_allclose(fit_weights([1, 3, 5], "richardson"), [15 / 8, -10 / 8, 3 / 8], atol=1e-12)
    np.testing.assert_allclose(fit_weights([1, 2], "linear"), [2, -1], atol=1e-12)


def test_noise_alone_is_not_blown_up_without_bound():
    values = np.random.default_rng(1).normal(0, 0.01, (4, 2000))
    found = extrapolate(FACTORS, values, np.full_like(values, 0.01), "exponential")
    assert np.abs(found.values).max() < 0.5
    assert np.all(np.isfinite(found.standard_errors))


@pytest.mark.parametrize(
    ("factors", "fit", "degree"),
    [
        ([1], "linear", 2),
        ([1, 1], "linear", 2),
        ([1, 3], "polynomial", 2),
        ([], "richardson", 2),
        ([2, 2], "exponential", 2),
    ],
)
def test_too_few_different_factors_are_refused(factors, fit, degree):
    with pytest.raises(ConfigurationError, match="different noise factors"):
        extrapolate(factors, np.zeros((len(factors), 1)), None, fit, degree=degree)


def test_unknown_fits_and_degrees_are_refused():
    with pytest.raises(ConfigurationError, match="unknown fit 'cubic'"):
        extrapolate([1, 3], np.zeros((2, 1)), None, "cubic")
    with pytest.raises(ConfigurationError, match="degree"):
        extrapolate([1, 3], np.zeros((2, 1)), None, "polynomial", degree=0)
    with pytest.raises(ConfigurationError, match="not a weighted sum"):
        fit_weights([1, 3], "exponential")
