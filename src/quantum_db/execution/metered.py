"""The executor that tells the meter of a run what each of its jobs was, from the journal and the budget."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from decimal import Decimal

from quantum_db.backends.protocols import Batch, RowResults
from quantum_db.execution.budget import BudgetLedger
from quantum_db.execution.budget.local_ledger import LocalBudget
from quantum_db.execution.budgeted import BudgetedExecutor
from quantum_db.execution.journal import JobEntry, Journal
from quantum_db.execution.journaled import JournaledExecutor
from quantum_db.execution.observed import ExecutionMeter


@dataclass(eq=False)
class MeteredExecutor:
    """Runs batches on `inner` and counts every job once, also one that is answered from the journal of a resumed run.

    So the sums over a run are those of its journal and its ledger, however often it was killed in between. Earlier
    attempts that the provider failed are counted with the one that came back.
    """

    inner: BudgetedExecutor
    journaled: JournaledExecutor
    meter: ExecutionMeter
    _counted: set[str] = field(default_factory=set)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        """The target's name."""
        return self.inner.name

    @property
    def differentiable(self) -> bool:
        """Gradients come from shifted circuits."""
        return False

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        """Run `batch` and count its job."""
        results = self.inner.run(batch)
        due = self.journaled.due(batch)
        entry = None if due is None else self.journaled.journal.entry(due.intent_id)
        if entry is not None:
            for attempt in self._attempts(entry):
                self._count(attempt)
        return results

    def has_begun(self, batch: Batch) -> bool:
        """Whether the job of `batch` was submitted here before and is not lost: it is paid for, or being run."""
        due = self.journaled.due(batch)
        entry = None if due is None else self.journaled.journal.entry(due.intent_id)
        return entry is not None and (entry.is_open or entry.state == "result")

    def price(self, batch: Batch) -> Decimal:
        """The most that the job of `batch` may cost, whether or not it is paid for already."""
        due = self.journaled.due(batch)
        return Decimal(0) if due is None else self.inner.highest_price(due.sizes, due.shots)

    def _attempts(self, entry: JobEntry) -> list[JobEntry]:
        if entry.attempt == 1:
            return [entry]
        return [other for other in self.journaled.journal.entries if other.digest == entry.digest]

    def _count(self, entry: JobEntry) -> None:
        with self._mutex:
            if entry.intent.intent_id in self._counted or entry.ticket is None:
                return
            self._counted.add(entry.intent.intent_id)
        circuits = len(entry.fingerprints)
        queue_s, run_s = _seconds(self.journaled.journal, entry)
        self.meter.add(
            circuits=circuits,
            shots=circuits * (entry.intent.shots or 0),
            jobs=1,
            cost_usd=cost_of(entry, self.inner.ledger),
            queue_s=queue_s,
            run_s=run_s,
            job_ids=(entry.ticket.job_id,),
        )


def cost_of(entry: JobEntry, ledger: BudgetLedger) -> Decimal:
    """What counts as the cost of a job that is over: what the ledger has booked for it, else what the journal says.

    Where the provider does not name a cost, the ledger has booked what was reserved.
    """
    booked = ledger.entry(entry.intent.intent_id) if isinstance(ledger, LocalBudget) else None
    if booked is not None and booked.cost is not None:
        return booked.cost
    return entry.cost_usd or Decimal(0)


def _seconds(journal: Journal, entry: JobEntry) -> tuple[float, float]:
    if entry.state != "result":
        return 0.0, 0.0
    collected = journal.result(entry)
    return collected.queue_s or 0.0, collected.run_s or 0.0
