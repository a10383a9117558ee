"""What executors of machines that charge promise beside the rest: they bill what was planned, and nothing twice."""

from __future__ import annotations

from decimal import Decimal

from quantum_db.backends.protocols import Batch, Executor
from quantum_db.testing.executor_contract import COUNTED, MEASURED, rows_of


class BillingContract:
    """Subclass it beside ExecutorContract; give it `planned_usd`, `billed_usd` and a fixture `executor`.

    `shots` are those of the batches that are billed.
    """

    shots: int = 100

    def planned_usd(self, executor: Executor, batch: Batch) -> Decimal:
        """What `batch` is said to cost before it runs."""
        raise NotImplementedError("say what a batch is planned to cost")

    def billed_usd(self, executor: Executor) -> Decimal:
        """What was charged so far, all batches together."""
        raise NotImplementedError("say what was charged so far")

    def batch(self, seed: int) -> Batch:
        """A batch with circuits of several sizes; another seed is another batch."""
        return Batch((rows_of(MEASURED, 3, seed), rows_of(COUNTED, 2, seed)), self.shots, seed)

    def test_what_is_billed_was_planned(self, executor: Executor) -> None:
        """Planned and billed are equal, batch by batch, to the last digit."""
        for seed in (1, 2):
            before = self.billed_usd(executor)
            planned = self.planned_usd(executor, self.batch(seed))
            executor.run(self.batch(seed))
            assert planned > 0
            assert self.billed_usd(executor) - before == planned

    def test_nothing_asked_is_not_billed(self, executor: Executor) -> None:
        """An empty batch costs nothing."""
        before = self.billed_usd(executor)
        executor.run(Batch((), self.shots))
        executor.run(Batch((rows_of(MEASURED, 0),), self.shots))
        assert self.billed_usd(executor) == before

    def test_planning_is_not_billed(self, executor: Executor) -> None:
        """To ask for a price costs nothing."""
        before = self.billed_usd(executor)
        self.planned_usd(executor, self.batch(3))
        assert self.billed_usd(executor) == before
