"""Limits, reservations, settlements and sessions: no limit can be overrun, and the books always add up."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from quantum_db.errors import BudgetExceededError, QStoreError
from quantum_db.gateway.ledger.errors import QuotaError, SessionEndedError, SessionNotFoundError
from quantum_db.gateway.ledger.records import SessionLimits, TenantLimits
from tests.gateway.ledger.samples import QPU, TENANT, Ledger, new_job, outcome, paid_job


def test_money_is_reserved_settled_and_released(ledger: Ledger) -> None:
    job = ledger.jobs.accept(paid_job("20.05", reservation=Decimal("25.7899"))).job
    assert job.reserved == Decimal("25.7899")
    balance = ledger.accounts.tenant(TENANT, TenantLimits(usd=Decimal(100)))
    assert (balance.reserved, balance.spent, balance.limit, balance.remaining) == (
        Decimal("25.7899"), 0, 100, Decimal("74.2101"),
    )  # fmt: skip
    ledger.queue.complete([outcome(ledger.take_one(target=QPU))])
    after = ledger.accounts.tenant(TENANT, TenantLimits(usd=Decimal(100)))
    assert (after.reserved, after.spent, after.remaining) == (0, Decimal("20.05"), Decimal("79.95"))
    lines = [(entry.kind, entry.amount) for entry in ledger.accounts.entries(TENANT, job.id)]
    assert lines == [("reserve", Decimal("25.7899")), ("settle", Decimal("20.05")), ("release", Decimal("25.7899"))]


def test_free_jobs_leave_no_trace_in_the_books(ledger: Ledger) -> None:
    ledger.accept()
    ledger.queue.complete([outcome(ledger.take_one())])
    assert ledger.accounts.entries(TENANT) == []
    assert ledger.accounts.totals() == {TENANT: (0, 0)}
    assert ledger.accounts.tenant("nobody", TenantLimits(usd=Decimal(5))).remaining == 5


def test_every_digit_of_an_amount_is_kept(ledger: Ledger) -> None:
    price = "12345678901.000000000123"
    ledger.accept_paid(price)
    assert ledger.accounts.tenant(TENANT).reserved == Decimal(price)
    assert ledger.jobs.list(TENANT).jobs[0].price == Decimal(price)


@pytest.mark.parametrize("amount", [0.5, 1, "1", Decimal("NaN")])
def test_only_finite_decimals_are_money(ledger: Ledger, amount: object) -> None:
    ledger.accept_paid()
    task = ledger.take_one(target=QPU)
    with pytest.raises(Exception, match=r"finite Decimal|unsupported operand"):
        ledger.queue.complete([outcome(task, cost=amount)])
    assert ledger.accounts.tenant(TENANT).spent == 0
    assert ledger.queue.queue_length() == {QPU: 1}


def test_the_dollars_of_a_tenant_hold(ledger: Ledger) -> None:
    limits = TenantLimits(usd=Decimal(60))
    jobs = [ledger.jobs.accept(paid_job("25"), limits).job for _ in range(2)]
    with pytest.raises(BudgetExceededError, match=r"may cost 25 USD.*10 USD left of 60"):
        ledger.jobs.accept(paid_job("25"), limits)
    assert ledger.jobs.accept(paid_job("25", dry_run=True), limits).created
    ledger.jobs.accept(paid_job("10"), limits)
    ledger.jobs.cancel(TENANT, jobs[0].id)
    assert ledger.jobs.accept(paid_job("25"), limits).created
    assert len(ledger.jobs.list(TENANT).jobs) == 5
    ledger.check_books()


def test_the_jobs_of_a_tenant_hold(ledger: Ledger) -> None:
    limits = TenantLimits(queued_jobs=2)
    first = ledger.jobs.accept(new_job(intent_id="first"), limits).job
    ledger.jobs.accept(new_job(), limits)
    with pytest.raises(QuotaError, match=r"2 jobs of 'physics' are unfinished"):
        ledger.jobs.accept(new_job(), limits)
    assert ledger.jobs.accept(new_job(intent_id="first"), limits).job.id == first.id  # a repeat needs no room
    assert ledger.jobs.accept(new_job(tenant="chemistry"), limits).created
    ledger.queue.complete([outcome(ledger.take(most=1)[0])])
    assert ledger.jobs.accept(new_job(), limits).created


def test_the_shots_of_a_tenant_hold(ledger: Ledger) -> None:
    limits = TenantLimits(shots=1000)
    first = ledger.jobs.accept(new_job(drawn_shots=600), limits).job
    with pytest.raises(QuotaError, match="500 shots are more than the 400"):
        ledger.jobs.accept(new_job(drawn_shots=500), limits)
    assert ledger.jobs.accept(new_job(drawn_shots=0), limits).created
    ledger.jobs.cancel(TENANT, first.id)
    second = ledger.jobs.accept(new_job(drawn_shots=500), limits).job
    ledger.queue.complete([outcome(task) for task in ledger.take()])
    assert ledger.status(second) == "completed"
    with pytest.raises(QuotaError):  # drawn shots stay counted
        ledger.jobs.accept(new_job(drawn_shots=501), limits)


def test_many_threads_together_cannot_overrun_a_limit(ledger: Ledger) -> None:
    limits, refused, accepted = TenantLimits(usd=Decimal(50)), [], []
    start = threading.Barrier(6)

    def submit() -> None:
        start.wait()
        for _ in range(4):
            try:
                accepted.append(ledger.jobs.accept(paid_job("7"), limits).job.id)
            except BudgetExceededError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=submit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(accepted), len(refused)) == (7, 17)
    assert ledger.accounts.tenant(TENANT).reserved == 49
    ledger.check_books()


def test_usage_adds_up_by_day_and_target(ledger: Ledger) -> None:
    now = datetime.now(UTC)
    for cost in ("1.10", "1.10", "2.05"):
        ledger.accept_paid("5", n_circuits=2, shots=1_000_000)
        ledger.queue.complete([outcome(ledger.take_one(target=QPU), cost=Decimal(cost))])
    ledger.accept()
    ledger.queue.complete([outcome(ledger.take_one())])
    ledger.accept_paid("5", dry_run=True)
    days = ledger.accounts.usage(TENANT, now - timedelta(hours=1), now + timedelta(hours=1))
    by_target = {(day.target, day.jobs, day.circuits, day.shots, day.cost) for day in days}
    assert by_target == {(QPU, 3, 6, 6_000_000, Decimal("4.25")), ("simulator", 1, 1, 100, Decimal(0))}
    assert {day.day for day in days} <= {now.date(), (now + timedelta(minutes=5)).date()}
    assert ledger.accounts.usage(TENANT, now - timedelta(2), now - timedelta(1)) == []
    assert ledger.accounts.usage("chemistry", now - timedelta(1), now + timedelta(1)) == []


def test_a_session_is_made_found_and_ended(ledger: Ledger) -> None:
    limits = SessionLimits(job_count_limit=5, duration_limit_min=60, cost_limit=Decimal("99.5"))
    session = ledger.sessions.create(TENANT, "simulator", limits, {"project": "p"})
    assert (session.status, session.limits, session.details) == ("created", limits, {"project": "p"})
    assert ledger.sessions.get(TENANT, session.id) == session
    job = ledger.accept(session_id=session.id)
    started = ledger.sessions.get(TENANT, session.id)
    assert (started.status, started.jobs) == ("started", 1)
    ended = ledger.sessions.end(TENANT, session.id)
    assert (ended.status, ended.end_reason) == ("ended", "user")
    assert ended.ended_at is not None
    assert ledger.sessions.end(TENANT, session.id) == ended
    with pytest.raises(SessionEndedError, match="ended \\(user\\)"):
        ledger.accept(session_id=session.id)
    ledger.queue.complete([outcome(ledger.take_one())])
    assert ledger.status(job) == "completed"


def test_sessions_of_others_are_not_there(ledger: Ledger) -> None:
    session = ledger.sessions.create("chemistry", "simulator", SessionLimits())
    for act in (ledger.sessions.get, ledger.sessions.end, ledger.accounts.session):
        with pytest.raises(SessionNotFoundError):
            act(TENANT, session.id)
    with pytest.raises(SessionNotFoundError):
        ledger.accept(session_id=session.id)
    assert ledger.sessions.list(TENANT) == []
    with pytest.raises(SessionEndedError, match=r"for simulator, not for qpu\.forte-1"):
        ledger.accept_paid(session_id=session.id, tenant="chemistry")
    assert ledger.jobs.list(TENANT).jobs == ()


def test_lists_of_sessions_tell_open_from_ended(ledger: Ledger) -> None:
    first, second = (ledger.sessions.create(TENANT, "simulator", SessionLimits()) for _ in range(2))
    ledger.sessions.end(TENANT, first.id)
    assert {one.id for one in ledger.sessions.list(TENANT)} == {first.id, second.id}
    assert [one.id for one in ledger.sessions.list(TENANT, active=True)] == [second.id]
    assert [one.id for one in ledger.sessions.list(TENANT, active=False)] == [first.id]
    assert len(ledger.sessions.list(TENANT, limit=1)) == 1


def test_a_session_ends_with_its_last_job(ledger: Ledger) -> None:
    session = ledger.sessions.create(TENANT, "simulator", SessionLimits(job_count_limit=2))
    for _ in range(2):
        ledger.accept(session_id=session.id)
    ended = ledger.sessions.get(TENANT, session.id)
    assert (ended.status, ended.end_reason, ended.jobs) == ("ended", "job_count_limit", 2)
    with pytest.raises(SessionEndedError, match="job_count_limit"):
        ledger.accept(session_id=session.id)


def test_a_session_holds_its_dollars_and_ends_when_they_are_spent(ledger: Ledger) -> None:
    session = ledger.sessions.create(TENANT, QPU, SessionLimits(cost_limit=Decimal(50)))
    ledger.accept_paid("30", session_id=session.id)
    with pytest.raises(BudgetExceededError, match="20 USD left of 50"):
        ledger.accept_paid("30", session_id=session.id)
    balance = ledger.accounts.session(TENANT, session.id)
    assert (balance.reserved, balance.remaining, balance.queued_jobs) == (30, 20, 1)
    ledger.queue.complete([outcome(ledger.take_one(target=QPU), cost=Decimal("50.01"))])
    ended = ledger.sessions.get(TENANT, session.id)
    assert (ended.spent, ended.reserved, ended.end_reason) == (Decimal("50.01"), 0, "cost_limit")
    ledger.check_books()


def test_a_session_ends_when_its_time_is_over(ledger: Ledger) -> None:
    session = ledger.sessions.create(TENANT, "simulator", SessionLimits(duration_limit_min=0))
    assert session.status == "created"  # its time begins with its first job
    ledger.accept(session_id=session.id)
    time.sleep(0.02)
    ended = ledger.sessions.get(TENANT, session.id)
    assert (ended.status, ended.end_reason, ended.ended_at) == ("ended", "duration_limit", ended.started_at)
    with pytest.raises(SessionEndedError, match="duration_limit"):
        ledger.accept(session_id=session.id)


def test_a_refused_job_leaves_nothing_behind(ledger: Ledger) -> None:
    session = ledger.sessions.create(TENANT, QPU, SessionLimits(cost_limit=Decimal(1)))
    refused = (paid_job("5", session_id=session.id), paid_job("5", session_id="no such session"))
    for new in refused:
        with pytest.raises(QStoreError):
            ledger.jobs.accept(new, TenantLimits(usd=Decimal(100)))
    assert ledger.jobs.list(TENANT).jobs == ()
    assert ledger.queue.queue_length() == {}
    balance = ledger.accounts.tenant(TENANT)
    assert (balance.reserved, balance.queued_jobs) == (0, 0)
    assert ledger.sessions.get(TENANT, session.id).jobs == 0
