"""Simultaneous perturbation (SPSA): all slots at once along random directions, two circuits per row and draw.

J. C. Spall, IEEE Transactions on Automatic Control 37, 332 (1992). Averaged over directions the estimate is right up to
about perturbation^2; one draw of derivative i scatters by the root of the sum of the squares of all other derivatives,
and the mean over draws by 1 / sqrt(draws) of that. With shots, sampling noise is divided by the perturbation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantum_db.backends.protocols import CircuitRows, RowResults
from quantum_db.errors import ConfigurationError
from quantum_db.gradients.method import FloatArray, Jacobian, Wanted
from quantum_db.gradients.weighted_sums import Terms, WeightedSumGradient, distinct, live_columns, moved_rows
from quantum_db.seeding import check_seed, numpy_generator


@dataclass(frozen=True)
class SimultaneousPerturbation(WeightedSumGradient):
    """The mean over `draws` directions of +1 and -1 per live slot, with slots moved by `perturbation` (in their units).

    The directions are drawn anew for each row from the seed of what is wanted; with a `seed` from both, so that other
    directions are drawn where everything else stays the same. Standard errors hold the scatter of the draws, so they
    exist for exact values too. Raises ConfigurationError for a perturbation that is no number above 0, for draws that
    are no positive integer, for an impossible seed, and when standard errors are wanted of a single draw.
    """

    perturbation: float = 0.1
    draws: int = 8
    seed: int | None = None

    def __post_init__(self) -> None:
        size = self.perturbation
        if isinstance(size, bool) or not isinstance(size, (int, float)) or not 0 < size < np.inf:
            raise ConfigurationError(f"the perturbation of SPSA must be a number above 0, got {size!r}")
        if self.seed is not None:
            check_seed(self.seed)
        if isinstance(self.draws, bool) or not isinstance(self.draws, int) or self.draws < 1:
            raise ConfigurationError(f"the draws of SPSA must be a positive integer, got {self.draws!r}")

    def terms(self, rows: CircuitRows, wanted: Wanted) -> Terms:
        """For each row and draw, the two evaluations; each enters the derivatives in all slots."""
        columns, directions = live_columns(rows, wanted), self._directions(rows, wanted)
        if not len(columns):
            directions = directions[:, :0]  # nothing to move, so nothing to run
        moves = np.zeros((*directions.shape[:2], 2, rows.circuit.n_weights + rows.circuit.n_features))
        signed = np.stack([directions, -directions], axis=2)
        moves[..., columns] = self.perturbation * signed
        points = moves.reshape(rows.n_rows, directions.shape[1] * 2, moves.shape[-1])
        count = rows.n_rows * points.shape[1]
        return Terms(
            circuits=moved_rows(rows, points),
            points=np.repeat(np.arange(count), len(columns)),
            rows=np.repeat(np.arange(rows.n_rows), points.shape[1] * len(columns)),
            slots=np.tile(columns, count),
            factors=signed.ravel() / (2 * self.perturbation * self.draws),
        )

    def combine(self, rows: CircuitRows, wanted: Wanted, results: tuple[RowResults, ...]) -> Jacobian:
        """The mean over the draws; its error is from their scatter, or from the shots where that is larger."""
        if wanted.standard_errors and self.draws < 2:
            raise ConfigurationError("standard errors of SPSA come from the scatter of its draws; use at least 2 draws")
        jacobian = super().combine(rows, wanted, results)
        if not wanted.standard_errors or not results:
            return jacobian
        scatter = self._scatter(rows, wanted, results[0].values)
        sampled = jacobian.standard_errors
        if sampled is not None:
            by_weight = np.maximum(scatter.weights, sampled.weights)
            scatter = Jacobian(by_weight, np.maximum(scatter.features, sampled.features))
        return Jacobian(jacobian.weights, jacobian.features, scatter)

    def _scatter(self, rows: CircuitRows, wanted: Wanted, values: FloatArray) -> Jacobian:
        columns, directions = live_columns(rows, wanted), self._directions(rows, wanted)
        _, place = distinct(self.terms(rows, wanted).circuits)
        pairs = values[place].reshape(rows.n_rows, self.draws, 2, -1)
        slopes = (pairs[:, :, 0] - pairs[:, :, 1]) / (2 * self.perturbation)
        estimates = slopes[:, :, :, None] * directions[:, :, None, :]
        n_weights = rows.circuit.n_weights
        errors = np.zeros((rows.n_rows, values.shape[1], n_weights + rows.circuit.n_features))
        errors[:, :, columns] = estimates.std(axis=1, ddof=1) / np.sqrt(self.draws)
        return Jacobian(errors[:, :, :n_weights], errors[:, :, n_weights:])

    def _directions(self, rows: CircuitRows, wanted: Wanted) -> FloatArray:
        """+1 or -1, shape (rows, draws, live slots)."""
        count = len(live_columns(rows, wanted))
        own = () if self.seed is None else (self.seed,)
        generator = numpy_generator(wanted.seed, "spsa", "directions", *own)
        return generator.choice([-1.0, 1.0], size=(rows.n_rows, self.draws, count))
