"""Long-polls: GET of an unfinished job waits until the job ends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from quantum_db.gateway.api.service import ApiSettings
from quantum_db.gateway.api.waiting import FreshJobs, StatusWatcher
from quantum_db.gateway.ledger import CircuitQueue, Database
from quantum_db.gateway.ledger.errors import LedgerUnavailableError
from quantum_db.gateway.ledger.records import TaskResult
from quantum_db.gateway.ledger.states import JobState
from tests.gateway.api.conftest import Gateway, single

HOLDING = ApiSettings(long_poll_s=10.0, first_look_s=0.0)


def complete(queue: CircuitQueue) -> None:
    """What a worker does, with the result of X on qubit 0."""
    for task in queue.lease("test", ["simulator"], 100, 30):
        assert queue.complete([TaskResult(task.token, [{"1": 1.0}] * task.circuits)]) == frozenset()


def later(seconds: float, action: Callable[[], Any]) -> threading.Timer:
    timer = threading.Timer(seconds, action)
    timer.start()
    return timer


def timed_look(gateway: Gateway, job_id: str) -> tuple[str, float]:
    began = time.monotonic()
    status = gateway.get(f"/jobs/{job_id}")["status"]
    return status, time.monotonic() - began


def test_a_look_is_answered_when_a_worker_of_this_process_finishes_the_job(start: Callable[..., Any]) -> None:
    with start(settings=HOLDING) as gateway:
        job_id = gateway.submit(single())
        assert timed_look(gateway, job_id)[0] == "ready"  # the first look at a fresh job
        timer = later(0.4, lambda: complete(gateway.service.queue))
        status, seconds = timed_look(gateway, job_id)
        timer.join()
        assert status == "completed"
        assert 0.3 < seconds < 5


def test_a_look_is_answered_when_another_process_finishes_the_job(start: Callable[..., Any], tmp_path: Any) -> None:
    with start(settings=HOLDING) as gateway:
        job_id = gateway.submit(single())
        gateway.get(f"/jobs/{job_id}")
        elsewhere = Database.open(f"sqlite:///{tmp_path / 'ledger.db'}")  # not the gateway's: nothing tells it
        timer = later(0.4, lambda: complete(CircuitQueue(elsewhere)))
        status, seconds = timed_look(gateway, job_id)
        timer.join()
        elsewhere.close()
        assert status == "completed"
        assert 0.3 < seconds < 5


@pytest.mark.parametrize("end", ["cancel", "delete"])
def test_a_look_is_answered_when_the_job_is_canceled_or_deleted(end: str, start: Callable[..., Any]) -> None:
    with start(settings=HOLDING) as gateway:
        job_id = gateway.submit(single())
        gateway.get(f"/jobs/{job_id}")
        jobs = gateway.service.jobs
        timer = later(0.3, lambda: (jobs.cancel if end == "cancel" else jobs.delete)("alice", job_id))
        began = time.monotonic()
        answer = gateway.client.get(f"/v0.4/jobs/{job_id}")
        timer.join()
        assert time.monotonic() - began < 5
        assert answer.status_code == (200 if end == "cancel" else 404)


def test_a_look_is_answered_when_the_hold_is_over_and_never_held_without_one(start: Callable[..., Any]) -> None:
    with start(settings=ApiSettings(long_poll_s=0.5, first_look_s=0.0)) as gateway:
        job_id = gateway.submit(single())
        assert timed_look(gateway, job_id)[1] < 0.4
        status, seconds = timed_look(gateway, job_id)
        assert status == "ready"
        assert 0.45 < seconds < 5


def test_a_child_is_waited_for_like_its_parent(start: Callable[..., Any]) -> None:
    from tests.gateway.api.conftest import X0, multi

    with start(settings=HOLDING) as gateway:
        job_id = gateway.submit(multi([{"circuit": X0}]))
        child = gateway.get(f"/jobs/{job_id}")["child_job_ids"][0]
        timer = later(0.3, lambda: complete(gateway.service.queue))
        assert timed_look(gateway, child)[0] == "completed"
        timer.join()


def test_fresh_jobs_are_fresh_once() -> None:
    fresh = FreshJobs()
    fresh.add("a")
    assert [fresh.first_look("a"), fresh.first_look("a"), fresh.first_look("b")] == [True, False, False]


class Statuses:
    """A ledger's answers, as a test sets them."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[JobState, int]] = {}
        self.asked: list[int] = []
        self.broken = 0

    async def __call__(self, ids: Iterable[str]) -> dict[str, tuple[JobState, int]]:
        wanted = list(ids)
        self.asked.append(len(wanted))
        if self.broken:
            self.broken -= 1
            raise LedgerUnavailableError("the database is away")
        return {key: self.known[key] for key in wanted if key in self.known}


def test_many_requests_share_one_question_and_a_commit_asks_only_about_its_jobs() -> None:
    async def scenario() -> tuple[Statuses, StatusWatcher]:
        statuses = Statuses()
        statuses.known = {str(i): (JobState.READY, 1) for i in range(500)}
        watcher = StatusWatcher(statuses)
        watcher.start()
        waiting = [asyncio.create_task(watcher.wait(str(i % 500), 20)) for i in range(1000)]
        await asyncio.sleep(0.5)
        assert watcher.count == 1000
        assert len(statuses.asked) < 60
        statuses.asked.clear()
        statuses.known["7"] = (JobState.COMPLETED, 2)
        watcher.committed(frozenset({"7", "unknown"}))
        await asyncio.wait_for(asyncio.gather(waiting[7], waiting[507]), 1)
        assert 1 in statuses.asked
        del statuses.known["8"]  # deleted
        await asyncio.wait_for(asyncio.gather(waiting[8], waiting[508]), 2)
        await watcher.stop()
        await asyncio.wait_for(asyncio.gather(*waiting), 1)
        return statuses, watcher

    _, watcher = asyncio.run(scenario())
    assert watcher.count == 0


def test_waiting_outlives_trouble_of_the_database(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        statuses = Statuses()
        statuses.known = {"a": (JobState.READY, 1)}
        statuses.broken = 1
        watcher = StatusWatcher(statuses)
        watcher.start()
        waiting = asyncio.create_task(watcher.wait("a", 20))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        statuses.known["a"] = (JobState.FAILED, 2)
        await asyncio.wait_for(waiting, 5)
        await watcher.stop()

    asyncio.run(scenario())
    assert "could not be looked after" in caplog.text
