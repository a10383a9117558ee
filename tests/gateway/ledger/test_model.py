"""Any order of accepts, leases, reports, cancels and deaths: the ledger stays what a few lines of Python say."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import update

from quantum_db.gateway.ledger import Database
from quantum_db.gateway.ledger.records import LeasedTask
from quantum_db.gateway.ledger.schema import tasks
from tests.gateway.ledger.samples import QPU, TENANT, Ledger, in_tasks, new_job, outcome, paid_job
from tests.gateway.postgresql import PostgresServer

PRICE = Decimal("2.50")
ENDS = ("completed", "failed", "canceled")


class LedgerMachine(RuleBasedStateMachine):
    """Acts on a ledger and on the plainest model of it: what each job should be, and what it should have cost."""

    new_url: Callable[[], str]

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(Database.open(self.new_url()))
        self.status: dict[str, str] = {}
        self.paid: dict[str, bool] = {}
        self.left: dict[str, int] = {}  # unfinished circuits of unfinished jobs
        self.spent = Decimal(0)
        self.held: list[LeasedTask] = []
        self.stale: list[LeasedTask] = []

    def teardown(self) -> None:
        self.ledger.database.close()

    @rule(sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3), paid=st.booleans())
    def accept(self, sizes: list[int], paid: bool) -> None:
        new = paid_job(str(PRICE)) if paid else new_job(**in_tasks(*sizes))
        job = self.ledger.jobs.accept(new).job
        self.status[job.id], self.paid[job.id] = ("submitted" if paid else "ready"), paid
        self.left[job.id] = job.n_circuits

    @rule(most=st.integers(1, 6), where=st.sampled_from(["simulator", QPU]))
    def lease(self, most: int, where: str) -> None:
        taken = self.ledger.take(target=where, most=most)
        assert sum(task.circuits for task in taken) <= most or len(taken) == 1
        for task in taken:
            assert self.status[task.job_id] not in ENDS
            assert all(task.task_id != other.task_id for other in self.held)
            self.held.append(task)
            if not task.forwarded:
                self.status[task.job_id] = "started"

    @precondition(lambda self: self.held)
    @rule(data=st.data(), cents=st.integers(0, 400))
    def complete(self, data: st.DataObject, cents: int) -> None:
        task = self._pick(data)
        cost = Decimal(cents) / 100 if task.forwarded else None
        assert self.ledger.queue.complete([outcome(task, cost=cost)]) == frozenset()
        self.left[task.job_id] -= task.circuits
        if self.left[task.job_id] == 0:
            self._end(task.job_id, "completed")
            self.spent += cost or 0

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        task = self._pick(data)
        self.ledger.queue.fail(task.token, "SimulationError", "no")
        self._end(task.job_id, "failed")

    @precondition(lambda self: self.held)
    @rule(data=st.data(), release=st.booleans())
    def give_back(self, data: st.DataObject, release: bool) -> None:
        task = self._pick(data)
        if release:
            self.ledger.queue.release([task.token])
        else:
            self.ledger.queue.retry(task.token, 0)
        self.stale.append(task)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        """A worker dies, its lease ends, and another takes the task."""
        task = self._pick(data)
        over = update(tasks).where(tasks.c.id == task.task_id).values(leased_until=0, expired_leases=0)
        self.ledger.database.write(lambda transaction: transaction.execute(over) and None)
        for heir in self.ledger.take(target=task.target, most=1000):
            self.held.append(heir)
            if not heir.forwarded:
                self.status[heir.job_id] = "started"
        assert any(other.task_id == task.task_id and other.taken_over for other in self.held)
        self.stale.append(task)

    @precondition(lambda self: self.stale)
    @rule(data=st.data())
    def late_report(self, data: st.DataObject) -> None:
        task = self.stale[data.draw(st.integers(0, len(self.stale) - 1))]
        assert self.ledger.queue.complete([outcome(task)]) == {task.token}
        assert self.ledger.queue.heartbeat([task.token], 60).lost == {task.token}

    @precondition(lambda self: self.status)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id = list(self.status)[data.draw(st.integers(0, len(self.status) - 1))]  # ids differ from run to run
        self.ledger.jobs.cancel(TENANT, job_id)
        if self.status[job_id] not in ENDS:
            self._end(job_id, "canceled")

    @invariant()
    def jobs_are_as_expected(self) -> None:
        found = {job.id: job.status.value for job in self.ledger.jobs.list(TENANT, limit=1000).jobs}
        assert found == self.status

    @invariant()
    def the_gauge_counts_what_is_left(self) -> None:
        expected: dict[str, int] = {}
        for job_id, circuits in self.left.items():
            target = QPU if self.paid[job_id] else "simulator"
            expected[target] = expected.get(target, 0) + circuits
        assert self.ledger.queue.queue_length() == expected

    @invariant()
    def the_books_add_up(self) -> None:
        self.ledger.check_books()
        balance = self.ledger.accounts.tenant(TENANT)
        assert balance.reserved == PRICE * sum(self.paid[job_id] for job_id in self.left)
        assert balance.spent == self.spent
        assert balance.queued_jobs == len(self.left)

    def _pick(self, data: st.DataObject) -> Any:
        return self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))

    def _end(self, job_id: str, status: str) -> None:
        self.status[job_id] = status
        del self.left[job_id]
        self.stale += [task for task in self.held if task.job_id == job_id]
        self.held = [task for task in self.held if task.job_id != job_id]


def run(new_url: Callable[[], str], examples: int) -> None:
    machine = type("Machine", (LedgerMachine,), {"new_url": staticmethod(new_url)})
    chosen = settings(
        max_examples=examples, stateful_step_count=25, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(machine, settings=chosen)


def test_any_order_of_events_on_sqlite(tmp_path: Path, migrated_file: Path) -> None:
    def copy() -> str:
        path = Path(tempfile.mkdtemp(dir=tmp_path)) / "gateway.db"
        shutil.copy(migrated_file, path)
        return f"sqlite:///{path}"

    run(copy, examples=30)


def test_any_order_of_events_on_postgresql(postgresql: PostgresServer, migrated_database: str) -> None:
    run(lambda: postgresql.new_database(migrated_database), examples=10)
