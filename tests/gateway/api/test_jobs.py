"""Submitting, looking, listing, canceling and deleting jobs."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from quantum_db.gateway.ledger.states import JobState
from tests.gateway.api.conftest import AS_BOB, AS_CAROL, AS_CIRQ, BELL, SECOND_KEY, X0, Gateway, multi, single

UNKNOWN = "2f7ab6bd-8b04-4ee7-9d65-5a0ed1290000"


def test_the_answer_to_a_submit_is_that_of_ionq(gateway: Gateway) -> None:
    answer = gateway.client.post("/v0.4/jobs", json=single())
    assert answer.status_code == 201
    body = answer.json()
    assert str(uuid.UUID(body.pop("id")))
    assert body == {"status": "ready", "session_id": None}


def test_a_job_shows_what_was_sent_and_what_it_is(gateway: Gateway) -> None:
    metadata = {"shots": "7", "measurement0": "m\x1f0", "deep": {"a": [1, None, 1.5]}}
    sent = single(BELL, name="a name", shots="7", metadata=metadata, settings={"compilation": {"opt": 1}}, lang="json")
    job = gateway.get(f"/jobs/{gateway.submit(sent)}")
    assert job["metadata"] == metadata
    assert (job["name"], job["shots"], job["backend"], job["status"]) == ("a name", 7, "simulator", "ready")
    assert job["stats"] == {"qubits": 2, "circuits": 1, "gate_counts": {"1q": 1, "2q": 1}}
    assert job["settings"] == {"compilation": {"opt": 1}}
    assert job["results"] is job["failure"] is job["started_at"] is job["child_job_ids"] is None
    assert job["submitted_at"].endswith("Z")
    assert job["cost"] == {"estimated": "0", "reserved": "0", "charged": None, "unit": "usd"}


def test_without_metadata_there_is_an_empty_object_and_100_shots(gateway: Gateway) -> None:
    job = gateway.get(f"/jobs/{gateway.submit(single())}")
    assert (job["metadata"], job["shots"]) == ({}, 100)


def test_cirq_gets_no_nulls_that_it_fails_on_and_others_get_them(gateway: Gateway) -> None:
    job_id = gateway.submit(single())
    for path in (f"/jobs/{job_id}", "/jobs"):
        assert "failure" in json.dumps(gateway.get(path))
        for_cirq = gateway.get(path, **AS_CIRQ)
        assert "failure" not in json.dumps(for_cirq)
        assert "next" not in for_cirq
    assert gateway.get("/jobs")["next"] is None


def test_json_is_read_without_a_content_type(gateway: Gateway) -> None:
    for content_type in ("", "text/plain", "application/x-www-form-urlencoded"):
        sent = json.dumps(single(metadata={"as": content_type}))
        headers = {"Content-Type": content_type}
        assert gateway.client.post("/v0.4/jobs", content=sent, headers=headers).status_code == 201


def test_children_are_jobs_of_their_own(gateway: Gateway) -> None:
    circuits = [{"circuit": X0, "name": "one"}, {"circuit": BELL, "qubits": 5}]
    parent = gateway.get(f"/jobs/{gateway.submit(multi(circuits, metadata={'a': '1'}))}")
    assert parent["stats"]["circuits"] == 2
    first, second = (gateway.get(f"/jobs/{child}") for child in parent["child_job_ids"])
    assert (first["name"], second["name"]) == ("one", None)
    assert second["stats"] == {"qubits": 5, "circuits": 1, "gate_counts": {"1q": 1, "2q": 1}}
    assert first["parent_job_id"] == second["parent_job_id"] == parent["id"]
    assert (first["type"], first["metadata"]) == ("ionq.circuit.v1", {"a": "1"})
    listed = gateway.get(f"/jobs?parent_job_id={parent['id']}&limit=1")
    assert [job["id"] for job in listed["jobs"]] == [first["id"]]
    rest = gateway.get(f"/jobs?parent_job_id={parent['id']}&limit=1&next={listed['next']}")
    assert (rest["jobs"][0]["id"], rest["next"]) == (second["id"], None)
    gateway.get(f"/jobs/{parent['id'][:-4]}0003", 404)
    for path in ("", "/status/cancel"):
        method = gateway.client.delete if not path else gateway.client.put
        assert method(f"/v0.4/jobs/{first['id']}{path}").status_code == 400


def test_keys_of_one_tenant_see_its_jobs_and_others_do_not(gateway: Gateway) -> None:
    job_id = gateway.submit(single())
    assert gateway.get(f"/jobs/{job_id}", Authorization=f"apiKey {SECOND_KEY}")["id"] == job_id
    unknown = gateway.get(f"/jobs/{UNKNOWN}", 404, **AS_BOB)
    for method, path in (
        ("GET", ""), ("DELETE", ""), ("PUT", "/status/cancel"), ("GET", "/cost"), ("POST", "/clone"),
        ("GET", "/results/probabilities"), ("GET", "/results/probabilities/aggregated"), ("GET", "/results/histogram"),
        ("GET", "/results/shots"), ("GET", "/artifacts/x"),
    ):  # fmt: skip
        answer = gateway.client.request(method, f"/v0.4/jobs/{job_id}{path}", headers=AS_BOB)
        assert answer.status_code == 404, path
        assert answer.json() == {**unknown, "message": f"there is no job '{job_id}'"}
    assert gateway.get("/jobs", **AS_BOB)["jobs"] == []
    assert gateway.get(f"/jobs?ids={job_id}", **AS_BOB)["jobs"] == []
    assert gateway.client.put("/v0.4/jobs/status/cancel", json={"ids": [job_id]}, headers=AS_BOB).status_code == 404
    assert gateway.client.request("DELETE", "/v0.4/jobs", json={"ids": [job_id]}, headers=AS_BOB).status_code == 404
    assert gateway.get(f"/jobs/{job_id}")["status"] == "ready"


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (None, "there is no API key"),
        ("apiKey wrong-key-of-alice", "not known here"),
        ("Basic YWxpY2U6eA==", ".netrc"),
        ("Bearer key-of-alice", "another scheme"),
        ("apiKey", "another scheme"),
        ("apiKey \xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9", "not known here"),
    ],
)
def test_without_a_known_key_nothing_is_answered(header: str | None, says: str, gateway: Gateway) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    gateway.client.headers.pop("Authorization")
    for method, path in (("POST", "/jobs"), ("GET", "/jobs"), ("GET", f"/jobs/{UNKNOWN}"), ("GET", "/sessions"),
                         ("GET", "/whoami"), ("GET", "/jobs/estimate?backend=simulator")):  # fmt: skip
        answer = gateway.client.request(method, f"/v0.4{path}", headers=headers)
        assert answer.status_code == 401
        assert says in answer.json()["message"]
        assert "wrong-key" not in answer.text


def test_lists_are_filtered_and_paged(gateway: Gateway) -> None:
    ids = [gateway.submit(single(name=f"job {i}")) for i in range(5)]
    gateway.client.put(f"/v0.4/jobs/{ids[0]}/status/cancel")

    def listed(query: str) -> list[str]:
        return [job["id"] for job in gateway.get(f"/jobs{query}")["jobs"]]

    newest_first = ids[::-1]
    assert listed("") == newest_first
    assert listed(f"?ids={ids[1]}&ids={ids[3]}") == listed(f"?ids={ids[3]},{ids[1]}") == [ids[3], ids[1]]
    assert listed(f"?ids={ids[1]}&ids=nonsense") == [ids[1]]
    assert listed("?ids=nonsense") == []
    assert listed("?status=canceled") == [ids[0]]
    assert listed("?status=queued") == newest_first[:-1]
    assert listed("?target=qpu.forte-1") == listed("?backend=qpu.forte-1") == []
    assert listed("?target=simulator&name=job%202") == [ids[2]]
    own = gateway.get(f"/jobs/{ids[0]}")["submitter_id"]
    assert listed(f"?submitter_id={own}") == newest_first
    assert listed("?submitter_id=somebody") == []
    page = gateway.get("/jobs?limit=2")
    found, cursor = [job["id"] for job in page["jobs"]], page["next"]
    while cursor is not None:
        page = gateway.get(f"/jobs?limit=2&next={cursor}")
        found += [job["id"] for job in page["jobs"]]
        cursor = page["next"]
    assert found == newest_first
    sized = gateway.client.request("GET", "/v0.4/jobs", json={"limit": 3}).json()  # as cirq-ionq sends it
    assert len(sized["jobs"]) == 3


@pytest.mark.parametrize("query", ["?limit=0", "?limit=1001", "?limit=many", "?status=nope", "?next=nope"])
def test_a_list_that_makes_no_sense_is_refused(query: str, gateway: Gateway) -> None:
    body = gateway.get(f"/jobs{query}", 400)
    assert (body["statusCode"], body["error"]) == (400, "Bad Request")


def test_cancel_and_delete(gateway: Gateway) -> None:
    first, second, third, fourth = (gateway.submit(single(name=str(i))) for i in range(4))
    put, delete = gateway.client.put, gateway.client.delete
    for _ in range(2):  # idempotent
        assert put(f"/v0.4/jobs/{first}/status/cancel").json() == {"id": first, "status": "canceled"}
    assert delete(f"/v0.4/jobs/{first}").json() == {"id": first, "status": "deleted"}
    gateway.get(f"/jobs/{first}", 404)
    both = put("/v0.4/jobs/status/cancel", json={"ids": [second, third, second]}).json()
    assert both == {"ids": [second, third], "status": "canceled"}
    gone = gateway.client.request("DELETE", "/v0.4/jobs", json={"ids": [second, third]}).json()
    assert gone == {"ids": [second, third], "status": "deleted"}
    assert [job["id"] for job in gateway.get("/jobs")["jobs"]] == [fourth]
    refused = put("/v0.4/jobs/status/cancel", json={"ids": [fourth, UNKNOWN]})
    assert refused.status_code == 404
    assert gateway.get(f"/jobs/{fourth}")["status"] == "ready"


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"ids": []}', '{"ids": "x"}', '{"ids": [1]}', "{"])
def test_bulk_requests_want_a_list_of_ids(body: str, gateway: Gateway) -> None:
    for method, path in (("PUT", "/v0.4/jobs/status/cancel"), ("DELETE", "/v0.4/jobs")):
        assert gateway.client.request(method, path, content=body).status_code == 400


def test_a_finished_job_cannot_be_canceled(working: Gateway) -> None:
    job = working.finished(single())
    answer = working.client.put(f"/v0.4/jobs/{job['id']}/status/cancel")
    assert answer.status_code == 409
    assert "completed already" in answer.json()["message"]
    bulk = working.client.put("/v0.4/jobs/status/cancel", json={"ids": [job["id"]]})
    assert bulk.json() == {"ids": [], "status": "canceled"}


def test_a_clone_is_a_new_job_with_changes(gateway: Gateway) -> None:
    job_id = gateway.submit(multi([{"circuit": X0}, {"circuit": BELL}], shots=9, metadata={"a": "b"}, name="old"))
    answer = gateway.client.post(f"/v0.4/jobs/{job_id}/clone", json={"name": "new", "shots": 11})
    assert answer.status_code == 201
    clone, old = gateway.get(f"/jobs/{answer.json()['id']}"), gateway.get(f"/jobs/{job_id}")
    assert clone["id"] != job_id
    assert (clone["name"], clone["shots"], clone["metadata"]) == ("new", 11, {"a": "b"})
    assert clone["stats"] == old["stats"]
    assert gateway.client.post(f"/v0.4/jobs/{job_id}/clone").status_code == 201


def test_a_repeated_body_is_the_same_job_within_the_window(start: Callable[..., Any]) -> None:
    with start() as gateway:
        assert gateway.submit(single()) == gateway.submit(single())
        assert gateway.submit(single(metadata={"n": "2"})) != gateway.submit(single())
        assert len(gateway.get("/jobs")["jobs"]) == 2
        assert len({gateway.submit(single()), gateway.submit(single(), **AS_BOB)}) == 2
        metrics = gateway.client.get("/metrics").text
        assert "qstore_gateway_jobs_joined_total 3.0" in metrics


def test_unseeded_random_jobs_are_never_joined_and_seeded_ones_are(start: Callable[..., Any]) -> None:
    with start(simulate_qpus=True) as gateway:
        free = single(noise={"model": "aria-1"})
        assert gateway.submit(free) != gateway.submit(free)
        seeded = single(noise={"model": "aria-1", "seed": 4})
        assert gateway.submit(seeded) == gateway.submit(seeded)
        paid = single(backend="qpu.forte-1")
        assert gateway.submit(paid) == gateway.submit(paid)


def test_an_intent_id_is_one_job_for_ever_unless_joining_is_off(start: Callable[..., Any]) -> None:
    from quantum_db.gateway.api.service import ApiSettings

    def body(shots: int) -> dict[str, Any]:
        return single(shots=shots, metadata={"qstore_intent": "run-7/step-3"})

    with start(settings=ApiSettings(idempotency_window_s=0)) as gateway:
        assert gateway.submit(body(5)) == gateway.submit(body(6))
        assert gateway.submit(single()) != gateway.submit(single())
    with start(settings=ApiSettings(idempotency_window_s=-1)) as gateway:
        assert gateway.submit(body(7)) != gateway.submit(body(7))


def test_limits_of_a_tenant(start: Callable[..., Any]) -> None:
    with start(simulate_qpus=True) as gateway:

        def submit(**more: Any) -> tuple[int, dict[str, Any]]:
            answer = gateway.client.post("/v0.4/jobs", json=single(**more), headers=AS_CAROL)
            return answer.status_code, {**answer.json(), "retry": answer.headers.get("retry-after")}

        status, body = submit(backend="qpu.forte-1", shots=5001)
        assert (status, body["error"]) == (402, "QuotaExhaustedError")
        assert "5001 shots" in body["message"]
        status, body = submit(backend="qpu.forte-1", shots=1000)  # debiasing: 168.195 at least
        assert (status, body["error"]) == (402, "QuotaExhaustedError")
        assert submit(backend="qpu.forte-1", shots=100)[0] == 201
        assert submit(backend="qpu.forte-1", shots=101)[0] == 402
        assert submit(name="second", shots=6000)[0] == 201  # exact: no shot is drawn
        status, body = submit(name="third")
        assert (status, body["error"], body["retry"]) == (429, "TooManyRequests", "1")
        reserved = gateway.get("/jobs?target=qpu.forte-1", **AS_CAROL)["jobs"][0]["cost"]
        assert reserved == {"estimated": "25.7899", "reserved": "25.7899", "charged": None, "unit": "usd"}
        states = gateway.service.jobs.counts()
        assert sum(states.values()) == 2
        assert {state for _, state in states} <= {JobState.READY}


def test_a_dry_run_costs_and_runs_nothing(start: Callable[..., Any]) -> None:
    with start(simulate_qpus=True) as gateway:
        job = gateway.get(f"/jobs/{gateway.submit(single(BELL, backend='qpu.forte-1', shots=100, dry_run=True))}")
        assert (job["status"], job["dry_run"], job["results"]) == ("completed", True, None)
        assert gateway.get(f"/jobs/{job['id']}/cost")["estimated_cost"] == {"value": 25.7899, "unit": "usd"}
        assert "dry run" in gateway.get(f"/jobs/{job['id']}/results/probabilities", 404)["message"]
        assert gateway.service.queue.queue_length().get("qpu.forte-1", 0) == 0
