"""One search for all submissions of unknown outcome, against a real HTTP server."""

from __future__ import annotations

import asyncio

from quantum_db.gateway.upstream import INTENT_KEY, Backoff, UpstreamClient, UpstreamOptions
from quantum_db.gateway.worker.finding import Finder
from quantum_db.seeding import numpy_generator
from tests.gateway.upstream.played import KEY, Played, Trouble


def find(upstream: Played, intents: list[str]) -> dict[str, list[str]]:
    async def run() -> dict[str, list[str]]:
        options = UpstreamOptions(url=upstream.url, api_key=KEY, requests_per_s=1000.0, burst=100)
        async with UpstreamClient(options, lambda *_: None) as client:
            finder = Finder(client, Backoff(numpy_generator(3, "finder"), first=0.02))
            running = asyncio.create_task(finder.run())
            async with asyncio.timeout(20):
                answers = await asyncio.gather(*(finder.find(intent, 5.0) for intent in intents))
            running.cancel()
            return {intent: [job.id for job in jobs] for intent, jobs in zip(intents, answers, strict=True)}

    return asyncio.run(run())


def test_questions_that_come_together_are_one_search(upstream: Played) -> None:
    there = {f"qstore-{i}": upstream.add(metadata={INTENT_KEY: f"qstore-{i}"})["id"] for i in range(40)}
    found = find(upstream, [*there, "qstore-absent"])
    assert found == {**{intent: [job_id] for intent, job_id in there.items()}, "qstore-absent": []}
    assert upstream.seen("jobs") <= 2


def test_a_search_that_fails_halfway_says_nothing_and_is_done_again(upstream: Played) -> None:
    upstream.page_size = 2
    wanted = upstream.add(metadata={INTENT_KEY: "qstore-a"}, age_s=4.0)
    for i in range(4):
        upstream.add(age_s=float(i) / 2)
    upstream.trouble("jobs", Trouble(), Trouble(status=503), Trouble(), Trouble(drop=True))
    assert find(upstream, ["qstore-a", "qstore-b"]) == {"qstore-a": [wanted["id"]], "qstore-b": []}
    assert upstream.seen("jobs") == 2 + 2 + 3
