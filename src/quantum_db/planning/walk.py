"""A training run in the order in which it asks for circuits, without running any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from quantum_db.circuits.encoders import Encoder
from quantum_db.planning.choices import StepCounts
from quantum_db.planning.counting import CircuitCounter, Pattern, Request, Rows
from quantum_db.planning.data import PlannedData
from quantum_db.seeding import numpy_generator
from quantum_db.training.batches import BatchOrder, hold_out
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.schedules import shots_at

Phase = Literal["forward", "gradient", "metric", "overlaps", "validation"]
PHASES: tuple[Phase, ...] = ("forward", "gradient", "metric", "overlaps", "validation")
IntArray = npt.NDArray[np.int64]

EVALUATED_AT_ONCE = 512
"""Rows of the validation split that `training.step.evaluate` gives to the model at once."""


@dataclass(frozen=True, eq=False)
class Work:
    """`times` equal requests for `rows` rows, one after the other, in `epoch` (-1: before the first)."""

    phase: Phase
    epoch: int
    rows: int
    request: Request
    shots: int | None
    times: int


class RowTable:
    """The patterns of all rows of a data set, and which rows are equal.

    Behind trained layers all rows are different and have no zeros.
    """

    def __init__(self, data: PlannedData, encoder: Encoder, trained_front: bool, dtype: str) -> None:
        if data.values is None or trained_front:
            self.patterns: list[Pattern] = [_ordinary(encoder, trained_front)]
            self.pattern_of = np.zeros(data.n_rows, dtype=np.int64)
            self.ids: IntArray | None = None
            return
        # rounded as the trainer does
        slots = encoder.slot_values(data.values.astype(dtype).astype(np.float64)).astype(dtype) + 0.0
        _, ids = np.unique(slots, axis=0, return_inverse=True)
        patterns, self.pattern_of = np.unique(slots != 0, axis=0, return_inverse=True)
        self.patterns = [tuple(row) for row in patterns.tolist()]
        self.ids = None if len(np.unique(ids)) == len(ids) else ids.astype(np.int64)

    @property
    def alike(self) -> bool:
        """Whether all rows have one pattern and none is equal to another, so that only their number matters."""
        return len(self.patterns) == 1 and self.ids is None

    def rows(self, numbers: IntArray) -> Rows:
        """The rows with these numbers."""
        patterns = tuple(self.patterns[place] for place in self.pattern_of[numbers].tolist())
        return Rows(patterns, None if self.ids is None else tuple(self.ids[numbers].tolist()))


def _ordinary(encoder: Encoder, trained_front: bool) -> Pattern:
    """The pattern of a row of data without zeros; amplitudes that are padded with zeros give rotations by zero."""
    if trained_front:
        return (True,) * len(encoder.terms())
    low, high = encoder.domain or (-1.0, 1.0)
    features = numpy_generator(0, "planning", "features").uniform(low, high, (1, encoder.n_features))
    if encoder.name == "basis":
        features = np.ones_like(features)
    return tuple((encoder.slot_values(features)[0] != 0).tolist())


@dataclass(frozen=True, eq=False)
class Run:
    """What is trained on what, as far as it decides which circuits run."""

    config: QuantumTrainingConfig
    data: PlannedData
    table: RowTable
    counter: CircuitCounter

    @property
    def split(self) -> tuple[IntArray, IntArray]:
        """The numbers of the rows to train on and of those held out."""
        return hold_out(self.data.labels, self.config.validation_fraction, self.config.seed)

    def full_step(self, steps: StepCounts) -> list[tuple[Phase, Request, int]]:
        """What one step on a full batch runs."""
        training, _ = self.split
        rows = self.table.rows(BatchOrder(len(training), self.config.batch_size, self.config.seed).batches(0)[0])
        return [(kind, self.counter.request(kind, rows, 2), times) for kind, times in steps.next()]

    def works(self, steps: StepCounts) -> Iterator[Work]:
        """Everything that is run, in order; within an epoch equal batches are put together."""
        config = self.config
        training, validation = self.split
        order = BatchOrder(len(training), config.batch_size, config.seed)
        calls = 0
        for epoch in range(config.epochs):
            if steps.finished():
                return
            shots, found = shots_at(config, epoch), Counter[tuple[Phase, int, Request]]()
            for numbers in order.batches(epoch):
                rows = self.table.rows(training[numbers])
                for kind, times in steps.next():
                    calls += times if kind == "forward" else 0
                    found[kind, len(numbers), self.counter.request(kind, rows, calls)] += times
                if steps.finished():
                    break
            for place in range(0, len(validation), EVALUATED_AT_ONCE):
                calls += 1
                numbers = validation[place : place + EVALUATED_AT_ONCE]
                found["validation", len(numbers), self.counter.request("forward", self.table.rows(numbers))] += 1
            for (phase, n_rows, request), times in found.items():
                yield Work(phase, epoch, n_rows, request, shots, times)
