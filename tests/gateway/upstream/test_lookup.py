"""Looking for submissions whose answer was lost: found or certainly absent, never a guess."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta

import pytest

from quantum_db.gateway.upstream import (
    INTENT_KEY,
    Lookup,
    UpstreamAnswerError,
    UpstreamBusyError,
    UpstreamClient,
    UpstreamOptions,
    find_intents,
)
from tests.gateway.upstream.played import KEY, Played, Trouble


def look(upstream: Played, ages: Mapping[str, float]) -> Lookup:
    async def run() -> Lookup:
        options = UpstreamOptions(url=upstream.url, api_key=KEY, requests_per_s=1000.0, burst=100)
        async with UpstreamClient(options, lambda *_: None) as client:
            return await find_intents(client, ages)

    return asyncio.run(run())


def test_intents_are_found_by_metadata_or_name_and_others_are_absent(upstream: Played) -> None:
    by_metadata = upstream.add(name="renamed", metadata={INTENT_KEY: "qstore-a"}, age_s=20)
    by_name = upstream.add(name="qstore-b my run", metadata=None, age_s=10)
    upstream.add(name="qstore-cc other", age_s=5)
    found = look(upstream, {"qstore-a": 30, "qstore-b": 30, "qstore-c": 30}).found
    assert {intent: [job.id for job in jobs] for intent, jobs in found.items()} == {
        "qstore-a": [by_metadata["id"]],
        "qstore-b": [by_name["id"]],
    }


def test_children_that_repeat_their_parents_metadata_do_not_count(upstream: Played) -> None:
    parent = upstream.add(metadata={INTENT_KEY: "qstore-a"}, age_s=3)
    upstream.add(metadata={INTENT_KEY: "qstore-a"}, parent_job_id=parent["id"], age_s=3)
    assert [job.id for job in look(upstream, {"qstore-a": 10}).found["qstore-a"]] == [parent["id"]]


def test_two_jobs_of_one_intent_are_both_found_oldest_first(upstream: Played) -> None:
    younger = upstream.add(metadata={INTENT_KEY: "qstore-a"}, age_s=1)
    older = upstream.add(metadata={INTENT_KEY: "qstore-a"}, age_s=9)
    assert [job.id for job in look(upstream, {"qstore-a": 10}).found["qstore-a"]] == [older["id"], younger["id"]]


def test_pages_are_read_until_they_are_older_than_the_intent(upstream: Played) -> None:
    upstream.page_size = 10
    for i in range(60):
        upstream.add(age_s=60.0 * i)
    assert look(upstream, {"qstore-a": 5.0}).found == {}
    # 10 minutes of margin: jobs up to 10 minutes and 5 seconds old must be read, 11 of them.
    assert upstream.seen("jobs") == 2


def test_an_old_intent_is_looked_for_further_back(upstream: Played) -> None:
    upstream.page_size = 10
    for i in range(60):
        upstream.add(age_s=60.0 * i)
    wanted = upstream.add(metadata={INTENT_KEY: "qstore-a"}, age_s=2400)
    assert look(upstream, {"qstore-a": 2405.0, "qstore-b": 1.0}).found["qstore-a"][0].id == wanted["id"]


def test_a_listing_that_is_not_newest_first_is_read_to_its_end(upstream: Played) -> None:
    upstream.newest_first = False
    upstream.page_size = 10
    for i in range(60):
        upstream.add(age_s=600.0 * (i + 1))
    wanted = upstream.add(metadata={INTENT_KEY: "qstore-a"}, age_s=1)
    assert look(upstream, {"qstore-a": 5.0}).found["qstore-a"][0].id == wanted["id"]
    assert upstream.seen("jobs") == 7


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_wrong_clock_upstream_does_not_hide_a_job(upstream: Played, hours: int) -> None:
    upstream.clock_offset = timedelta(hours=hours)
    upstream.page_size = 5
    wanted = upstream.add(metadata={INTENT_KEY: "qstore-a"}, age_s=30)
    for i in range(20):
        upstream.add(age_s=float(i))
    assert look(upstream, {"qstore-a": 31.0}).found["qstore-a"][0].id == wanted["id"]


def test_a_page_that_cannot_be_had_leaves_nothing_known(upstream: Played) -> None:
    upstream.page_size = 2
    for i in range(5):
        upstream.add(age_s=float(i))
    upstream.trouble("jobs", Trouble(), Trouble(status=500))
    with pytest.raises(UpstreamBusyError):
        look(upstream, {"qstore-a": 5.0})


def test_a_listing_that_runs_in_circles_ends(upstream: Played) -> None:
    upstream.add()
    circle = b'{"jobs": [], "next": "again"}'
    upstream.trouble("jobs", *[Trouble(status=200, body=circle)] * 5)
    began = time.monotonic()
    with pytest.raises(UpstreamAnswerError, match="back to a page"):
        look(upstream, {"qstore-a": 5.0})
    assert time.monotonic() - began < 5
