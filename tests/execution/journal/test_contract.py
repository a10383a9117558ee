"""The journaled and budgeted executor on IonQ's API against the contract of all executors."""

from decimal import Decimal

import pytest

from quantum_db.backends.ionq import IonQBackend, IonQClient, IonQOptions
from quantum_db.execution.budget.local_ledger import LocalBudget
from quantum_db.execution.budgeted import BudgetedExecutor
from quantum_db.execution.journal import Journal
from quantum_db.execution.journaled import JournaledExecutor
from quantum_db.execution.waiting import Patience
from quantum_db.testing import BillingContract, ExecutorContract
from tests.backends.ionq.provider import KEY, Provider, serving
from tests.execution.journal.test_journaled import FAST, QUICK

PRICE = Decimal("0.25")


class TestJournaled(ExecutorContract, BillingContract):
    tolerance = 1e-9
    duplicates_once = True

    @pytest.fixture
    def executor(self, tmp_path):
        with serving(Provider(("completed",), str(PRICE))) as url:
            backend = IonQBackend.connect(IonQClient(url, KEY, FAST), "simulator", IonQOptions())
            with Journal.open(tmp_path, "run") as journal:
                journaled = JournaledExecutor(backend, journal, Patience(0.01, 0.05, 20), QUICK)
                ledger = LocalBudget.open(tmp_path, "run", Decimal(10_000))
                yield BudgetedExecutor(journaled, ledger, lambda sizes, shots: PRICE * len(sizes))

    def planned_usd(self, executor, batch):
        return executor.highest_price(executor.inner.due(batch).sizes, batch.shots)

    def billed_usd(self, executor):
        return executor.ledger.balance().spent
