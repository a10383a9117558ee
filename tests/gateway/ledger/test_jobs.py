"""Accepting, finding, canceling and forgetting jobs, on both databases."""

from __future__ import annotations

import math
import threading
from datetime import UTC, datetime, timedelta

import pytest

from quantum_db.errors import StoreError
from quantum_db.gateway.ledger import Database, JobLedger
from quantum_db.gateway.ledger.errors import JobNotFoundError
from quantum_db.gateway.ledger.records import JobFilter, ResultKind, SessionLimits, TaskRange, TaskResult
from quantum_db.gateway.ledger.states import JobState
from tests.gateway.ledger.samples import QPU, TENANT, Ledger, in_tasks, new_job, outcome, paid_job


def test_what_is_accepted_is_what_is_found(ledger: Ledger) -> None:
    metadata = {"a": "ü\x1f\x1e", "numbers": [1, 2.5, None], "long": "x" * 5000}
    new = new_job(metadata=metadata, noise={"model": "aria-1", "seed": 3}, settings={"compilation": {"opt": 1}})
    accepted = ledger.jobs.accept(new)
    assert accepted.created
    assert ledger.jobs.get(TENANT, new.id) == accepted.job
    job = accepted.job
    assert (job.metadata, job.noise, job.settings, job.details) == (metadata, new.noise, new.settings, new.details)
    assert (job.status, job.version, job.circuits_done, job.failure) == (JobState.READY, 1, 0, None)
    assert abs(job.submitted_at - datetime.now(UTC)) < timedelta(seconds=30)
    assert ledger.jobs.body(job.id) == new.body


def test_a_forwarded_job_is_submitted_until_upstream_has_it(ledger: Ledger) -> None:
    assert ledger.accept_paid().status == JobState.SUBMITTED


def test_other_tenants_see_nothing(ledger: Ledger) -> None:
    job = ledger.accept()
    for act in (ledger.jobs.get, ledger.jobs.cancel, ledger.jobs.delete, ledger.jobs.results):
        with pytest.raises(JobNotFoundError, match=job.id):
            act("chemistry", job.id)
    assert ledger.jobs.list("chemistry").jobs == ()
    assert ledger.status(job) == "ready"


def test_an_intent_is_accepted_once_for_ever(ledger: Ledger) -> None:
    first = ledger.accept(intent_id="run 7 step 3")
    again = ledger.jobs.accept(new_job(intent_id="run 7 step 3"))
    assert not again.created
    assert again.job == first
    ledger.queue.complete([outcome(ledger.take_one())])
    assert ledger.jobs.accept(new_job(intent_id="run 7 step 3")).job.id == first.id
    assert ledger.jobs.accept(new_job(intent_id="run 7 step 3", tenant="chemistry")).created
    ledger.jobs.delete(TENANT, first.id)
    assert ledger.jobs.accept(new_job(intent_id="run 7 step 3")).created


def test_an_identical_body_within_the_window_is_a_repeat(ledger: Ledger) -> None:
    first = ledger.accept(body_digest="same")
    assert ledger.accept(body_digest="same").id == first.id
    assert ledger.accept(body_digest="same", tenant="chemistry").id != first.id
    assert ledger.accept(body_digest="same", intent_id="another submit").id != first.id
    assert ledger.accept(body_digest="other").id != first.id
    no_window = JobLedger(ledger.database, window_s=0)
    assert no_window.accept(new_job(body_digest="same")).created


def test_the_window_ends(ledger: Ledger) -> None:
    short = JobLedger(ledger.database, window_s=0.2)
    first = short.accept(new_job(body_digest="same")).job
    threading.Event().wait(0.3)
    assert short.accept(new_job(body_digest="same")).job.id != first.id


@pytest.mark.parametrize("end", ["completed", "canceled", "failed"])
def test_a_repeat_of_a_job_that_came_to_nothing_is_a_new_job(ledger: Ledger, end: str) -> None:
    first = ledger.accept(body_digest="same")
    if end == "canceled":
        ledger.jobs.cancel(TENANT, first.id)
    elif end == "failed":
        ledger.queue.fail(ledger.take_one().token, "SimulationError", "no memory")
    else:
        ledger.queue.complete([outcome(ledger.take_one())])
    assert ledger.status(first) == end
    assert ledger.jobs.accept(new_job(body_digest="same")).created is (end != "completed")


def test_one_intent_from_many_threads_is_one_job(ledger: Ledger) -> None:
    found: list[str] = []
    start = threading.Barrier(8)

    def submit() -> None:
        start.wait()
        found.append(ledger.accept(intent_id="once").id)

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert ledger.queue.queue_length() == {"simulator": 1}


def test_a_dry_run_is_complete_and_runs_nothing(ledger: Ledger) -> None:
    job = ledger.accept_paid("99.5", dry_run=True)
    assert (job.status, job.price, job.reserved, job.cost) == (JobState.COMPLETED, 99.5, 0, 0)
    assert ledger.queue.queue_length() == {}
    with pytest.raises(StoreError, match="dry run"):
        ledger.jobs.results(TENANT, job.id)
    assert ledger.accounts.tenant(TENANT).queued_jobs == 0


@pytest.mark.parametrize(
    "tasks", [(TaskRange(0, 2),), (TaskRange(0, 2), TaskRange(1, 2)), (TaskRange(1, 2), TaskRange(0, 1))]
)
def test_tasks_that_do_not_cover_the_job_are_refused(ledger: Ledger, tasks: tuple[TaskRange, ...]) -> None:
    with pytest.raises(ValueError, match="cover its 3 circuits"):
        ledger.accept(n_circuits=3, tasks=tasks)


def test_a_forwarded_job_in_parts_or_with_too_little_reserved_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="exactly one task"):
        ledger.accept(forwarded=True, **in_tasks(1, 1))
    with pytest.raises(ValueError, match="does not cover the price"):
        ledger.jobs.accept(paid_job("10", reservation=paid_job("9").price))
    assert ledger.jobs.list(TENANT).jobs == ()


def test_pages_hold_every_job_once_newest_first(ledger: Ledger) -> None:
    made = [ledger.accept().id for _ in range(7)]
    page, seen = ledger.jobs.list(TENANT, limit=3), []
    ledger.accept()  # comes before the first page, so it does not shift the next ones
    for _ in range(3):
        seen += [job.id for job in page.jobs]
        if page.next is None:
            break
        page = ledger.jobs.list(TENANT, limit=3, after=page.next)
    assert page.next is None
    assert seen == made[::-1]
    with pytest.raises(JobNotFoundError):
        ledger.jobs.list("chemistry", after=made[0])


def test_filters_of_a_list_hold_together(ledger: Ledger) -> None:
    session = ledger.sessions.create(TENANT, QPU, SessionLimits())
    plain, named = ledger.accept(), ledger.accept(name="mine", intent_id="i")
    paid = ledger.accept_paid(session_id=session.id)
    ledger.jobs.cancel(TENANT, plain.id)

    def found(**conditions: object) -> set[str]:
        return {job.id for job in ledger.jobs.list(TENANT, JobFilter(**conditions)).jobs}  # type: ignore[arg-type]

    assert found(target=QPU) == {paid.id} == found(session_id=session.id) == found(statuses=[JobState.SUBMITTED])
    assert found(statuses=[JobState.CANCELED]) == {plain.id}
    assert found(name="mine") == {named.id} == found(intent_id="i")
    assert found(ids=[plain.id, paid.id]) == {plain.id, paid.id}
    assert found(ids=[plain.id], target=QPU) == set() == found(ids=[]) == found(statuses=[])


def test_results_come_back_in_order_from_tasks_that_end_in_any_order(ledger: Ledger) -> None:
    job = ledger.accept(**in_tasks(3, 2, 1))
    tasks = [task for _ in range(3) for task in ledger.take(most=3)]
    with pytest.raises(StoreError, match="status is started"):
        ledger.jobs.results(TENANT, job.id)
    for task in reversed(tasks):
        ledger.queue.complete([outcome(task)])
    results = ledger.jobs.results(TENANT, job.id)
    assert results.kind == ResultKind.PROBABILITIES
    assert [str(k + 4) in one for k, one in enumerate(results.circuits)] == [True] * 6
    for k in range(6):
        assert ledger.jobs.results(TENANT, job.id, circuit=k).circuits == (results.circuits[k],)
    with pytest.raises(JobNotFoundError):
        ledger.jobs.results(TENANT, job.id, circuit=6)


def test_numbers_of_results_keep_every_bit(ledger: Ledger) -> None:
    job, values = ledger.accept(), [0.1, 1 / 3, math.pi / 4, 5e-324, 1 - 2**-53]
    task = ledger.take_one()
    ledger.queue.complete([TaskResult(task.token, [{str(k): value for k, value in enumerate(values)}])])
    (found,) = ledger.jobs.results(TENANT, job.id).circuits
    assert list(found.values()) == values


def test_cancel_ends_a_job_once(ledger: Ledger) -> None:
    job = ledger.accept(**in_tasks(2, 2))
    (task, _) = ledger.take()
    canceled = ledger.jobs.cancel(TENANT, job.id)
    assert canceled.status == JobState.CANCELED
    assert canceled.completed_at is not None
    assert ledger.jobs.cancel(TENANT, job.id) == canceled
    assert ledger.queue.complete([outcome(task)]) == {task.token}
    assert ledger.queue.queue_length() == {}
    assert ledger.take() == []


def test_cancel_of_a_completed_job_changes_nothing(ledger: Ledger) -> None:
    job = ledger.accept()
    ledger.queue.complete([outcome(ledger.take_one())])
    assert ledger.jobs.cancel(TENANT, job.id).status == JobState.COMPLETED


def test_bulk_is_all_or_nothing(ledger: Ledger) -> None:
    one, two, foreign = ledger.accept(), ledger.accept(), ledger.accept(tenant="chemistry")
    for act in (ledger.jobs.cancel_many, ledger.jobs.delete_many):
        with pytest.raises(JobNotFoundError, match=foreign.id):
            act(TENANT, [one.id, foreign.id, two.id])
        assert (ledger.status(one), ledger.status(two)) == ("ready", "ready")
    assert [job.status for job in ledger.jobs.cancel_many(TENANT, [two.id, one.id])] == [JobState.CANCELED] * 2
    assert [job.id for job in ledger.jobs.delete_many(TENANT, [two.id, one.id])] == [two.id, one.id]
    assert ledger.jobs.list(TENANT).jobs == ()


def test_deleted_jobs_are_gone_and_their_money_is_not(ledger: Ledger) -> None:
    job = ledger.accept_paid("30")
    ledger.queue.complete([outcome(ledger.take_one(target=QPU))])
    assert ledger.jobs.delete(TENANT, job.id).status == JobState.COMPLETED
    with pytest.raises(JobNotFoundError):
        ledger.jobs.get(TENANT, job.id)
    with pytest.raises(JobNotFoundError):
        ledger.jobs.body(job.id)
    assert ledger.jobs.statuses([job.id]) == {}
    assert ledger.accounts.tenant(TENANT).spent == 30
    ledger.check_books()


def test_statuses_of_many_jobs_come_at_once_and_versions_grow(ledger: Ledger) -> None:
    jobs = [ledger.accept() for _ in range(3)]
    before = ledger.jobs.statuses([*(job.id for job in jobs), "no such job"])
    assert before == {job.id: (JobState.READY, 1) for job in jobs}
    ledger.queue.complete([outcome(task) for task in ledger.take(most=2)])
    after = ledger.jobs.statuses(job.id for job in jobs)
    assert [after[job.id][0] for job in jobs] == ["completed", "completed", "ready"]
    assert [after[job.id][1] > 1 for job in jobs] == [True, True, False]
    assert ledger.jobs.counts() == {("simulator", JobState.COMPLETED): 2, ("simulator", JobState.READY): 1}


def test_listeners_hear_of_every_change_after_it_is_committed(ledger: Ledger) -> None:
    heard: list[tuple[set[str], list[str]]] = []

    def callback(ids: frozenset[str]) -> None:
        heard.append((set(ids), [status for status, _ in ledger.jobs.statuses(ids).values()]))

    ledger.database.listen(callback)
    job = ledger.accept()
    task = ledger.take_one()
    ledger.queue.heartbeat([task.token], 60)
    ledger.queue.complete([outcome(task)])
    ledger.jobs.cancel(TENANT, job.id)
    assert heard == [({job.id}, ["ready"]), ({job.id}, ["started"]), ({job.id}, ["completed"])]


def test_a_second_process_sees_what_the_first_accepted(ledger: Ledger, database_url: str) -> None:
    job = ledger.accept()
    other = Ledger(Database.open(database_url))
    assert other.jobs.get(TENANT, job.id) == job
    assert other.take_one().job_id == job.id
    other.database.close()
