from decimal import Decimal

import numpy as np
import pytest

from quantum_db.backends.ionq import IonQBackend, IonQClient, IonQOptions
from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.circuits import Circuit, feature, op
from quantum_db.errors import BudgetExceededError, LostJobError, RejectedJobError
from quantum_db.execution.budget.local_ledger import LocalBudget
from quantum_db.execution.budgeted import BudgetedExecutor
from quantum_db.execution.journal import Journal
from quantum_db.execution.journaled import JournaledExecutor
from quantum_db.execution.waiting import Patience
from tests.backends.ionq.provider import KEY, Provider, serving
from tests.execution.journal.test_journaled import FAST, QUICK

CIRCUIT = Circuit(1, (op("RY", 0, angle=feature(0)),), ("Z0",))


@pytest.fixture
def provider():
    return Provider(usd_per_circuit="0.5")


@pytest.fixture
def url(provider):
    with serving(provider) as address:
        yield address


def highest_price(sizes, shots):
    return Decimal("0.75") * len(sizes)


def executor(url, folder, limit, limit_s=20.0, price=highest_price):
    backend = IonQBackend.connect(IonQClient(url, KEY, FAST), "simulator", IonQOptions())
    journaled = JournaledExecutor(backend, Journal.open(folder, "run"), Patience(0.01, 0.05, limit_s), QUICK)
    return BudgetedExecutor(journaled, LocalBudget.open(folder, "run", Decimal(limit)), price)


def batch(first, rows=2):
    return Batch((CircuitRows.of(CIRCUIT, (), first + 0.1 * np.arange(rows)[:, None] + 0.1),))


def money(budgeted):
    balance = budgeted.ledger.balance()
    return balance.spent, balance.reserved


def close(budgeted):
    budgeted.inner.journal.close()


def test_the_ledger_equals_the_bill(url, tmp_path, provider):
    budgeted = executor(url, tmp_path, "100")
    for number in range(3):
        budgeted.run(batch(number))
    budgeted.run(batch(0))  # from the journal
    assert money(budgeted) == (Decimal("3.0"), 0)
    assert money(budgeted)[0] == Decimal(provider.bill)


def test_nothing_is_sent_beyond_the_budget_and_a_raised_one_goes_on(url, tmp_path, provider):
    budgeted = executor(url, tmp_path, "2.6")
    budgeted.run(batch(0))
    budgeted.run(batch(1))  # 1.00 spent, 1.50 wanted: fits
    posts = len(provider.jobs)
    with pytest.raises(BudgetExceededError, match=r"may cost 1.50 USD, and of the budget of 2.6 USD 0.6"):
        budgeted.run(batch(2))
    assert len(provider.jobs) == posts == 2
    budgeted.run(batch(1))  # what is paid for is still answered
    close(budgeted)
    resumed = executor(url, tmp_path, "3.5")
    resumed.run(batch(2))
    assert money(resumed) == (3, 0)


def test_a_budget_of_zero_allows_what_is_free(url, tmp_path, provider):
    provider.usd_per_circuit = "0"
    budgeted = executor(url, tmp_path, "0", price=lambda sizes, shots: Decimal(0))
    budgeted.run(batch(0))
    close(budgeted)
    priced = executor(url, tmp_path, "0")
    priced.run(batch(0))
    with pytest.raises(BudgetExceededError, match="Raise the budget"):
        priced.run(batch(1))


def test_failed_and_refused_jobs_free_their_reservation(url, tmp_path, provider):
    budgeted = executor(url, tmp_path, "100")
    provider.failure = {"code": "InternalError", "message": ""}
    with pytest.raises(RejectedJobError):
        budgeted.run(batch(0))
    assert money(budgeted) == (0, 0)
    provider.failure = None
    provider.faults = [("POST", "/jobs", 400)]
    with pytest.raises(RejectedJobError):
        budgeted.run(batch(0))
    assert money(budgeted) == (0, 0)
    provider.faults = [("POST", "/jobs", 402)]
    with pytest.raises(BudgetExceededError, match="for its cost"):
        budgeted.run(batch(0))
    assert money(budgeted) == (0, 0)
    budgeted.run(batch(0))
    assert money(budgeted) == (1, 0)


def test_a_job_in_flight_keeps_its_reservation_over_a_restart(url, tmp_path, provider):
    provider.states = ("submitted",) * 30 + ("completed",)
    budgeted = executor(url, tmp_path, "100", limit_s=0.05)
    with pytest.raises(LostJobError):
        budgeted.run(batch(0))
    assert money(budgeted) == (0, Decimal("1.5"))
    close(budgeted)
    (tmp_path / "budget.sqlite").unlink()  # a lost ledger is made again from the journal
    resumed = executor(url, tmp_path, "0.1")
    assert money(resumed) == (0, Decimal("1.5"))
    resumed.run(batch(0))
    assert money(resumed) == (1, 0)


def test_what_the_journal_never_heard_of_is_released_at_the_start(url, tmp_path):
    budgeted = executor(url, tmp_path, "100")
    key = budgeted.inner.due(batch(0)).intent_id
    budgeted.ledger.reserve(key, Decimal(5))  # killed before the intent was written
    budgeted.ledger.reserve("of another journal", Decimal(7))
    close(budgeted)
    assert money(executor(url, tmp_path, "100")) == (0, 7)


def test_a_result_that_was_not_settled_is_settled_at_the_start(url, tmp_path):
    budgeted = executor(url, tmp_path, "100")
    budgeted.ledger.reserve(budgeted.inner.due(batch(0)).intent_id, Decimal(5))
    budgeted.inner.run(batch(0))  # killed between the result and its settlement
    assert money(budgeted) == (0, 5)
    close(budgeted)
    assert money(executor(url, tmp_path, "100")) == (1, 0)
