"""Leases: who gets which circuits, what happens to the circuits of dead workers, and who may report."""

from __future__ import annotations

import threading
import time

import pytest

from quantum_db.gateway.ledger.errors import LeaseLostError
from quantum_db.gateway.ledger.records import Failure, ResultKind
from quantum_db.gateway.ledger.states import JobState
from tests.gateway.ledger.samples import QPU, TENANT, Ledger, in_tasks, outcome

NOW = 0.0  # a lease of no length: over at once
SOON_S = 0.05


def test_the_oldest_come_first_and_only_what_was_asked_for(ledger: Ledger) -> None:
    jobs = [ledger.accept(**in_tasks(4)) for _ in range(3)]
    ledger.accept_paid()
    assert [task.job_id for task in ledger.take(most=9)] == [jobs[0].id, jobs[1].id]
    assert [task.job_id for task in ledger.take(most=2)] == [jobs[2].id]  # larger than asked for, but alone
    assert ledger.take() == []
    assert ledger.queue.waiting([QPU])
    assert not ledger.queue.waiting(["simulator"])


def test_a_worker_of_several_targets_starts_with_the_oldest(ledger: Ledger) -> None:
    first, second, third = ledger.accept(), ledger.accept_paid(), ledger.accept()
    taken = ledger.queue.lease("w", [QPU, "simulator", "nothing"], 2, 60)
    assert [task.job_id for task in taken] == [first.id, third.id]
    assert [task.job_id for task in ledger.queue.lease("w", [QPU, "simulator"], 2, 60)] == [second.id]


def test_large_and_small_tasks_fill_what_was_asked_for(ledger: Ledger) -> None:
    ledger.accept(**in_tasks(3))
    for _ in range(5):
        ledger.accept()
    ledger.accept(**in_tasks(50))
    assert [task.circuits for task in ledger.take(most=6)] == [3, 1, 1, 1]
    assert [task.circuits for task in ledger.take(most=6)] == [1, 1]
    assert [task.circuits for task in ledger.take(most=6)] == [50]


def test_a_leased_task_brings_all_that_a_worker_needs(ledger: Ledger) -> None:
    job = ledger.accept(**in_tasks(2, 3), noise={"model": "aria-1"}, settings={"a": 1}, details={"seed": 5}, shots=77)
    task = ledger.take()[1]
    assert (task.job_id, task.first, task.circuits, task.n_circuits, task.shots) == (job.id, 2, 3, 5, 77)
    assert (task.noise, task.settings, task.details, task.name) == (job.noise, job.settings, job.details, job.name)
    assert (task.tenant, task.target, task.kind, task.forwarded) == (TENANT, "simulator", job.kind, False)
    assert (task.attempt, task.taken_over, task.cancel_requested, task.upstream) == (1, False, False, None)
    assert 0 <= task.waited_s < 30


def test_a_job_starts_with_its_first_task_and_ends_with_its_last(ledger: Ledger) -> None:
    job = ledger.accept(**in_tasks(2, 3))
    first, second = ledger.take(most=2) + ledger.take()
    started = ledger.jobs.get(TENANT, job.id)
    assert (started.status, started.circuits_done, started.completed_at) == (JobState.STARTED, 0, None)
    assert started.started_at is not None
    ledger.queue.complete([outcome(second)])
    half = ledger.jobs.get(TENANT, job.id)
    assert (half.status, half.circuits_done) == (JobState.STARTED, 3)
    assert half.version > started.version
    ledger.queue.complete([outcome(first, kind=ResultKind.PROBABILITIES, execution_ms=1.5)])
    done = ledger.jobs.get(TENANT, job.id)
    assert (done.status, done.circuits_done) == (JobState.COMPLETED, 5)
    assert done.started_at == started.started_at
    assert done.completed_at is not None
    assert done.completed_at >= started.started_at


def test_the_queue_counts_circuits_that_wait_or_fly(ledger: Ledger) -> None:
    ledger.accept(**in_tasks(2, 3))
    ledger.accept_paid(n_circuits=7)
    assert ledger.queue.queue_length() == {"simulator": 5, QPU: 7}
    tasks = ledger.take()
    assert ledger.queue.queue_length() == {"simulator": 5, QPU: 7}
    ledger.queue.complete([outcome(tasks[0])])
    assert ledger.queue.queue_length() == {"simulator": 3, QPU: 7}
    ledger.queue.complete([outcome(tasks[1])])
    assert ledger.queue.queue_length() == {QPU: 7}


def test_a_dead_workers_circuits_go_to_another_and_its_late_words_are_refused(ledger: Ledger) -> None:
    job = ledger.accept()
    dead = ledger.take_one(worker="dead", lease_s=NOW)
    time.sleep(SOON_S)
    assert ledger.queue.waiting(["simulator"])
    alive = ledger.take_one(worker="alive")
    assert (alive.task_id, alive.attempt, alive.taken_over) == (dead.task_id, 2, True)
    assert alive.token != dead.token
    assert ledger.queue.complete([outcome(dead)]) == {dead.token}
    for late in (
        lambda: ledger.queue.fail(dead.token, "InternalError", "late"),
        lambda: ledger.queue.retry(dead.token, 0),
        lambda: ledger.queue.close_canceled(dead.token),
    ):
        with pytest.raises(LeaseLostError, match="another worker"):
            late()
    assert ledger.queue.heartbeat([dead.token, alive.token], 60).lost == {dead.token}
    ledger.queue.release([dead.token])
    assert ledger.status(job) == "started"
    assert ledger.queue.complete([outcome(alive)]) == frozenset()
    assert ledger.status(job) == "completed"


def test_a_late_worker_whose_task_nobody_took_may_still_report(ledger: Ledger) -> None:
    job, task = ledger.accept(), ledger.take_one(lease_s=NOW)
    time.sleep(SOON_S)
    assert ledger.queue.complete([outcome(task)]) == frozenset()
    assert ledger.status(job) == "completed"


def test_a_heartbeat_keeps_a_lease(ledger: Ledger) -> None:
    ledger.accept()
    task = ledger.take_one(lease_s=NOW)
    beat = ledger.queue.heartbeat([task.token], 60)
    assert (beat.lost, beat.canceled) == (frozenset(), frozenset())
    time.sleep(SOON_S)
    assert ledger.take() == []


def test_a_job_whose_workers_keep_dying_fails(ledger: Ledger) -> None:
    job, other = ledger.accept(**in_tasks(1, 1)), ledger.accept()
    for attempt in (1, 2, 3):
        tasks = [task for task in ledger.take(lease_s=NOW) if task.job_id == job.id]
        assert [task.attempt for task in tasks] == [attempt] * 2
        time.sleep(SOON_S)
    assert ledger.take() == []  # all three have used up their attempts
    failed = ledger.jobs.get(TENANT, job.id)
    assert failed.status == JobState.FAILED
    assert failed.failure is not None
    assert failed.failure.code == "InternalError"
    assert "3 workers" in failed.failure.message
    assert ledger.status(other) == "failed"
    assert ledger.queue.queue_length() == {}


def test_giving_back_is_no_attempt(ledger: Ledger) -> None:
    job = ledger.accept()
    for _ in range(10):
        task = ledger.take_one()
        assert task.attempt == 1
        ledger.queue.release([task.token])
    ledger.queue.retry(ledger.take_one().token, 0)
    assert ledger.take_one().attempt == 1
    assert ledger.status(job) == "started"


def test_a_retry_waits(ledger: Ledger) -> None:
    ledger.accept()
    ledger.queue.retry(ledger.take_one().token, 0.4)
    assert ledger.take() == []
    assert not ledger.queue.waiting(["simulator"])
    assert ledger.queue.queue_length() == {"simulator": 1}
    time.sleep(0.5)
    assert ledger.queue.waiting(["simulator"])
    assert ledger.take_one().attempt == 1


def test_the_same_report_twice_counts_once(ledger: Ledger) -> None:
    job = ledger.accept(price=ledger.accept_paid().price, reservation=ledger.accept_paid().price)
    task = ledger.take_one()
    for _ in range(3):
        assert ledger.queue.complete([outcome(task)]) == frozenset()
    assert ledger.jobs.get(TENANT, job.id).circuits_done == 1
    assert ledger.accounts.tenant(TENANT).spent == job.price
    ledger.check_books()


def test_some_of_many_reports_may_be_lost(ledger: Ledger) -> None:
    jobs = [ledger.accept() for _ in range(4)]
    tasks = ledger.take()
    ledger.jobs.cancel(TENANT, jobs[1].id)
    ledger.jobs.delete(TENANT, jobs[2].id)
    assert ledger.queue.complete([outcome(task) for task in tasks]) == {tasks[1].token, tasks[2].token}
    assert [ledger.status(jobs[0]), ledger.status(jobs[3])] == ["completed", "completed"]


def test_a_wrong_number_of_results_is_refused_and_nothing_written(ledger: Ledger) -> None:
    jobs = [ledger.accept(), ledger.accept(**in_tasks(2))]
    good, bad = ledger.take()
    short = type(outcome(bad))(bad.token, [{"0": 1.0}])
    with pytest.raises(ValueError, match="2 circuits and 1 results"):
        ledger.queue.complete([outcome(good), short])
    assert [ledger.status(job) for job in jobs] == ["started", "started"]


def test_a_failure_ends_the_whole_job(ledger: Ledger) -> None:
    job = ledger.accept(**in_tasks(1, 1, 1))
    first, second, third = ledger.take()
    ledger.queue.complete([outcome(first)])
    ledger.queue.fail(second.token, "SimulationError", "too wide")
    failed = ledger.jobs.get(TENANT, job.id)
    assert (failed.status, failed.failure) == (JobState.FAILED, Failure("SimulationError", "too wide"))
    assert ledger.queue.complete([outcome(third)]) == {third.token}
    assert ledger.queue.queue_length() == {}


@pytest.mark.parametrize("end", ["done", "canceled"])
def test_a_task_that_has_ended_takes_no_more_reports(ledger: Ledger, end: str) -> None:
    job, task = ledger.accept(**in_tasks(1, 1)), ledger.take()[0]
    if end == "done":
        ledger.queue.complete([outcome(task)])
    else:
        ledger.jobs.cancel(TENANT, job.id)
    before = ledger.jobs.get(TENANT, job.id)
    for late in (
        lambda: ledger.queue.fail(task.token, "InternalError", "late"),
        lambda: ledger.queue.retry(task.token, 0),
        lambda: ledger.queue.close_canceled(task.token),
    ):
        with pytest.raises(LeaseLostError, match=f"it is {end}"):
            late()
    assert ledger.queue.heartbeat([task.token], 60).lost == {task.token}
    ledger.queue.release([task.token])
    assert ledger.jobs.get(TENANT, job.id) == before


def test_text_that_never_was_a_token_is_refused(ledger: Ledger) -> None:
    for token in ("", "7", "x:y", "1:", "-1:ab"):
        with pytest.raises(LeaseLostError, match="no token"):
            ledger.queue.retry(token, 0)


def test_many_workers_share_the_work_without_overlap(ledger: Ledger) -> None:
    jobs = [ledger.accept() for _ in range(60)]
    taken: list[list[str]] = [[] for _ in range(4)]
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait()
        while tasks := ledger.take(worker=f"w{number}", most=3):
            taken[number] += [task.job_id for task in tasks]
            assert ledger.queue.complete([outcome(task) for task in tasks]) == frozenset()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = [job_id for own in taken for job_id in own]
    while tasks := ledger.take():  # rows that two workers looked at together are left for the next look
        everything += [task.job_id for task in tasks]
        ledger.queue.complete([outcome(task) for task in tasks])
    assert sorted(everything) == sorted(job.id for job in jobs)
    assert {ledger.status(job) for job in jobs} == {"completed"}


def test_two_workers_may_finish_one_job_at_the_same_time(ledger: Ledger) -> None:
    for _ in range(10):
        job = ledger.accept(**in_tasks(1, 1, 1, 1))
        tasks = ledger.take()
        start = threading.Barrier(len(tasks))

        def report(task: object, start: threading.Barrier = start) -> None:
            start.wait()
            ledger.queue.complete([outcome(task)])  # type: ignore[arg-type]

        threads = [threading.Thread(target=report, args=(task,)) for task in tasks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done = ledger.jobs.get(TENANT, job.id)
        assert (done.status, done.circuits_done) == (JobState.COMPLETED, 4)
    ledger.check_books()
