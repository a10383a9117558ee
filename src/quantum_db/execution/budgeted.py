"""The executor that spends no more than the budget: reserved before a job is submitted, settled exactly after it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from quantum_db.backends.protocols import Batch, RowResults
from quantum_db.backends.remote import EXACT_SHOTS
from quantum_db.errors import BackendError, QStoreError
from quantum_db.execution.budget import BudgetLedger
from quantum_db.execution.journal import Journal

Sizes = tuple[tuple[int, int], ...]
HighestPrice = Callable[[Sizes, int], Decimal]
"""(gates of each circuit, shots) -> the most that the job may cost, in US dollars."""
_LOG = logging.getLogger(__name__)


class Due(Protocol):
    """What a batch would cost (see `execution.journaled.Due`)."""

    @property
    def intent_id(self) -> str: ...  # noqa: D102

    @property
    def settled(self) -> bool: ...  # noqa: D102

    @property
    def sizes(self) -> Sizes: ...  # noqa: D102

    @property
    def shots(self) -> int: ...  # noqa: D102


class BilledExecutor(Protocol):
    """An executor that says what a batch would cost and what it has cost, as `JournaledExecutor` does."""

    @property
    def name(self) -> str:
        """The target's name."""
        ...

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        """Run every circuit of `batch`."""
        ...

    def due(self, batch: Batch) -> Due | None:
        """What the batch would cost now; None when it needs no machine."""
        ...

    def charge(self, intent_id: str, ask: bool) -> Decimal | None:
        """What a job that is over has cost; None when that is not known, after asking the provider if `ask`."""
        ...

    @property
    def journal(self) -> Journal:
        """All jobs so far."""
        ...


@dataclass(frozen=True, eq=False)
class BudgetedExecutor:
    """Runs batches on `inner` within the budget of `ledger`. For several threads.

    `highest_price` is the high reading of the price table, so that a bill never exceeds what was reserved. A job whose
    fate is unknown keeps its reservation.
    """

    inner: BilledExecutor
    ledger: BudgetLedger
    highest_price: HighestPrice

    def __post_init__(self) -> None:
        self.reconcile()

    @property
    def name(self) -> str:
        """The target's name."""
        return self.inner.name

    @property
    def differentiable(self) -> bool:
        """Gradients come from shifted circuits."""
        return False

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        """The batch's results; BudgetExceededError when it may cost more than is left (nothing is then submitted)."""
        due = self.inner.due(batch)
        if due is None:
            return self.inner.run(batch)
        amount = self.highest_price(due.sizes, due.shots)
        if amount > 0 and not due.settled:
            self.ledger.reserve(due.intent_id, amount)
        try:
            results = self.inner.run(batch)
        except QStoreError:
            self._close(due.intent_id, amount)
            raise
        self._settle(due.intent_id, amount)
        return results

    def reconcile(self) -> None:
        """Bring the ledger up to what the journal says: after a kill between the two, or for a ledger that was lost.

        Called before anything runs; the journal has one writer, so what it does not know was never submitted.
        """
        journal = self.inner.journal
        for entry in journal.entries:
            if entry.intent.target == self.inner.name:
                shots = EXACT_SHOTS if entry.intent.shots is None else entry.intent.shots
                amount = self.highest_price(entry.sizes, shots)
                if entry.is_open and amount > 0:
                    self.ledger.reserve(entry.intent.intent_id, amount, force=True)
                self._close(entry.intent.intent_id, amount)
        for key in self.ledger.reserved_keys(journal.id_prefix):
            if journal.entry(key) is None:
                self.ledger.release(key)

    def _close(self, intent_id: str, amount: Decimal) -> None:
        """Settle or release a job that is over; leave one that is or may be in flight."""
        entry = self.inner.journal.entry(intent_id)
        if entry is None or entry.state == "dropped":
            self.ledger.release(intent_id)
        elif not entry.is_open:
            self._settle(intent_id, amount)

    def _settle(self, intent_id: str, amount: Decimal) -> None:
        try:
            cost = self.inner.charge(intent_id, ask=amount > 0)
        except BackendError as error:
            _LOG.warning("the cost of job %s cannot be asked for now (%s); what was reserved counts", intent_id, error)
            cost = None
        if cost is None and amount == 0:
            return
        if cost is not None and cost > amount:
            _LOG.warning("job %s cost %s USD, more than the %s that the price table allows", intent_id, cost, amount)
        if amount > 0 or cost:
            self.ledger.settle(intent_id, cost)
