"""From what a machine counted to values: parities, probabilities and their standard errors, sparse all through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantum_db.errors import BackendError

FloatArray = npt.NDArray[np.float64]
MaskArray = npt.NDArray[np.uint64]

LARGEST_DENSE = 20
"""The most qubits of a circuit whose probabilities are all returned, as an array of 2^n numbers."""

_TOLERANCE = 1e-5
"""How far the sum of a histogram may be from 1: providers round."""


@dataclass(frozen=True, eq=False)
class Reading:
    """One circuit's histogram: the basis states that occurred and their shares, which sum to 1.

    `shots` None means that the shares are exact probabilities, or that their standard errors are `errors`.
    """

    states: MaskArray
    shares: FloatArray
    shots: int | None
    errors: FloatArray | None = None

    @classmethod
    def of(cls, histogram: Mapping[int, float], n_qubits: int, shots: int | None, what: str) -> Reading:
        """Check `histogram` and scale its sum to 1; BackendError, which names the circuit by `what`, if it is none."""
        if not histogram:
            raise BackendError(f"{what} came back without any result; nothing of the batch is used")
        states = sorted(histogram)
        if states[0] < 0 or states[-1] >= 1 << n_qubits:
            wrong = states[0] if states[0] < 0 else states[-1]
            raise BackendError(f"{what} has {n_qubits} qubits, but basis state {wrong} came back; nothing is used")
        shares = np.array([histogram[state] for state in states], dtype=np.float64)
        total = float(shares.sum())
        if not np.all(np.isfinite(shares)) or shares.min() < 0 or abs(total - 1) > _TOLERANCE:
            raise BackendError(
                f"the shares of {what} are from {shares.min()} to {shares.max()} and sum to {total}; "
                f"shares are at least 0 and sum to 1"
            )
        return cls(np.array(states, dtype=np.uint64), shares / total, shots)

    def parities(self, masks: MaskArray) -> tuple[FloatArray, FloatArray]:
        """The mean parity of the bits in each of `masks`, and its standard error (0 where exact)."""
        signs = 1.0 - 2.0 * (np.bitwise_count(self.states[None, :] & masks[:, None]) & 1)
        means = np.asarray(signs @ self.shares)
        if self.errors is not None:
            return means, np.full_like(means, np.linalg.norm(self.errors))
        if self.shots is None:
            return means, np.zeros_like(means)
        # one sample of parities, each +1 or -1: (1 - mean^2) / (shots - 1) estimates the variance without bias
        return means, np.sqrt(np.clip(1.0 - means**2, 0.0, None) / max(self.shots - 1, 1))

    def probabilities(self, n_qubits: int) -> tuple[FloatArray, FloatArray]:
        """All 2^n shares and their standard errors (0 where exact)."""
        dense = np.zeros(2**n_qubits)
        places = self.states.astype(np.int64)
        dense[places] = self.shares
        if self.errors is not None:
            spread = np.zeros_like(dense)
            spread[places] = self.errors
            return dense, spread
        if self.shots is None:
            return dense, np.zeros_like(dense)
        return dense, np.sqrt(dense * (1 - dense) / self.shots)


NOTHING_HAPPENED = Reading(np.zeros(1, dtype=np.uint64), np.ones(1), None)
"""The reading of a circuit without gates: |0...0>, always."""
