"""Broken circuits, bodies, keys and ids: a 4xx in IonQ's shape, nothing stored, the process alive."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway.fuzz.breaking import WAYS, Breaking
from tests.gateway.fuzz.conftest import KEYS, MAX_BODY_MB, X0, RunningGateway, as_tenant, job, jobs
from tests.gateway.fuzz.valid_circuits import circuits

FUZZ = settings(
    max_examples=60, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
Record = Callable[[str, object], None]


def check_refusal(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """The answer is an error in IonQ's shape with one of `statuses`, short and without a key."""
    assert answer.status_code in statuses, f"{answer.status_code} {answer.text[:500]}"
    assert answer.headers["content-type"] == "application/json"
    error: dict[str, Any] = answer.json()
    assert set(error) <= {"statusCode", "error", "message", "validation"}
    assert error["statusCode"] == answer.status_code
    assert error["error"]
    assert error["message"]
    assert len(answer.content) < 2000
    assert not any(key in answer.text for key in KEYS.values())
    return error


@pytest.mark.parametrize("way", WAYS)
def test_broken_jobs(way: str, gateway: RunningGateway, record_property: Record) -> None:
    tried = 0

    @settings(FUZZ, max_examples=40)
    @given(data=st.data(), circuit=circuits())
    def run(data: st.DataObject, circuit: dict[str, Any]) -> None:
        nonlocal tried
        tried += 1
        body, expected = getattr(Breaking(data.draw, circuit), way)()
        error = check_refusal(gateway.post(json.dumps(body).encode(), "nothing"), 400)
        assert expected in ("", error["error"]), error

    run()
    record_property("fuzz_cases", tried)
    assert gateway.stored("nothing") == []
    gateway.check_alive()


def test_bodies_that_are_no_json(gateway: RunningGateway, record_property: Record) -> None:
    tried = 0

    @settings(FUZZ, max_examples=150)
    @given(data=st.data(), circuit=circuits())
    def run(data: st.DataObject, circuit: dict[str, Any]) -> None:
        nonlocal tried
        tried += 1
        whole = json.dumps(job(circuit)).encode()
        way = data.draw(st.sampled_from(["cut", "bytes", "before", "after", "utf-16", "odd byte"]))
        place = data.draw(st.integers(0, len(whole) - 1))
        garbage = data.draw(st.binary(min_size=1, max_size=30))
        sent = {
            "cut": whole[:place],
            "bytes": garbage,
            "before": b"\xef\xbb\xbf" + whole,
            "after": whole + b"}",
            "utf-16": whole.decode().encode("utf-16"),
            "odd byte": whole[:place] + b"\xff" + whole[place:],
        }[way]
        check_refusal(gateway.post(sent, "nothing"), 400)

    run()
    record_property("fuzz_cases", tried)
    assert gateway.stored("nothing") == []
    gateway.check_alive()


@pytest.mark.parametrize("levels", [101, 250, 1023, 1024, 100_000, 2_000_000])
@pytest.mark.parametrize("place", ["metadata", "input", "circuit", "gate", "rotation", "shots", "whole"])
def test_deep_nesting(levels: int, place: str, gateway: RunningGateway, record_property: Record) -> None:
    deep = '{"a":' * levels + "1" + "}" * levels if levels % 2 else "[" * levels + "1" + "]" * levels
    gate = f'{{"gate": "rx", "target": 0, "rotation": {deep if place == "rotation" else 1}}}'
    circuit = deep if place == "circuit" else f"[{deep if place == 'gate' else gate}]"
    given = deep if place == "input" else f'{{"qubits": 1, "circuit": {circuit}}}'
    fields = f'"metadata": {deep if place == "metadata" else "{}"}, "shots": {deep if place == "shots" else 1}'
    body = f'{{"type": "ionq.circuit.v1", "backend": "simulator", {fields}, "input": {given}}}'
    check_refusal(gateway.post((deep if place == "whole" else body).encode(), "nothing"), 400)
    record_property("fuzz_cases", 1)
    assert gateway.stored("nothing") == []
    gateway.check_alive()


MANY: dict[str, tuple[dict[str, Any], str]] = {
    "circuits": (jobs([{"circuit": []}] * 5001), "Bad Request"),
    "gates": (job({"qubits": 1, "circuit": [{"gate": "h", "target": 0}] * 150_001}), "TooManyGates"),
    "gates of all circuits": (jobs([{"circuit": [{"gate": "h", "target": 0}] * 1001}] * 150), "TooManyGates"),
    "gates once unfolded": (
        job({"qubits": 9, "circuit": [{"gate": "x", "target": 8, "controls": [0, 1, 2, 3, 4, 5, 6]}] * 30_000}),
        "QuantumCircuitComplexityError",
    ),
}


@pytest.mark.parametrize("what", MANY)
def test_too_many(what: str, gateway: RunningGateway, record_property: Record) -> None:
    body, expected = MANY[what]
    error = check_refusal(gateway.post(json.dumps(body).encode(), "nothing"), 400)
    assert error["error"] == expected
    record_property("fuzz_cases", 1)
    assert gateway.stored("nothing") == []
    gateway.check_alive()


WITH_BODIES = [
    ("POST", "/v0.4/jobs"), ("GET", "/v0.4/jobs"), ("DELETE", "/v0.4/jobs"), ("PUT", "/v0.4/jobs/status/cancel"),
    ("POST", "/v0.4/sessions"),
]  # fmt: skip


@pytest.mark.parametrize("length_is_told", [True, False])
@pytest.mark.parametrize(("method", "path"), WITH_BODIES)
def test_a_body_of_100_mb(
    method: str, path: str, length_is_told: bool, gateway: RunningGateway, record_property: Record
) -> None:
    megabyte = b" " * 2**20
    sent = 0

    def parts() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield megabyte

    headers = {**as_tenant("nothing"), **({"Content-Length": str(100 * 2**20)} if length_is_told else {})}
    resident = _resident_mb(gateway.process.pid)
    status, error = _refused_while_sending(gateway.url, method, path, headers, parts())
    assert status == 413
    assert error["statusCode"] == 413
    assert error["error"] == HTTPStatus(413).phrase
    assert sent < 100, "the gateway read on after it had refused"
    assert _resident_mb(gateway.process.pid) < resident + 4 * MAX_BODY_MB
    record_property("fuzz_cases", 1)
    assert gateway.stored("nothing") == []
    gateway.check_alive()


def _refused_while_sending(
    url: str, method: str, path: str, headers: dict[str, str], parts: Iterator[bytes]
) -> tuple[int, dict[str, Any]]:
    """Send until the server does not read on; its answer. (HTTP clients only look for it once all is sent.)"""
    host, port = url.removeprefix("http://").split(":")
    chunked = "Content-Length" not in headers
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    lines += ["Transfer-Encoding: chunked"] if chunked else []
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        try:
            for part in parts:
                connection.sendall(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server has answered and closed
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except ConnectionResetError:
            pass  # after what was received
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def _resident_mb(pid: int) -> float:
    with open(f"/proc/{pid}/statm") as statm:  # noqa: PTH123
        return int(statm.read().split()[1]) * 4096 / 2**20


def test_wrong_keys(gateway: RunningGateway, record_property: Record) -> None:
    tried = 0
    key = KEYS["fuzz"]
    near = [f"apiKey {key}x", f"apiKey {key[:-1]}", f"apiKey {key.upper()}", f"Bearer {key}", "apiKey", key,
            f"Basic {key}", f"apiKey\t{key}x", f"apiKey {key},{key}", f"apiKey fuzz:{key}"]  # fmt: skip
    odd = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=300)
    routes = [("GET", "/jobs"), ("POST", "/jobs"), ("GET", f"/jobs/{'0' * 32}"), ("DELETE", "/jobs"),
              ("GET", "/whoami"), ("GET", "/sessions"), ("POST", "/sessions"),
              ("GET", "/jobs/estimate?backend=simulator"), ("PUT", "/jobs/status/cancel")]  # fmt: skip

    @settings(FUZZ, max_examples=150)
    @given(value=st.none() | st.sampled_from(near) | odd.map(str.strip), route=st.sampled_from(routes))
    def run(value: str | None, route: tuple[str, str]) -> None:
        nonlocal tried
        tried += 1
        headers = {} if value is None else {"Authorization": value.encode("latin-1")}
        content = json.dumps(job()).encode() if route[0] == "POST" else None
        answer = gateway.client.request(route[0], f"/v0.4{route[1]}", headers=headers, content=content)  # type: ignore[arg-type]
        check_refusal(answer, 401)

    before = gateway.stored("fuzz")
    run()
    record_property("fuzz_cases", tried)
    assert gateway.stored("fuzz") == before
    gateway.check_alive()


OF_A_JOB = [
    ("GET", ""), ("DELETE", ""), ("PUT", "/status/cancel"), ("GET", "/cost"), ("GET", "/results/probabilities"),
    ("GET", "/results/probabilities/aggregated"), ("GET", "/results/histogram"), ("GET", "/results/shots"),
    ("POST", "/clone"), ("GET", "/artifacts/00000000-0000-0000-0000-000000000000"),
]  # fmt: skip


def test_jobs_of_another_tenant_are_not_there(gateway: RunningGateway, record_property: Record) -> None:
    """Whole jobs and their circuits, one by one and in bulk; and what is not there at all looks the same."""
    parent = gateway.submit(jobs([{"circuit": X0["circuit"]}] * 3), "other")
    shown = gateway.finished(parent, "other")
    session = gateway.client.post("/v0.4/sessions", json={"backend": "simulator"}, headers=as_tenant("other")).json()
    foreign = [parent, *shown["child_job_ids"]]
    tried = 0
    for job_id in foreign:
        for method, path in OF_A_JOB:
            tried += 1
            answer = gateway.client.request(method, f"/v0.4/jobs/{job_id}{path}", headers=as_tenant("nothing"))
            error = check_refusal(answer, 404)
            assert "other" not in error["message"]
    for method, path in (("DELETE", "/jobs"), ("PUT", "/jobs/status/cancel")):
        tried += 1
        answer = gateway.client.request(method, f"/v0.4{path}", json={"ids": [parent]}, headers=as_tenant("nothing"))
        check_refusal(answer, 404)
    for method, path in (("GET", ""), ("POST", "/end"), ("GET", "/jobs")):
        tried += 1
        address = f"/v0.4/sessions/{session['id']}{path}"
        check_refusal(gateway.client.request(method, address, headers=as_tenant("nothing")), 404)
    body = job(session_id=session["id"])
    check_refusal(gateway.post(json.dumps(body).encode(), "nothing"), 404)
    listed = gateway.client.get(f"/v0.4/jobs?ids={parent}", headers=as_tenant("nothing")).json()
    assert listed["jobs"] == []
    record_property("fuzz_cases", tried + 2)
    assert gateway.stored("nothing") == []
    assert gateway.finished(parent, "other")["status"] == "completed"
    gateway.check_alive()


def test_ids_that_are_none(gateway: RunningGateway, record_property: Record) -> None:
    tried = 0
    words = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=60).filter(
        lambda word: word not in (".", "..")  # which a client takes out of an address
    )

    @settings(FUZZ, max_examples=150)
    @given(word=words | st.uuids().map(str), route=st.sampled_from(OF_A_JOB))
    def run(word: str, route: tuple[str, str]) -> None:
        nonlocal tried
        tried += 1
        address = f"/v0.4/jobs/{quote(word, safe='')}{route[1]}"
        check_refusal(gateway.client.request(route[0], address, headers=as_tenant("nothing")), 404)

    run()
    record_property("fuzz_cases", tried)
    gateway.check_alive()


def test_what_is_no_http(gateway: RunningGateway, record_property: Record) -> None:
    """Bytes that are no request end in an answer or a closed connection, never in a broken process."""
    tried = 0
    starts = st.sampled_from([b"", b"GET ", b"POST /v0.4/jobs HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n",
                              b"POST /v0.4/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                              b"POST /v0.4/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"])  # fmt: skip
    host, port = gateway.url.removeprefix("http://").split(":")

    @settings(FUZZ, max_examples=150)
    @given(start=starts, rest=st.binary(max_size=200))
    def run(start: bytes, rest: bytes) -> None:
        nonlocal tried
        tried += 1
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(start + rest)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            try:
                while part := connection.recv(65536):
                    answer += part
            except ConnectionResetError:
                pass  # closed without an answer, which is fine
            assert answer == b"" or 400 <= int(answer.split()[1]) < 500, answer[:300]

    run()
    record_property("fuzz_cases", tried)
    gateway.check_alive()
