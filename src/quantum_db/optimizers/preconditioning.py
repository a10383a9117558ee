"""Solving with a metric that is positive in theory and noisy in practice."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def preconditioned(metric: FloatArray, gradient: FloatArray, ridge: float, pinv: bool = False) -> FloatArray:
    """(|metric| + ridge)^-1 gradient, (k,), with the metric's eigenvalues replaced by their sizes.

    With `pinv` directions whose eigenvalue is at most `ridge` are left out instead of being damped.
    """
    values, vectors = np.linalg.eigh((metric + metric.T) / 2)
    sizes = np.abs(values)
    kept = sizes > ridge if pinv else np.ones(len(sizes), dtype=bool)
    divisors = np.where(kept, sizes if pinv else sizes + ridge, 1.0)
    return np.asarray(vectors @ (kept * (vectors.T @ gradient) / divisors), dtype=np.float64)
