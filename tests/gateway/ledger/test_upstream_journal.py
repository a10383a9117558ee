"""The journal of forwarded jobs: what is known after a crash at any step, and what cancels cost."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from quantum_db.gateway.ledger.errors import IllegalTransitionError, LeaseLostError
from quantum_db.gateway.ledger.records import UpstreamState
from quantum_db.gateway.ledger.states import JobState
from tests.gateway.ledger.samples import QPU, TENANT, Ledger, outcome


def test_a_job_goes_up_step_by_step(ledger: Ledger) -> None:
    job = ledger.accept_paid("30")
    task = ledger.take_one(target=QPU)
    assert ledger.status(job) == "submitted"
    begun = ledger.upstream.begin(task.token, "intent 1")
    assert (begun.state, begun.submissions, begun.submitting_at) == (UpstreamState.INTENT, 0, None)
    sent = ledger.upstream.submitting(task.token)
    assert (sent.state, sent.submissions) == (UpstreamState.SUBMITTING, 1)
    assert sent.submitting_at is not None
    assert ledger.status(job) == "submitted"
    known = ledger.upstream.accepted(task.token, "up-1")
    assert (known.state, known.upstream_id, known.intent_id) == (UpstreamState.ACCEPTED, "up-1", "intent 1")
    assert ledger.status(job) == "ready"
    ledger.upstream.started(task.token)
    ledger.upstream.started(task.token)
    assert ledger.status(job) == "started"
    assert [record.upstream_id for record in ledger.upstream.waiting("w")] == ["up-1"]
    assert ledger.upstream.waiting("another worker") == []
    ledger.queue.complete([outcome(task, cost=Decimal("29.5"))])
    done = ledger.jobs.get(TENANT, job.id)
    assert (done.status, done.cost, done.reserved, done.upstream_id) == (JobState.COMPLETED, Decimal("29.5"), 0, "up-1")
    assert ledger.upstream.waiting("w") == []
    ledger.check_books()


def test_an_outcome_may_be_seen_before_the_start(ledger: Ledger) -> None:
    job = ledger.accept_paid()
    task = ledger.take_one(target=QPU)
    ledger.submit_upstream(task)
    ledger.queue.complete([outcome(task)])
    done = ledger.jobs.get(TENANT, job.id)
    assert done.status == JobState.COMPLETED
    assert done.started_at is not None


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_an_heir_finds_what_was_known_at_the_crash(ledger: Ledger, steps: int) -> None:
    ledger.accept_paid()
    dead = ledger.take_one(worker="dead", target=QPU, lease_s=0.0)
    acts = [
        lambda: ledger.upstream.begin(dead.token, "intent 1"),
        lambda: ledger.upstream.submitting(dead.token),
        lambda: ledger.upstream.accepted(dead.token, "up-1"),
    ]
    for act in acts[:steps]:
        act()
    time.sleep(0.05)
    heir = ledger.take_one(worker="heir", target=QPU)
    states = [None, UpstreamState.INTENT, UpstreamState.SUBMITTING, UpstreamState.ACCEPTED]
    assert (heir.upstream.state if heir.upstream else None) == states[steps]
    for late in acts:
        with pytest.raises(LeaseLostError):
            late()
    if heir.upstream is None:
        return
    assert heir.upstream.token == heir.token
    assert heir.upstream.submissions == (1 if steps >= 2 else 0)
    assert ledger.upstream.begin(heir.token, "intent 2").intent_id == "intent 1"
    if steps >= 2:  # it may have been sent: not again before it was looked up
        with pytest.raises(IllegalTransitionError, match="cannot go from"):
            ledger.upstream.submitting(heir.token)
    if steps == 3:
        assert [record.upstream_id for record in ledger.upstream.waiting("heir")] == ["up-1"]


def test_only_what_is_certainly_absent_is_sent_again(ledger: Ledger) -> None:
    ledger.accept_paid()
    task = ledger.take_one(target=QPU)
    with pytest.raises(IllegalTransitionError, match="begin first"):
        ledger.upstream.submitting(task.token)
    ledger.upstream.begin(task.token, "intent 1")
    with pytest.raises(IllegalTransitionError, match="cannot go from intent to accepted"):
        ledger.upstream.accepted(task.token, "up-1")
    ledger.upstream.submitting(task.token)
    assert ledger.upstream.absent(task.token).state == UpstreamState.INTENT
    assert ledger.upstream.submitting(task.token).submissions == 2
    ledger.upstream.accepted(task.token, "up-1")
    assert ledger.upstream.accepted(task.token, "up-1").upstream_id == "up-1"
    for act in (lambda: ledger.upstream.accepted(task.token, "up-2"), lambda: ledger.upstream.absent(task.token)):
        with pytest.raises(IllegalTransitionError, match="from accepted"):
            act()


def test_a_paid_job_is_never_given_up_for_its_dead_workers(ledger: Ledger) -> None:
    job = ledger.accept_paid()
    ledger.submit_upstream(ledger.take_one(target=QPU, lease_s=0.0))
    for attempt in range(2, 8):  # the queue of these tests gives up after three
        time.sleep(0.02)
        assert ledger.take_one(target=QPU, lease_s=0.0).attempt == attempt
    assert ledger.status(job) == "ready"


def test_a_job_that_was_not_sent_is_given_up(ledger: Ledger) -> None:
    job = ledger.accept_paid()
    for _ in range(3):
        task = ledger.take_one(target=QPU, lease_s=0.0)
        ledger.upstream.begin(task.token, "intent")
        time.sleep(0.02)
    assert ledger.take(target=QPU) == []
    assert ledger.status(job) == "failed"
    assert ledger.accounts.tenant(TENANT).reserved == 0


@pytest.mark.parametrize("begun", [False, True])
def test_a_cancel_before_the_submit_is_the_end(ledger: Ledger, begun: bool) -> None:
    job = ledger.accept_paid()
    task = ledger.take_one(target=QPU)
    if begun:
        ledger.upstream.begin(task.token, "intent")
    assert ledger.jobs.cancel(TENANT, job.id).reserved == 0
    with pytest.raises(LeaseLostError):
        ledger.upstream.begin(task.token, "intent")
    with pytest.raises(LeaseLostError):
        ledger.upstream.submitting(task.token)
    assert ledger.queue.queue_length() == {}
    ledger.check_books()


@pytest.mark.parametrize("delete", [False, True])
@pytest.mark.parametrize("end", ["canceled", "canceled and billed", "completed", "completed at price", "failed"])
def test_a_cancel_on_the_way_keeps_the_money_until_upstream_has_spoken(ledger: Ledger, end: str, delete: bool) -> None:
    job = ledger.accept_paid("30")
    task = ledger.take_one(target=QPU)
    ledger.submit_upstream(task)
    canceled = (ledger.jobs.delete if delete else ledger.jobs.cancel)(TENANT, job.id)
    assert (canceled.status, canceled.reserved, canceled.cost) == (JobState.CANCELED, 30, None)
    balance = ledger.accounts.tenant(TENANT)
    assert (balance.reserved, balance.queued_jobs) == (30, 0)
    assert ledger.queue.heartbeat([task.token], 60).canceled == {task.token}
    assert ledger.queue.queue_length() == {QPU: 1}
    cost = {"canceled": 0, "canceled and billed": 2, "completed": 29, "completed at price": 30, "failed": 1}[end]
    if end == "completed":
        assert ledger.queue.complete([outcome(task, cost=Decimal(29))]) == frozenset()
    elif end == "completed at price":
        ledger.queue.complete([outcome(task)])
    elif end == "failed":
        ledger.queue.fail(task.token, "QuantumComputerError", "laser", cost=Decimal(1))
    else:
        ledger.queue.close_canceled(task.token, Decimal(cost) if cost else None)
    balance = ledger.accounts.tenant(TENANT)
    assert (balance.reserved, balance.spent) == (0, cost)
    assert ledger.queue.queue_length() == {}
    if not delete:
        after = ledger.jobs.get(TENANT, job.id)
        assert (after.status, after.reserved, after.cost) == (JobState.CANCELED, 0, cost)
    ledger.check_books()


def test_an_heir_of_a_canceled_job_is_told_so(ledger: Ledger) -> None:
    job = ledger.accept_paid()
    dead = ledger.take_one(target=QPU, lease_s=0.0)
    ledger.upstream.begin(dead.token, "intent")
    ledger.upstream.submitting(dead.token)
    ledger.jobs.cancel(TENANT, job.id)
    time.sleep(0.05)
    heir = ledger.take_one(target=QPU)
    assert heir.cancel_requested
    assert heir.upstream is not None
    assert heir.upstream.cancel_requested
    ledger.upstream.absent(heir.token)  # it never arrived
    with pytest.raises(LeaseLostError, match="canceled by its user"):
        ledger.upstream.submitting(heir.token)
    ledger.queue.close_canceled(heir.token)
    assert ledger.accounts.tenant(TENANT).reserved == 0
    assert ledger.queue.queue_length() == {}


def test_upstream_may_cancel_or_fail_a_job_by_itself(ledger: Ledger) -> None:
    canceled, failed = ledger.accept_paid("30"), ledger.accept_paid("40")
    for task in ledger.take(target=QPU):
        ledger.submit_upstream(task)
        if task.job_id == canceled.id:
            ledger.queue.close_canceled(task.token)
        else:
            ledger.queue.fail(task.token, "QuantumComputerError", "laser", cost=Decimal("0.5"))
    assert (ledger.status(canceled), ledger.status(failed)) == ("canceled", "failed")
    balance = ledger.accounts.tenant(TENANT)
    assert (balance.reserved, balance.spent, balance.queued_jobs) == (0, Decimal("0.5"), 0)
    ledger.check_books()
