"""Backends, sessions, estimates, usage, health and metrics."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from quantum_db.gateway.targets import ALIASES, MACHINES
from tests.gateway.api.conftest import AS_BOB, X0, Gateway, multi, single

UNKNOWN = "2f7ab6bd-8b04-4ee7-9d65-5a0ed1290000"


def test_backends_need_no_key_and_know_retired_machines_and_aliases(gateway: Gateway) -> None:
    gateway.client.headers.pop("Authorization")
    listed = {row["backend"]: row for row in gateway.get("/backends")}
    assert set(listed) == {name for name, machine in MACHINES.items() if not machine.retired}
    assert (listed["simulator"]["status"], listed["simulator"]["qubits"]) == ("available", 29)
    assert (listed["qpu.forte-1"]["status"], listed["qpu.forte-1"]["qubits"]) == ("unavailable", 36)
    for name in (*MACHINES, *ALIASES, "forte-1"):
        assert gateway.get(f"/backends/{name}")["qubits"] > 0
        assert gateway.get(f"/backends/{name}/characterizations?limit=1") == {"characterizations": [], "pages": 0}
    assert gateway.get("/backends/qpu.aria-1")["status"] == "retired"
    assert gateway.get("/backends/qpu.qpu")["backend"] == "qpu.forte-1"
    for path in (
        "/backends/nope",
        "/backends/nope/characterizations",
        f"/backends/simulator/characterizations/{UNKNOWN}",
    ):
        assert gateway.get(path, 404)["error"] == "Not Found"


def test_whoami_names_the_tenant(gateway: Gateway) -> None:
    body = gateway.get("/whoami")
    assert body["key_name"] == "alice"
    assert str(uuid.UUID(body["key_id"])) == body["key_id"] != gateway.get("/whoami", **AS_BOB)["key_id"]


def test_an_estimate_has_both_shapes(start: Callable[..., Any]) -> None:
    with start(simulate_qpus=True) as gateway:
        query = "backend=qpu.forte-1&shots=10000&1q_gates=51&2q_gates=11"
        body = gateway.get(f"/jobs/estimate?{query}")
        # 10,000 shots of 51 one-qubit and 11 two-qubit gates are 206.95 to 207.21 at the published rates
        assert body["estimated_cost"] == body["estimated_total_cost"] == pytest.approx(207.1, abs=0.2)
        assert body["rate_information"]["job_cost_minimum"] == 25.7899
        assert body["rate_card"]["rates"][0]["unit"] == "gates"
        assert body["input_values"]["1q_gates"] == body["estimate_context"]["1q_gates"] == 51
        mitigated = gateway.get(f"/jobs/estimate?{query.replace('10000', '600')}&error_mitigation=true")
        assert mitigated["estimated_cost"] == 168.195
        assert gateway.get("/jobs/estimate?backend=simulator")["estimated_cost"] == 0
        for bad in ("", "backend=nope", f"{query}&type=x", f"{query}&error_mitigation=perhaps",
                    "backend=simulator&shots=0", "backend=simulator&1q_gates=-1"):  # fmt: skip
            assert gateway.get(f"/jobs/estimate?{bad}", 400)["statusCode"] == 400


def test_a_session_groups_jobs_under_limits(start: Callable[..., Any]) -> None:
    with start(simulate_qpus=True) as gateway:
        settings = {"job_count_limit": 2, "duration_limit_min": 60, "cost_limit": {"unit": "usd", "value": 60.5}}
        answer = gateway.client.post("/v0.4/sessions", json={"backend": "qpu.forte-1", "settings": settings})
        assert answer.status_code == 201
        session = answer.json()
        assert (session["active"], session["status"], session["backend"]) == (True, "created", "qpu.forte-1")
        assert session["settings"].pop("expires_at").endswith("Z")
        assert session["settings"] == settings
        body = single(backend="qpu.forte-1", session_id=session["id"], metadata={"n": "1"})
        first = gateway.submit(body)
        assert gateway.get(f"/jobs/{first}")["session_id"] == session["id"]
        gateway.submit({**body, "metadata": {"n": "2"}})
        third = gateway.client.post("/v0.4/jobs", json={**body, "metadata": {"n": "3"}})
        assert (third.status_code, third.json()["error"]) == (400, "SessionEnded")
        listed = gateway.get(f"/sessions/{session['id']}/jobs?limit=1")
        assert len(listed["jobs"]) == 1
        assert listed["next"] is not None
        assert len(gateway.get(f"/jobs?session_id={session['id']}&status=queued")["jobs"]) == 2
        ended = gateway.client.post(f"/v0.4/sessions/{session['id']}/end").json()
        assert (ended["active"], ended["status"]) == (False, "ended")
        assert [row["id"] for row in gateway.get("/sessions?active=false")["sessions"]] == [session["id"]]
        assert gateway.get("/sessions?active=true")["sessions"] == gateway.get("/sessions", **AS_BOB)["sessions"] == []
        gateway.get(f"/sessions/{session['id']}", 404, **AS_BOB)
        gateway.get(f"/sessions/{session['id']}/jobs", 404, **AS_BOB)
        gateway.get(f"/sessions/{UNKNOWN}", 404)
        unknown = gateway.client.post("/v0.4/jobs", json=single(backend="qpu.forte-1", session_id=UNKNOWN))
        assert unknown.status_code == 404


def test_a_session_over_its_cost_takes_no_more(start: Callable[..., Any]) -> None:
    with start(simulate_qpus=True) as gateway:
        body = {"backend": "qpu.forte-1", "settings": {"cost_limit": {"value": 30}}}
        session = gateway.client.post("/v0.4/sessions", json=body).json()["id"]
        gateway.submit(single(backend="qpu.forte-1", session_id=session, metadata={"n": "1"}))
        more = single(backend="qpu.forte-1", session_id=session, metadata={"n": "2"})
        assert gateway.client.post("/v0.4/jobs", json=more).status_code in (400, 402)
        assert len(gateway.get("/jobs")["jobs"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"backend": "nope"},
        {"backend": "simulator", "settings": 3},
        {"backend": "simulator", "settings": {"job_count_limit": 0}},
        {"backend": "simulator", "settings": {"duration_limit_min": "x"}},
        {"backend": "simulator", "settings": {"cost_limit": {"value": -1}}},
        {"backend": "simulator", "settings": {"cost_limit": {"value": 1, "unit": "credit"}}},
        {"backend": "simulator", "settings": {"cost_limit": {}}},
    ],
)
def test_a_session_that_makes_no_sense_is_refused(body: dict[str, Any], gateway: Gateway) -> None:
    assert gateway.client.post("/v0.4/sessions", json=body).status_code == 400
    assert gateway.get("/sessions")["sessions"] == []


def test_usage_adds_up_what_finished_jobs_cost(working: Gateway) -> None:
    own = working.get("/whoami")["project_id"]
    for n in (1, 2):
        working.finished(single(X0, backend="qpu.forte-1", shots=100, metadata={"n": str(n)}))
    working.finished(single(X0, name="free"))
    body = working.get(f"/organizations/{own}/usage?group_by=backend&modality=monthly")
    assert body["amount_total"] == pytest.approx(2 * 25.7899)
    assert body["job_count"] == 3
    groups = [group for row in body["usage_data"] for group in row["group_usages"]]
    assert sum(group["amount"] for group in groups if group["group_name"] == "qpu.forte-1") == pytest.approx(51.5798)
    assert working.get("/organizations/alice/usage?start_date=2020-01-01&end_date=2020-01-31")["usage_data"] == []
    working.get("/organizations/bob/usage", 404)
    for bad in ("group_by=x", "modality=x", "start_date=x", "start_date=2026-02-01&end_date=2026-01-01"):
        working.get(f"/organizations/{own}/usage?{bad}", 400)


def sample(text: str, name: str) -> float:
    (line,) = (line for line in text.splitlines() if line.startswith(name + " "))
    return float(line.rsplit(" ", 1)[1])


def test_metrics_come_from_the_ledger_when_they_are_asked_for(start: Callable[..., Any]) -> None:
    with start(simulate_qpus=True) as gateway:
        empty = gateway.client.get("/metrics").text
        assert sample(empty, 'quantum_circuit_queue_length{target="simulator"}') == 0
        gateway.submit(multi([{"circuit": X0}] * 7))
        paid = gateway.submit(single(backend="qpu.forte-1"))
        text = gateway.client.get("/metrics").text
        assert sample(text, 'quantum_circuit_queue_length{target="simulator"}') == 7
        assert sample(text, 'quantum_circuit_queue_length{target="qpu.forte-1"}') == 1
        assert sample(text, 'qstore_gateway_jobs{status="ready"}') == 2
        assert sample(text, 'qstore_gateway_reserved_usd{tenant="alice"}') == 25.7899
        assert sample(text, 'qstore_gateway_remaining_usd{tenant="carol"}') == 30
        assert 'qstore_gateway_remaining_usd{tenant="alice"}' not in text
        assert sample(text, 'qstore_gateway_circuits_total{target="simulator"}') == 7
        gateway.client.put(f"/v0.4/jobs/{paid}/status/cancel")
        gateway.client.get("/v0.4/jobs/nonsense")
        text = gateway.client.get("/metrics").text
        assert sample(text, 'qstore_gateway_reserved_usd{tenant="alice"}') == 0
        assert sample(text, 'quantum_circuit_queue_length{target="qpu.forte-1"}') == 0
        route = 'route="/v0.4/jobs/{job_id}",status="404"'
        assert sample(text, f'qstore_gateway_requests_total{{method="GET",{route}}}') == 1
        assert "key-of" not in text


def test_health_and_readiness_need_no_key(gateway: Gateway) -> None:
    gateway.client.headers.pop("Authorization")
    assert gateway.client.get("/health").json() == {"status": "ok"}
    assert gateway.client.get("/ready").json() == {"ready": True}
