"""Faults as a client meets them, and what has happened to its job."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from quantum_db.gateway.api.middleware import DroppedAnswerError
from quantum_db.gateway.api.service import ApiSettings
from quantum_db.gateway.faults import fault_plan
from tests.gateway.api.conftest import Gateway, single

POST = {"method": "POST", "path": "^/v0.4/jobs$"}
NEVER_JOIN = ApiSettings(long_poll_s=0, idempotency_window_s=0)


def jobs_of(gateway: Gateway) -> int:
    return sum(gateway.service.jobs.counts().values())


def test_without_a_plan_nothing_is_marked(gateway: Gateway) -> None:
    assert "X-QStore-Faults" not in gateway.client.get("/health").headers


def test_a_status_before_acceptance_leaves_no_job_and_one_after_it_does(start: Callable[..., Any]) -> None:
    rules = [
        {**POST, "kind": "status_before", "status": 429, "retry_after": 2, "nth": 1},
        {**POST, "kind": "status_after", "status": 503, "nth": 2},
    ]
    with start(settings=NEVER_JOIN, faults=fault_plan({"rules": rules})) as gateway:
        first = gateway.client.post("/v0.4/jobs", json=single())
        assert (first.status_code, first.headers["Retry-After"]) == (429, "2")
        assert first.json()["statusCode"] == 429
        assert first.headers["X-QStore-Faults"] == "on"
        assert jobs_of(gateway) == 0
        second = gateway.client.post("/v0.4/jobs", json=single())
        assert (second.status_code, jobs_of(gateway)) == (503, 1)
        third = gateway.client.post("/v0.4/jobs", json=single())
        assert (third.status_code, jobs_of(gateway)) == (201, 2)
        assert third.headers["X-QStore-Faults"] == "on"
        assert 'qstore_gateway_faults_total{kind="status_after"} 1.0' in gateway.client.get("/metrics").text


def test_a_lost_answer_leaves_a_job(start: Callable[..., Any]) -> None:
    plan = fault_plan({"rules": [{**POST, "kind": "drop_answer", "times": 1}]})
    with start(settings=NEVER_JOIN, faults=plan) as gateway:
        with pytest.raises(DroppedAnswerError):  # the test's client has no connection to close
            gateway.client.post("/v0.4/jobs", json=single())
        assert jobs_of(gateway) == 1


@pytest.mark.parametrize(("window_s", "jobs"), [(0.0, 2), (60.0, 1)])
def test_a_duplicate_delivery_makes_a_second_job_only_without_the_window(
    window_s: float, jobs: int, start: Callable[..., Any]
) -> None:
    plan = fault_plan({"rules": [{**POST, "kind": "duplicate"}]})
    with start(settings=ApiSettings(idempotency_window_s=window_s), faults=plan) as gateway:
        body = json.dumps(single()).encode()
        parts = [body[:20], body[20:]]
        assert gateway.client.post("/v0.4/jobs", content=iter(parts)).status_code == 201
        assert jobs_of(gateway) == jobs


def test_a_delay_delays(start: Callable[..., Any]) -> None:
    plan = fault_plan({"rules": [{"path": "/whoami", "kind": "delay", "seconds": 0.3}]})
    with start(faults=plan) as gateway:
        began = time.monotonic()
        gateway.get("/whoami")
        assert time.monotonic() - began >= 0.3


def test_a_clock_skew_shifts_the_times_of_answers(start: Callable[..., Any]) -> None:
    with start(settings=NEVER_JOIN) as gateway:
        job_id = gateway.submit(single())
        right = gateway.get(f"/jobs/{job_id}")["submitted_at"]
    plan = fault_plan({"rules": [{"kind": "clock_skew", "seconds": -3600}]})
    with start(settings=NEVER_JOIN, faults=plan) as gateway:
        wrong = gateway.get(f"/jobs/{job_id}")["submitted_at"]
    assert wrong < right
    assert wrong[14:] == right[14:]  # an hour early, to the millisecond


def test_a_job_failure_fails_that_job_and_releases_its_money(start: Callable[..., Any]) -> None:
    plan = fault_plan({"rules": [{**POST, "kind": "job_failure", "code": "QuantumComputerError", "nth": 1}]})
    with start(simulate_qpus=True, faults=plan, worker=True) as gateway:
        job = gateway.finished(single(backend="qpu.forte-1", metadata={"n": "1"}))
        assert job["status"] == "failed"
        assert job["failure"]["code"] == "QuantumComputerError"
        assert job["failure"]["message"] == job["failure"]["error"]
        assert (job["cost"]["reserved"], job["results"]) == ("0", None)
        assert "QuantumComputerError" in gateway.get(f"/jobs/{job['id']}/results/probabilities", 404)["message"]
        assert gateway.finished(single(backend="qpu.forte-1", metadata={"n": "2"}))["status"] == "completed"
