"""Forwarded jobs from lease to bill: a real ledger, and an upstream over real HTTP that makes trouble."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from quantum_db.gateway.ledger.states import JobState
from quantum_db.gateway.upstream import INTENT_KEY
from quantum_db.gateway.worker import Worker, WorkerOptions
from tests.gateway.upstream.played import KEY, Played, Trouble
from tests.gateway.worker.ledgers import BELL, FLIP_FIRST, TENANT, Ledger, wait_for

SINGLE = {"0": 0.48, "3": 0.52}
QUICK = WorkerOptions(
    ("qpu.forte-1",), upstream_url="http://filled.in", lease_s=5.0, submit_s=0.4, settle_s=0.8, poll_s=0.03,
    poll_longest_s=0.1, requests_per_s=500.0, idle_s=0.05, stop_s=1.0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IONQ_API_KEY", KEY)


@contextmanager
def working(ledger: Ledger, upstream: Played, **changes: Any) -> Iterator[Worker]:
    """A worker that runs for the length of the block."""
    changes.setdefault("worker_id", f"worker-{time.monotonic_ns()}")
    worker = Worker(replace(QUICK, upstream_url=upstream.url, **changes), ledger.database, ledger.metrics)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001 - raised below
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(15)
        assert not thread.is_alive()
    if failures:
        raise failures[0]


def finishing(upstream: Played, results: Any = SINGLE, **how: Any) -> Callable[[dict[str, Any]], None]:
    return lambda job: upstream.finish(job["id"], results, **how)


def ended(ledger: Ledger, job_id: str) -> JobState:
    wait_for(lambda: ledger.job(job_id).status.terminal)
    return ledger.job(job_id).status


def money(ledger: Ledger) -> tuple[Decimal, Decimal]:
    balance = ledger.accounts.tenant(TENANT)
    return balance.reserved, balance.spent


def test_a_job_goes_up_and_comes_back_with_its_bill(ledger: Ledger, upstream: Played) -> None:
    upstream.on_submit = finishing(upstream, cost="2.41")
    job_id = ledger.forwarded(name="run 7", settings={"error_mitigation": {"debiasing": False}}, shots=700)
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.COMPLETED
    assert ledger.results(job_id) == [SINGLE]
    job = ledger.job(job_id)
    assert (job.cost, money(ledger)) == (Decimal("2.41"), (Decimal(0), Decimal("2.41")))
    (sent,) = upstream.jobs.values()
    assert job.upstream_id == sent["id"]
    assert sent["body"]["metadata"] == {INTENT_KEY: f"qstore-{job_id}"}
    assert sent["body"]["name"] == f"qstore-{job_id} run 7"
    assert sent["body"]["shots"] == 700
    assert sent["body"]["input"] == {"gateset": "qis", "qubits": 3, "circuit": BELL}
    assert sent["body"]["settings"] == {"error_mitigation": {"debiasing": False}}
    assert ledger.queue.queue_length() == {}


def test_a_job_of_many_circuits_keeps_their_order(ledger: Ledger, upstream: Played) -> None:
    upstream.on_submit = finishing(upstream, {"child-b": {"1": 1.0}, "child-a": SINGLE})
    job_id = ledger.forwarded([FLIP_FIRST, BELL])
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.COMPLETED
    assert ledger.results(job_id) == [{"1": 1.0}, SINGLE]


def test_the_states_on_the_way_are_seen_downstream(ledger: Ledger, upstream: Played) -> None:
    job_id = ledger.forwarded()
    with working(ledger, upstream):
        wait_for(lambda: ledger.job(job_id).status is JobState.READY)
        (job,) = upstream.jobs.values()
        job["status"] = "started"
        wait_for(lambda: ledger.job(job_id).status is JobState.STARTED)
        assert ledger.queue.queue_length() == {"qpu.forte-1": 1}
        upstream.finish(job["id"], SINGLE)
        assert ended(ledger, job_id) is JobState.COMPLETED


@pytest.mark.parametrize(
    "trouble",
    [Trouble(status=503, after=True), Trouble(drop=True, after=True), Trouble(status=504, after=True),
     Trouble(after=True, delay_s=0.7, status=201, body=b"{}")],
    ids=["503", "lost", "504", "late"],
)  # fmt: skip
def test_a_submission_that_arrived_is_adopted_never_repeated(
    ledger: Ledger, upstream: Played, trouble: Trouble
) -> None:
    upstream.on_submit = finishing(upstream)
    upstream.trouble("submit", trouble)
    job_id = ledger.forwarded()
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.COMPLETED
    assert upstream.seen("submit") == 1
    assert len(upstream.jobs) == 1
    assert ledger.metric("qstore_gateway_upstream_adopted_total") == 1.0
    assert money(ledger) == (Decimal(0), Decimal("1.25"))


def test_the_time_to_settle_begins_when_a_submission_is_given_up(ledger: Ledger, upstream: Played) -> None:
    upstream.on_submit = finishing(upstream)
    upstream.trouble("submit", Trouble(delay_s=1.0))  # it arrives 0.6 s after it was given up
    job_id = ledger.forwarded()
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.COMPLETED
    assert (upstream.seen("submit"), len(upstream.jobs)) == (1, 1)


@pytest.mark.parametrize("trouble", [Trouble(status=503), Trouble(drop=True)], ids=["503", "lost"])
def test_a_submission_that_did_not_arrive_is_repeated_only_after_it_was_looked_for(
    ledger: Ledger, upstream: Played, trouble: Trouble
) -> None:
    upstream.on_submit = finishing(upstream)
    upstream.trouble("submit", trouble)
    job_id = ledger.forwarded()
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.COMPLETED
    operations = [name for name, _ in upstream.requests]
    first, second = (place for place, name in enumerate(operations) if name == "submit")
    assert "jobs" in operations[first:second]
    assert len(upstream.jobs) == 1


def test_a_search_that_fails_does_not_count_as_absent(ledger: Ledger, upstream: Played) -> None:
    upstream.on_submit = finishing(upstream)
    upstream.trouble("submit", Trouble(status=503, after=True))
    upstream.trouble("jobs", Trouble(status=500), Trouble(drop=True), Trouble(status=200, body=b"[]"))
    job_id = ledger.forwarded()
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.COMPLETED
    assert (upstream.seen("submit"), upstream.seen("jobs")) == (1, 4)


def test_too_many_requests_is_no_reason_to_look(ledger: Ledger, upstream: Played) -> None:
    upstream.on_submit = finishing(upstream)
    upstream.trouble("submit", Trouble(status=429, headers={"Retry-After": "1"}))
    job_id = ledger.forwarded()
    began = time.monotonic()
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.COMPLETED
    assert time.monotonic() - began >= 1.0
    assert (upstream.seen("submit"), upstream.seen("jobs")) == (2, 0)


def test_a_refused_job_fails_with_the_reason_and_costs_nothing(ledger: Ledger, upstream: Played) -> None:
    upstream.trouble("submit", Trouble(status=400, body=b'{"message": "shots must be below 10"}'))
    job_id = ledger.forwarded()
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.FAILED
    failure = ledger.job(job_id).failure
    assert failure is not None
    assert failure.code == "InvalidInput"
    assert "shots must be below 10" in failure.message
    assert money(ledger) == (Decimal(0), Decimal(0))


def test_a_wrong_key_fails_no_job(
    ledger: Ledger, upstream: Played, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.on_submit = finishing(upstream)
    job_id = ledger.forwarded()
    monkeypatch.setenv("IONQ_API_KEY", "an-old-key")
    with working(ledger, upstream):
        wait_for(lambda: upstream.seen("submit") == 1)
        wait_for(lambda: "IONQ_API_KEY" in caplog.text)
        assert "an-old-key" not in caplog.text
    assert not ledger.job(job_id).status.terminal
    monkeypatch.setenv("IONQ_API_KEY", KEY)
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.COMPLETED


def test_failure_upstream_is_failure_here_and_a_charge_is_passed_on(ledger: Ledger, upstream: Played) -> None:
    def fail(job: dict[str, Any]) -> None:
        job["failure"] = {"code": "QuantumComputerError", "message": "the ion was lost"}
        upstream.finish(job["id"], None, cost="0.5", status="failed")

    upstream.on_submit = fail
    job_id = ledger.forwarded()
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.FAILED
    failure = ledger.job(job_id).failure
    assert failure is not None
    assert (failure.code, failure.message) == ("QuantumComputerError", "the ion was lost")
    assert money(ledger) == (Decimal(0), Decimal("0.5"))


def test_a_job_canceled_upstream_is_canceled_here(ledger: Ledger, upstream: Played) -> None:
    upstream.on_submit = finishing(upstream, status="canceled", cost="0")
    job_id = ledger.forwarded()
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.CANCELED
    assert money(ledger) == (Decimal(0), Decimal(0))


def test_a_job_canceled_here_is_canceled_upstream(ledger: Ledger, upstream: Played) -> None:
    job_id = ledger.forwarded()
    with working(ledger, upstream, lease_s=0.4):
        wait_for(lambda: ledger.job(job_id).status is JobState.READY)
        (job,) = upstream.jobs.values()
        upstream.costs[job["id"]] = {"cost": {"value": 0, "unit": "usd"}}
        upstream.trouble("cancel", Trouble(status=503), Trouble(drop=True, after=True))
        ledger.jobs.cancel(TENANT, job_id)
        wait_for(lambda: job["status"] == "canceled")
        wait_for(lambda: money(ledger) == (Decimal(0), Decimal(0)))
    assert ledger.job(job_id).status is JobState.CANCELED
    assert ledger.queue.queue_length() == {}


def test_a_job_canceled_too_late_is_paid_for(ledger: Ledger, upstream: Played) -> None:
    job_id = ledger.forwarded()
    with working(ledger, upstream, lease_s=0.4, poll_s=5.0, poll_longest_s=5.0):
        wait_for(lambda: ledger.job(job_id).status is JobState.READY)
        (job,) = upstream.jobs.values()
        upstream.finish(job["id"], SINGLE, cost="1.75")
        ledger.jobs.cancel(TENANT, job_id)
        wait_for(lambda: money(ledger) == (Decimal(0), Decimal("1.75")))
    assert ledger.job(job_id).status is JobState.CANCELED


def test_a_job_canceled_before_it_was_sent_is_never_sent(ledger: Ledger, upstream: Played) -> None:
    upstream.trouble("submit", *[Trouble(status=429)] * 50)
    job_id = ledger.forwarded()
    with working(ledger, upstream):
        wait_for(lambda: upstream.seen("submit") >= 1)
        ledger.jobs.cancel(TENANT, job_id)
        wait_for(lambda: ledger.queue.queue_length() == {}, within_s=15)
    assert upstream.jobs == {}
    assert money(ledger) == (Decimal(0), Decimal(0))


# What a worker that died has left behind, step by step


def left_behind(ledger: Ledger, *steps: str, upstream_id: str = "") -> str:
    """A job whose worker died after these steps of the journal."""
    job_id = ledger.forwarded()
    (task,) = ledger.queue.lease("dead", ("qpu.forte-1",), 1, 0.05)
    record = ledger.journal.begin(task.token, f"qstore-{job_id}")
    for step in steps:
        if step == "accepted":
            record = ledger.journal.accepted(task.token, upstream_id)
        else:
            record = getattr(ledger.journal, step)(task.token)
    assert record.submissions == steps.count("submitting")
    time.sleep(0.06)
    return job_id


def test_an_intent_that_was_not_sent_is_sent(ledger: Ledger, upstream: Played) -> None:
    upstream.on_submit = finishing(upstream)
    job_id = left_behind(ledger)
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.COMPLETED
    assert (upstream.seen("submit"), upstream.seen("jobs")) == (1, 0)


def test_a_submission_of_a_dead_worker_is_found_and_not_repeated(ledger: Ledger, upstream: Played) -> None:
    job_id = left_behind(ledger, "submitting")
    job = upstream.add(name=f"qstore-{job_id}", metadata={INTENT_KEY: f"qstore-{job_id}"}, age_s=0.5)
    upstream.finish(job["id"], SINGLE)
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.COMPLETED
    assert upstream.seen("submit") == 0
    assert ledger.job(job_id).upstream_id == job["id"]


def test_a_submission_of_a_dead_worker_that_is_still_on_its_way_is_waited_for(ledger: Ledger, upstream: Played) -> None:
    job_id = left_behind(ledger, "submitting")

    def arrive() -> None:
        time.sleep(0.4)  # within the settle time
        job = upstream.add(name=f"qstore-{job_id}", metadata={INTENT_KEY: f"qstore-{job_id}"})
        upstream.finish(job["id"], SINGLE)

    threading.Thread(target=arrive).start()
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.COMPLETED
    assert upstream.seen("submit") == 0
    assert len(upstream.jobs) == 1


def test_a_submission_of_a_dead_worker_that_never_arrived_is_sent_again(ledger: Ledger, upstream: Played) -> None:
    upstream.on_submit = finishing(upstream)
    job_id = left_behind(ledger, "submitting", "absent", "submitting")
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.COMPLETED
    assert upstream.seen("submit") == 1


def test_an_accepted_job_of_a_dead_worker_is_only_waited_for(ledger: Ledger, upstream: Played) -> None:
    job = upstream.add()
    upstream.finish(job["id"], SINGLE)
    job_id = left_behind(ledger, "submitting", "accepted", upstream_id=job["id"])
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.COMPLETED
    assert (upstream.seen("submit"), upstream.seen("jobs")) == (0, 0)


def test_a_canceled_job_of_a_dead_worker_is_canceled_upstream(ledger: Ledger, upstream: Played) -> None:
    job_id = left_behind(ledger, "submitting")
    job = upstream.add(name=f"qstore-{job_id}", metadata={INTENT_KEY: f"qstore-{job_id}"})
    upstream.costs[job["id"]] = {"cost": {"value": 0, "unit": "usd"}}
    ledger.jobs.cancel(TENANT, job_id)
    assert money(ledger) == (Decimal(3), Decimal(0))  # it may have been submitted, and so cost money
    with working(ledger, upstream):
        wait_for(lambda: job["status"] == "canceled")
        wait_for(lambda: money(ledger) == (Decimal(0), Decimal(0)))
    assert ledger.job(job_id).status is JobState.CANCELED


def test_a_double_submission_is_canceled_and_reported(
    ledger: Ledger, upstream: Played, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = left_behind(ledger, "submitting")
    first, second = (upstream.add(name=f"qstore-{job_id}", age_s=age) for age in (0.5, 0.1))
    upstream.finish(first["id"], SINGLE)
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.COMPLETED
        wait_for(lambda: second["status"] == "canceled")
    assert ledger.job(job_id).upstream_id == first["id"]
    assert "a second time" in caplog.text
    assert ledger.metric('qstore_gateway_errors_total{type="upstream_duplicate"}') == 1.0


# The end of a job


def test_results_that_are_late_or_broken_for_a_while_are_waited_for(ledger: Ledger, upstream: Played) -> None:
    upstream.on_submit = finishing(upstream)
    upstream.trouble("results", Trouble(status=404), Trouble(status=500), Trouble(status=200, body=b'{"0": 0.1}'))
    upstream.trouble("cost", Trouble(status=503), Trouble(status=200, body=b'{"cost": null}'))
    job_id = ledger.forwarded()
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.COMPLETED
    assert money(ledger) == (Decimal(0), Decimal("1.25"))


def test_results_that_stay_broken_fail_the_job_which_is_paid_all_the_same(ledger: Ledger, upstream: Played) -> None:
    upstream.on_submit = finishing(upstream, {"0": 0.2})
    job_id = ledger.forwarded()
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.FAILED
    failure = ledger.job(job_id).failure
    assert failure is not None
    assert "sum to 0.2" in failure.message
    assert money(ledger) == (Decimal(0), Decimal("1.25"))


def test_a_bill_in_another_unit_leaves_the_price_of_the_table(ledger: Ledger, upstream: Played) -> None:
    def finish(job: dict[str, Any]) -> None:
        upstream.finish(job["id"], SINGLE)
        upstream.costs[job["id"]] = {"cost": {"value": 7, "unit": "credit"}}

    upstream.on_submit = finish
    job_id = ledger.forwarded()
    with working(ledger, upstream):
        assert ended(ledger, job_id) is JobState.COMPLETED
    assert money(ledger) == (Decimal(0), Decimal(2))


def test_a_job_that_was_deleted_upstream_fails_and_its_price_counts(ledger: Ledger, upstream: Played) -> None:
    job_id = ledger.forwarded()
    with working(ledger, upstream):
        wait_for(lambda: ledger.job(job_id).status is JobState.READY)
        upstream.jobs.clear()
        assert ended(ledger, job_id) is JobState.FAILED
    failure = ledger.job(job_id).failure
    assert failure is not None
    assert "does not exist any more" in failure.message
    assert money(ledger) == (Decimal(0), Decimal(2))


# Stopping, and many at once


def test_a_stopped_worker_leaves_its_jobs_to_the_next_which_does_not_submit_them_again(
    ledger: Ledger, upstream: Played
) -> None:
    ids = [ledger.forwarded() for _ in range(5)]
    with working(ledger, upstream, lease_s=60.0):
        wait_for(lambda: all(ledger.job(job_id).status is JobState.READY for job_id in ids))
        began = time.monotonic()
    assert time.monotonic() - began < 2.0
    for job_id in list(upstream.jobs):
        upstream.finish(job_id, SINGLE)
    with working(ledger, upstream):
        assert {ended(ledger, job_id) for job_id in ids} == {JobState.COMPLETED}
    assert upstream.seen("submit") == 5


def test_a_stopping_worker_waits_for_the_answer_to_a_submission(ledger: Ledger, upstream: Played) -> None:
    upstream.trouble("submit", Trouble(delay_s=0.3))
    job_id = ledger.forwarded()
    with working(ledger, upstream):
        wait_for(lambda: upstream.seen("submit") == 1)
    assert ledger.job(job_id).upstream_id == next(iter(upstream.jobs))


def test_a_worker_that_lost_its_lease_writes_nothing(ledger: Ledger, upstream: Played) -> None:
    job_id = ledger.forwarded()
    with working(ledger, upstream, lease_s=60.0) as worker:
        wait_for(lambda: ledger.job(job_id).status is JobState.READY)
        ledger.queue.release(worker._leases.tokens())
        (task,) = ledger.queue.lease("another", ("qpu.forte-1",), 1, 60.0)
        worker._leases.beat()
        upstream.finish(next(iter(upstream.jobs)), SINGLE)
        time.sleep(0.3)
        assert not ledger.job(job_id).status.terminal
        assert ledger.metric("qstore_gateway_leases_lost_total") == 1.0
    ledger.queue.release([task.token])


def test_one_worker_waits_for_hundreds_of_jobs(ledger: Ledger, upstream: Played) -> None:
    ids = [ledger.forwarded() for _ in range(400)]
    with working(ledger, upstream, requests_per_s=5000.0, poll_s=0.5, poll_longest_s=2.0, lease_s=30.0):
        wait_for(lambda: len(upstream.jobs) == 400, within_s=60)
        assert ledger.metric("qstore_gateway_upstream_waiting") == 400.0
        polls = upstream.seen("jobs")
        time.sleep(2.0)
        assert upstream.seen("jobs") - polls <= 32  # at most 4 requests a round, 0.5 to 2 s apart
        for job_id in list(upstream.jobs):
            upstream.finish(job_id, SINGLE)
        wait_for(lambda: ledger.queue.queue_length() == {}, within_s=60)
    assert {ledger.job(job_id).status for job_id in ids} == {JobState.COMPLETED}
    assert upstream.seen("submit") == 400
    assert money(ledger) == (Decimal(0), Decimal(500))
