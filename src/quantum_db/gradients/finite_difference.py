"""Derivatives from differences of nearby values: simple, approximate, and wrong to use with shots.

On exact values the central difference is off by at most step^2 / 6 * W^3 |c| and the forward difference by
step / 2 * W^2 |c|, where W is the sum of |scale| over the places of the slot and c the observable's coefficient (an
expectation value is a trigonometric polynomial of degree W in the slot; Bernstein's inequality), plus about
1e-16 / step of rounding in complex128 and 1e-7 / step in complex64.

With shots the sampling noise is divided by the step: the standard error is 1 / step times that of the parameter shift
rule (central) or 2 / step (forward), so 100 or 200 times at the default step. Use `parameter_shift` there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantum_db.backends.protocols import CircuitRows
from quantum_db.errors import ConfigurationError
from quantum_db.gradients.method import Wanted
from quantum_db.gradients.weighted_sums import Terms, WeightedSumGradient, live_columns, moved_rows

SCHEMES: dict[str, tuple[tuple[float, float], ...]] = {
    "central": ((0.5, 1.0), (-0.5, -1.0)),
    "forward": ((1.0, 1.0), (-1.0, 0.0)),
}
"""For each scheme pairs (factor * step, shift / step)."""


@dataclass(frozen=True)
class FiniteDifference(WeightedSumGradient):
    """Differences of values at slots moved by `step` (in units of the slot, not of the angle).

    "central" takes two circuits per live slot, "forward" one and the unmoved circuit of each row. Raises
    ConfigurationError for an unknown scheme or a step that is no number above 0.
    """

    step: float = 0.01
    scheme: str = "central"

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise ConfigurationError(f"unknown scheme {self.scheme!r} of differences; known: {', '.join(SCHEMES)}")
        if isinstance(self.step, bool) or not isinstance(self.step, (int, float)) or not 0 < self.step < np.inf:
            raise ConfigurationError(f"the step of differences must be a number above 0, got {self.step!r}")

    def terms(self, rows: CircuitRows, wanted: Wanted) -> Terms:
        """For each row, each live slot moved forward and backward (or left where it is)."""
        slots = live_columns(rows, wanted)
        rule = SCHEMES[self.scheme]
        per_row, moved = len(slots) * len(rule), np.tile(slots, len(rule))
        table = np.zeros((per_row, rows.circuit.n_weights + rows.circuit.n_features))
        table[np.arange(per_row), moved] = np.repeat([shift * self.step for _, shift in rule], len(slots))
        return Terms(
            circuits=moved_rows(rows, np.broadcast_to(table, (rows.n_rows, *table.shape))),
            points=np.arange(rows.n_rows * per_row),
            rows=np.repeat(np.arange(rows.n_rows), per_row),
            slots=np.tile(moved, rows.n_rows),
            factors=np.tile(np.repeat([factor / self.step for factor, _ in rule], len(slots)), rows.n_rows),
        )
