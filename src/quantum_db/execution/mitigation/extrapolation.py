"""Values at several noise factors -> the value without noise, with its standard error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Literal

import numpy as np
import numpy.typing as npt

from quantum_db.errors import ConfigurationError

FloatArray = npt.NDArray[np.float64]
Fit = Literal["linear", "polynomial", "richardson", "exponential"]
FITS: tuple[Fit, ...] = ("linear", "polynomial", "richardson", "exponential")

_LARGEST_GAIN = 4.0
"""The most by which the exponential fit may enlarge the value at factor 1: of what decayed further, the rate is lost
in shot noise, and larger gains would only multiply that."""
_GRID = 128
_STEPS = 45


@dataclass(frozen=True, eq=False)
class Extrapolated:
    """Values at noise factor 0 and their standard errors (None where the values were exact), of one shape."""

    values: FloatArray
    standard_errors: FloatArray | None


def extrapolate(
    factors: Sequence[float],
    values: FloatArray,
    standard_errors: FloatArray | None = None,
    fit: Fit = "linear",
    *,
    degree: int = 2,
    asymptote: float = 0.0,
) -> Extrapolated:
    """Fit `values` (factors, ...) against the noise factors and read the fit at 0, for each of the other positions.

    "linear" and "polynomial" (of `degree`) are least squares with equal weights: weights from estimated errors would
    bias the result. "richardson" is the polynomial through all values. "exponential" is a + b exp(-c factor) with the
    given `asymptote` a and 0 <= c <= log 4. Errors are propagated through the fit, for "exponential" to first order:
    they hold where the values are several times their errors.
    Raises ConfigurationError where factors or degree do not allow the fit.
    """
    points = checked_factors(factors, fit, degree)
    if fit == "exponential":
        return _exponential(points, values, standard_errors, asymptote)
    weights = fit_weights(points, fit, degree)
    found = np.tensordot(weights, values, axes=1)
    if standard_errors is None:
        return Extrapolated(found, None)
    return Extrapolated(found, np.sqrt(np.tensordot(weights**2, standard_errors**2, axes=1)))


def fit_weights(factors: Sequence[float] | FloatArray, fit: Fit, degree: int = 2) -> FloatArray:
    """The weight of each factor's value in the value at 0, for the fits that are weighted sums; they sum to 1."""
    points = checked_factors(factors, fit, degree)
    power = {"linear": 1, "polynomial": degree, "richardson": len(points) - 1}
    if fit not in power:
        raise ConfigurationError(f"fit {fit!r} is not a weighted sum of the values; use one of {', '.join(power)}")
    return np.asarray(np.linalg.pinv(np.vander(points, power[fit] + 1, increasing=True))[0])


def checked_factors(factors: Sequence[float] | FloatArray, fit: str, degree: int) -> FloatArray:
    """The factors as an array; ConfigurationError unless they are different and enough for `fit`."""
    if fit not in FITS:
        raise ConfigurationError(f"unknown fit {fit!r}; known: {', '.join(FITS)}")
    if isinstance(degree, bool) or not isinstance(degree, int) or degree < 1:
        raise ConfigurationError(f"the degree of a polynomial fit must be a positive integer, got {degree!r}")
    points = np.asarray(factors, dtype=np.float64)
    needed = degree + 1 if fit == "polynomial" else 2
    if len(np.unique(np.round(points, 9))) < len(points) or len(points) < needed:
        raise ConfigurationError(
            f"fit {fit!r} needs at least {needed} different noise factors, got {points.tolist()}; a circuit of few "
            f"gates cannot be folded by every factor, odd whole ones always work"
        )
    return points


def _exponential(
    factors: FloatArray, values: FloatArray, standard_errors: FloatArray | None, asymptote: float
) -> Extrapolated:
    """Least squares in b and c: for each c the best b is linear, so only c is searched."""
    shape = values.shape[1:]
    heights = values.reshape(len(factors), -1) - asymptote
    rates = _decay_rates(factors, heights)
    shrunk = np.exp(-factors[:, None] * rates)
    norms = (shrunk**2).sum(axis=0)
    found = (asymptote + (shrunk * heights).sum(axis=0) / norms).reshape(shape)
    if standard_errors is None:
        return Extrapolated(found, None)
    weights = _first_order_weights(factors, shrunk)
    spread = np.sqrt((weights**2 * standard_errors.reshape(len(factors), -1) ** 2).sum(axis=0))
    return Extrapolated(found, spread.reshape(shape))


def _explained(factors: FloatArray, heights: FloatArray, rates: FloatArray) -> FloatArray:
    """The sum of squares that the best b explains, for each column's own rate."""
    shrunk = np.exp(-factors[:, None] * rates)
    return np.asarray((shrunk * heights).sum(axis=0) ** 2 / (shrunk**2).sum(axis=0))


def _decay_rates(factors: FloatArray, heights: FloatArray) -> FloatArray:
    """The rate of each column (points,): the best of a grid, then golden-section search between its neighbours."""
    grid = np.linspace(0.0, log(_LARGEST_GAIN), _GRID)
    columns = heights.shape[1]
    explained = np.stack([_explained(factors, heights, np.full(columns, rate)) for rate in grid])
    best = np.argmax(explained, axis=0)
    low, high = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, _GRID - 1)]
    ratio = (np.sqrt(5) - 1) / 2
    for _ in range(_STEPS):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        keep_left = _explained(factors, heights, left) > _explained(factors, heights, right)
        low, high = np.where(keep_left, low, left), np.where(keep_left, right, high)
    found = (low + high) / 2
    # a maximum at a bound is taken there itself, so that bounds are seen to be bounds
    for bound in (0.0, float(grid[-1])):
        edge = np.full(columns, bound)
        found = np.where(_explained(factors, heights, edge) >= _explained(factors, heights, found), edge, found)
    return np.asarray(found)


def _first_order_weights(factors: FloatArray, shrunk: FloatArray) -> FloatArray:
    """The derivative of b in each value, (factors, columns), in a fit of b and c.

    The derivative in c is b times the column below, so b cancels, and the weights exist for b = 0 too.
    """
    slope = -factors[:, None] * shrunk
    aa, bb, ab = (shrunk**2).sum(axis=0), (slope**2).sum(axis=0), (shrunk * slope).sum(axis=0)
    return np.asarray((bb * shrunk - ab * slope) / (aa * bb - ab**2))
