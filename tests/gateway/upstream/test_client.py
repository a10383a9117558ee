"""The client against a real HTTP server: what it sends, what it makes of answers, and what it never does twice."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from quantum_db.errors import ConfigurationError
from quantum_db.gateway.upstream import (
    SubmittedJob,
    UpstreamAnswerError,
    UpstreamBusyError,
    UpstreamClient,
    UpstreamMissingError,
    UpstreamOptions,
    UpstreamRefusedError,
    UpstreamSetupError,
    UpstreamUncertainError,
    check_upstream_url,
)
from tests.gateway.upstream.played import KEY, Played, Trouble

Answer = TypeVar("Answer")
JOB = SubmittedJob(
    intent_id="qstore-1b2c-0",
    kind="ionq.circuit.v1",
    target="qpu.forte-1",
    shots=200,
    circuits_json=b'{"gateset":"qis","qubits":2,"circuit":[{"gate":"h","target":0}]}',
    name="my run: 7/8",
    settings={"error_mitigation": {"debiasing": False}},
)


def options(url: str, **changes: Any) -> UpstreamOptions:
    return replace(UpstreamOptions(url=url, api_key=KEY, requests_per_s=500.0, burst=50), **changes)


def ask(url: str, action: Callable[[UpstreamClient], Awaitable[Answer]], **changes: Any) -> Answer:
    async def run() -> Answer:
        async with UpstreamClient(options(url, **changes), lambda *_: None) as client:
            return await action(client)

    return asyncio.run(run())


def submit(url: str, **changes: Any) -> str:
    return ask(url, lambda client: client.submit(JOB, time.monotonic() + 60), **changes)


def test_a_submission_carries_the_intent_in_name_and_metadata(upstream: Played) -> None:
    job_id = submit(upstream.url)
    sent = upstream.jobs[job_id]["body"]
    assert sent == {
        "type": "ionq.circuit.v1",
        "backend": "qpu.forte-1",
        "shots": 200,
        "name": "qstore-1b2c-0 my run- 7-8",
        "metadata": {"qstore_intent": "qstore-1b2c-0"},
        "input": {"gateset": "qis", "qubits": 2, "circuit": [{"gate": "h", "target": 0}]},
        "settings": {"error_mitigation": {"debiasing": False}},
    }


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 408])
def test_an_error_of_the_server_leaves_a_submission_uncertain_and_is_not_repeated(
    upstream: Played, status: int
) -> None:
    upstream.trouble("submit", Trouble(status=status, after=True))
    with pytest.raises(UpstreamUncertainError, match=str(status)):
        submit(upstream.url)
    assert upstream.seen("submit") == 1
    assert len(upstream.jobs) == 1


def test_a_lost_answer_leaves_a_submission_uncertain(upstream: Played) -> None:
    upstream.trouble("submit", Trouble(drop=True, after=True))
    with pytest.raises(UpstreamUncertainError, match="lost"):
        submit(upstream.url)
    assert (upstream.seen("submit"), len(upstream.jobs)) == (1, 1)


def test_a_late_answer_leaves_a_submission_uncertain(upstream: Played) -> None:
    upstream.trouble("submit", Trouble(delay_s=1.0))
    began = time.monotonic()
    with pytest.raises(UpstreamUncertainError, match=r"within 0\.2 s"):
        submit(upstream.url, submit_s=0.2)
    assert time.monotonic() - began < 0.9


def test_an_acceptance_without_a_readable_id_is_uncertain(upstream: Played) -> None:
    upstream.trouble("submit", Trouble(body=b"<html>created</html>"), Trouble(body=b'{"status":"submitted"}'))
    for _ in range(2):
        with pytest.raises(UpstreamUncertainError, match="without a readable id"):
            submit(upstream.url)


def test_nothing_listens_so_nothing_was_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(UpstreamBusyError, match="could not be reached"):
            submit(url)


def test_too_many_requests_is_certain_and_says_when(upstream: Played) -> None:
    upstream.trouble("submit", Trouble(status=429, headers={"Retry-After": "7"}))
    with pytest.raises(UpstreamBusyError) as failure:
        submit(upstream.url)
    assert failure.value.retry_after == 7.0
    assert upstream.jobs == {}


def test_a_date_in_retry_after_counts_by_the_clock_of_the_service(upstream: Played) -> None:
    upstream.trouble("submit", Trouble(status=429, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}))
    with pytest.raises(UpstreamBusyError) as failure:
        submit(upstream.url)
    assert failure.value.retry_after == 0.0  # long past


def test_a_refusal_is_final_and_tells_the_reason(upstream: Played) -> None:
    upstream.trouble("submit", Trouble(status=400, body=b'{"message":"too many\\n shots","input":"secret"}'))
    with pytest.raises(UpstreamRefusedError, match="too many shots") as failure:
        submit(upstream.url)
    assert (failure.value.status, failure.value.reason) == (400, "too many shots")
    assert "secret" not in str(failure.value)


def test_a_wrong_key_and_a_wrong_address_are_set_up_wrong(upstream: Played) -> None:
    with pytest.raises(UpstreamSetupError, match="IONQ_API_KEY"):
        submit(upstream.url, api_key="another-key")
    with pytest.raises(UpstreamSetupError, match="upstream URL"):
        submit(upstream.url + "/elsewhere")


def test_nothing_is_sent_after_the_time_is_over(upstream: Played) -> None:
    with pytest.raises(UpstreamBusyError, match="nothing was sent"):
        ask(upstream.url, lambda client: client.submit(JOB, time.monotonic() - 0.001))
    assert upstream.requests == []


def test_many_jobs_are_asked_for_in_few_requests(upstream: Played) -> None:
    ids = [upstream.add()["id"] for _ in range(250)]
    found = ask(upstream.url, lambda client: client.jobs([*ids, "unknown"]))
    assert sorted(found) == sorted(ids)
    assert upstream.seen("jobs") == 3
    assert upstream.seen("job") == 1  # the unknown one, asked for by its name before it is given up


def test_a_service_that_ignores_the_ids_is_asked_one_by_one(upstream: Played) -> None:
    upstream.honours_ids = False
    ids = [upstream.add()["id"] for _ in range(30)]

    async def twice(client: UpstreamClient) -> set[str]:
        first = await client.jobs(ids[:3])
        second = await client.jobs(ids[:3])
        return {*first, *second}

    assert ask(upstream.url, twice) == set(ids[:3])
    assert upstream.seen("jobs") == 1


@pytest.mark.parametrize("kind", ["status", "drop"])
def test_a_read_that_fails_may_be_done_again(upstream: Played, kind: str) -> None:
    job = upstream.add()
    upstream.trouble("job", Trouble(drop=True) if kind == "drop" else Trouble(status=503))
    with pytest.raises(UpstreamBusyError):
        ask(upstream.url, lambda client: client.job(job["id"]))
    assert ask(upstream.url, lambda client: client.job(job["id"])).id == job["id"]


def test_a_job_that_does_not_exist_is_missing(upstream: Played) -> None:
    with pytest.raises(UpstreamMissingError):
        ask(upstream.url, lambda client: client.job("no/such?job"))


def test_histograms_of_one_and_of_many(upstream: Played) -> None:
    job = upstream.add()
    upstream.finish(job["id"], {"0": 0.25, "3": 0.75})

    async def read(client: UpstreamClient, multi: bool, circuits: int) -> list[dict[str, float]]:
        return await client.histograms(await client.job(job["id"]), multi, circuits)

    assert ask(upstream.url, lambda client: read(client, False, 1)) == [{"0": 0.25, "3": 0.75}]
    # The children's order counts, not the order of the answer.
    upstream.jobs[job["id"]]["child_job_ids"] = ["a", "b"]
    upstream.finish(job["id"], {"b": {"1": 1.0}, "a": {"0": 1.0}})
    assert ask(upstream.url, lambda client: read(client, True, 2)) == [{"0": 1.0}, {"1": 1.0}]
    assert upstream.requests[-1][1].endswith("/results/probabilities/aggregated")


@pytest.mark.parametrize(
    "results",
    [{}, {"a": {}}, {"a": {"0": 0.5}}, {"a": {"x": 1.0}}, {"a": {"0": True}}, {"a": {"0": 1.0}, "b": {"0": 1.0}}],
)
def test_results_that_are_none_are_refused(upstream: Played, results: dict[str, Any]) -> None:
    job = upstream.add()
    upstream.finish(job["id"], results)

    async def read(client: UpstreamClient) -> object:
        return await client.histograms(await client.job(job["id"]), True, 1)

    with pytest.raises(UpstreamAnswerError):
        ask(upstream.url, read)


def test_a_cost_is_exact_money(upstream: Played) -> None:
    job = upstream.add()
    upstream.finish(job["id"], {}, cost="25.7899")
    assert ask(upstream.url, lambda client: client.cost(job["id"])) == Decimal("25.7899")
    upstream.costs[job["id"]] = {"cost": {"value": 12, "unit": "credit"}}
    assert ask(upstream.url, lambda client: client.cost(job["id"])) is None
    for wrong in (-1, "much"):
        upstream.costs[job["id"]] = {"cost": {"value": wrong, "unit": "usd"}}
        with pytest.raises(UpstreamAnswerError):
            ask(upstream.url, lambda client: client.cost(job["id"]))


def test_requests_keep_to_the_rate(upstream: Played) -> None:
    job = upstream.add()

    async def several(client: UpstreamClient) -> None:
        await asyncio.gather(*(client.job(job["id"]) for _ in range(12)))

    began = time.monotonic()
    ask(upstream.url, several, requests_per_s=20.0, burst=2)
    assert time.monotonic() - began >= 0.5  # 10 beyond the burst, 20 a second


def test_a_named_pause_holds_every_request(upstream: Played) -> None:
    job = upstream.add()
    upstream.trouble("job", Trouble(status=429, headers={"Retry-After": "1"}))

    async def twice(client: UpstreamClient) -> float:
        with pytest.raises(UpstreamBusyError):
            await client.job(job["id"])
        began = time.monotonic()
        await client.job(job["id"])
        return time.monotonic() - began

    assert ask(upstream.url, twice) >= 0.95


def test_the_key_is_in_no_log_and_no_text(upstream: Played, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    upstream.trouble("submit", Trouble(status=400))
    with pytest.raises(UpstreamRefusedError) as failure:
        submit(upstream.url)
    assert KEY not in caplog.text
    assert KEY not in str(failure.value)
    assert KEY not in repr(options(upstream.url))


def test_what_is_observed(upstream: Played) -> None:
    seen: list[tuple[str, str]] = []
    upstream.trouble("submit", Trouble(status=503))

    async def run() -> None:
        async with UpstreamClient(
            options(upstream.url), lambda name, _, outcome: seen.append((name, outcome))
        ) as client:
            with pytest.raises(UpstreamUncertainError):
                await client.submit(JOB, time.monotonic() + 9)
            await client.submit(JOB, time.monotonic() + 9)

    asyncio.run(run())
    assert seen == [("submit", "uncertain"), ("submit", "ok")]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.ionq.co", "https://api.ionq.co/v0.4"),
        ("https://api.ionq.co/v0.4/", "https://api.ionq.co/v0.4"),
        ("http://gateway:8000/prefix", "http://gateway:8000/prefix/v0.4"),
    ],
)
def test_addresses(url: str, expected: str) -> None:
    assert check_upstream_url(url) == expected


@pytest.mark.parametrize(
    "url", ["", "api.ionq.co", "ftp://x", "https://u:secretword@x", "https://x?y=1", "https:///v0.4"]
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        check_upstream_url(url)
    assert "secretword" not in str(failure.value)


def test_options_that_would_allow_a_second_submission_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="sent twice"):
        options("https://x", submit_s=60.0, settle_s=60.0)
    with pytest.raises(ConfigurationError, match="IONQ_API_KEY"):
        options("https://x", api_key="")
