"""Which rows are trained on, and in what order: decided by the seed alone, so that any position can be resumed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantum_db.data.splitting import stratified_split
from quantum_db.errors import StageInputError
from quantum_db.seeding import numpy_generator

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BatchOrder:
    """The batches of every epoch over `n_rows` rows: shuffled by (seed, epoch), the last one may be smaller."""

    n_rows: int
    batch_size: int
    seed: int

    @property
    def batches_per_epoch(self) -> int:
        """The number of batches in an epoch."""
        return -(-self.n_rows // self.batch_size)

    def batches(self, epoch: int) -> list[Rows]:
        """The row numbers of each batch of `epoch`."""
        order = numpy_generator(self.seed, "batches", epoch).permutation(self.n_rows)
        return [order[first : first + self.batch_size] for first in range(0, self.n_rows, self.batch_size)]


def hold_out(labels: Rows, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Row numbers (training, validation), stratified by class; no validation rows at fraction 0."""
    if fraction == 0:
        return np.arange(len(labels)), np.arange(0)
    return stratified_split(labels, fraction, seed, "validation")


def check_samples(values: npt.NDArray[np.float64], labels: Rows) -> None:
    """Raise StageInputError unless there are finite values (rows, inputs) and a label for each row."""
    if values.ndim != 2 or not len(values) or labels.shape != (len(values),):
        raise StageInputError(
            f"training needs values of shape (rows, inputs) and one label per row, got the shapes {values.shape} and "
            f"{labels.shape}"
        )
    if not np.all(np.isfinite(values)):
        row, column = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise StageInputError(f"value {column} of row {row} is {values[row, column]}; remove or fill it first")
    if not np.issubdtype(labels.dtype, np.integer):
        raise StageInputError(f"labels are whole numbers from 0 on, got an array of {labels.dtype}")
    if labels.min() < 0:
        raise StageInputError(f"labels are numbers from 0 on, got {int(labels.min())}")
