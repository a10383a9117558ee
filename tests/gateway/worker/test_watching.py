"""The one poller of all upstream jobs, against a real HTTP server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import TypeVar

from quantum_db.gateway.upstream import Backoff, UpstreamClient, UpstreamOptions
from quantum_db.gateway.worker.watching import Poller, Watch
from quantum_db.seeding import numpy_generator
from tests.gateway.upstream.played import KEY, Played, Trouble

Answer = TypeVar("Answer")


def with_poller(url: str, action: Callable[[Poller], Awaitable[Answer]], longest_s: float = 0.2) -> Answer:
    async def run() -> Answer:
        options = UpstreamOptions(url=url, api_key=KEY, requests_per_s=1000.0, burst=100)
        async with UpstreamClient(options, lambda *_: None) as client:
            poller = Poller(client, Backoff(numpy_generator(3, "poller"), first=0.02), 0.05, longest_s)
            running = asyncio.create_task(poller.run())
            try:
                async with asyncio.timeout(20):
                    return await action(poller)
            finally:
                running.cancel()

    return asyncio.run(run())


async def final(watch: Watch) -> str:
    while watch.job is None or not watch.job.is_final:
        await watch.changed.wait()
        watch.changed.clear()
    return watch.job.status


def test_many_jobs_are_waited_for_with_few_requests(upstream: Played) -> None:
    ids = [upstream.add()["id"] for _ in range(300)]

    async def wait_for_all(poller: Poller) -> list[str]:
        with ExitStack() as stack:
            watches = [stack.enter_context(poller.watching(job_id)) for job_id in ids]
            await asyncio.sleep(0.3)
            for number, job_id in enumerate(ids):
                upstream.jobs[job_id]["status"] = ("completed", "failed", "canceled")[number % 3]
            return list(await asyncio.gather(*(final(watch) for watch in watches)))

    statuses = with_poller(upstream.url, wait_for_all)
    assert statuses == [("completed", "failed", "canceled")[number % 3] for number in range(300)]
    assert upstream.seen("job") == 0
    assert upstream.seen("jobs") <= 40  # three requests a round


def test_polls_become_rarer_and_a_hurried_job_is_polled_at_once(upstream: Played) -> None:
    job_id = upstream.add()["id"]

    async def watch_it(poller: Poller) -> tuple[int, int]:
        with poller.watching(job_id) as watch:
            await asyncio.sleep(1.2)
            slow = upstream.seen("job")
            poller.hurry(watch)
            await asyncio.sleep(0.3)
            return slow, upstream.seen("job") - slow

    slow, hurried = with_poller(upstream.url, watch_it, longest_s=5.0)
    assert 4 <= slow <= 8  # 0, .05, .125, .24, .41, .66, 1.04 seconds
    assert hurried >= 3


def test_an_upstream_that_is_down_for_a_while_fails_nothing(upstream: Played) -> None:
    job_id = upstream.add(status="completed")["id"]
    upstream.trouble("job", *[Trouble(status=503), Trouble(drop=True), Trouble(status=500), Trouble(status=429)])

    async def watch_it(poller: Poller) -> str:
        with poller.watching(job_id) as watch:
            return await final(watch)

    assert with_poller(upstream.url, watch_it) == "completed"


def test_a_job_is_missing_only_when_it_is_so_repeatedly(upstream: Played) -> None:
    late = upstream.add(status="completed")
    upstream.trouble("job", Trouble(status=404), Trouble(status=404))

    async def watch_late(poller: Poller) -> str:
        with poller.watching(late["id"]) as watch:
            return await final(watch)

    assert with_poller(upstream.url, watch_late) == "completed"

    async def watch_none(poller: Poller) -> bool:
        with poller.watching("00000000-0000-4000-8000-000000000000") as watch:
            await watch.changed.wait()
            return watch.is_missing

    assert with_poller(upstream.url, watch_none)
    assert upstream.seen("job") == 6


def test_each_change_of_status_is_told_once(upstream: Played) -> None:
    job = upstream.add()

    async def watch_it(poller: Poller) -> list[str]:
        seen = []
        with poller.watching(job["id"]) as watch:
            for status in ("submitted", "ready", "started", "completed"):
                job["status"] = status
                await watch.changed.wait()
                watch.changed.clear()
                assert watch.job is not None
                seen.append(watch.job.status)
        return seen

    assert with_poller(upstream.url, watch_it) == ["submitted", "ready", "started", "completed"]
