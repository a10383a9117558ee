"""Whatever is wrong with a job is a 4xx in IonQ's shape, and nothing is stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.gateway.api.conftest import AS_ALICE, X0, Gateway, multi, single


def gate(**fields: Any) -> dict[str, Any]:
    return single([fields])


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in single().items() if key != name}


def nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


BAD: list[tuple[Any, str]] = [
    ("", "it is empty"),
    ("{", "not valid JSON"),
    ("\x00", "not valid JSON"),
    ("[1]", "JSON array"),
    ('"text"', "JSON string"),
    (json.dumps(single(shots=5)).replace("5", "NaN"), "not valid JSON"),
    (json.dumps(single()).replace('"gate"', '"\ud800"'), "JSON"),
    (without("type"), "type is missing"),
    (without("backend"), "backend is missing"),
    (without("input"), "input must be an object"),
    (single(type="ionq.qasm3.v1"), "cannot be run here"),
    (single(type=7), "type must be a text"),
    (single(backend="nope"), "unknown backend 'nope'"),
    (single(backend="qpu"), "names no machine"),
    (single(backend="qpu.forte-1"), "no upstream IonQ"),
    (single(backend="qpu.aria-1"), "retired"),
    (single(shots=0), "shots must be a whole number from 1 to 1000000"),
    (single(shots=1_000_001), "shots must be"),
    (single(shots="many"), "shots must be"),
    (single(shots=True), "shots must be"),
    (single(shots=1.5), "shots must be"),
    (single(shots="9" * 400), "shots must be"),
    (single(metadata=[1]), "metadata is a JSON array"),
    (single(metadata=json.loads(nested(150))), "metadata is nested more than 100"),
    (single(settings="x"), "settings is a JSON string"),
    (single(noise="aria-1"), "noise is a JSON string"),
    (single(noise={"model": "harmony"}), "not published"),
    (single(noise={"model": "aria-1", "seed": -1}), "noise.seed must be"),
    (single(noise={"model": "aria-1", "seed": 1.5}), "noise.seed must be"),
    (single(name=7), "name must be a text"),
    (single(name="x" * 256), "name must be a text"),
    (single(name="a\x00b"), "name must be a text"),
    (single(dry_run="yes"), "dry_run is a JSON string"),
    (single(metadata={"qstore_intent": 7}), "qstore_intent must be a text"),
    (single(input=[]), "input must be an object"),
    (gate(gate="frobnicate", target=0), "frobnicate"),
    (gate(gate="x", target=2), "2"),
    (gate(gate="x", target=-1), "-1"),
    (gate(gate="x", target=True), "a qubit is an integer, got true"),
    (gate(gate="rx", target=0, rotation="1"), "a number was expected, got '1'"),
    (gate(gate="cnot", control=0, target=0), "0"),
    (multi([]), "circuits"),
    (single([{"gate": "x", "target": 0}], input={"gateset": "qis", "qubits": 40, "circuit": X0}), "40"),
]


@pytest.mark.parametrize(("body", "says"), BAD, ids=range(len(BAD)))
def test_a_bad_job_is_refused_and_nothing_is_stored(body: Any, says: str, gateway: Gateway) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    answer = gateway.client.post("/v0.4/jobs", content=content.encode("utf-8", "surrogatepass"))
    assert answer.status_code == 400, answer.text
    error = answer.json()
    assert error["statusCode"] == 400
    assert says in error["message"]
    assert len(answer.content) < 1000
    assert gateway.get("/jobs")["jobs"] == []


def test_the_place_of_a_bad_gate_is_told(gateway: Gateway) -> None:
    circuits = [{"circuit": X0}, {"circuit": [*X0, {"gate": "rx", "target": 1, "rotation": None}]}]
    error = gateway.client.post("/v0.4/jobs", json=multi(circuits)).json()
    assert error["validation"] == {"keys": ["input.circuits.1.circuit.1.rotation"], "source": "payload"}
    error = gateway.client.post("/v0.4/jobs", json=gate(gate="frobnicate", target=0)).json()
    assert error["error"] == "UnsupportedGate"


@pytest.mark.parametrize("levels", [90, 240, 1000, 100_000])
@pytest.mark.parametrize("place", ["metadata", "input", "settings", "noise", "session_id", "unknown"])
def test_deep_nesting_is_refused_or_ignored(levels: int, place: str, start: Callable[..., Any]) -> None:
    from quantum_db.gateway.api.service import ApiSettings

    with start(settings=ApiSettings(long_poll_s=0)) as gateway:
        body = json.dumps(single(metadata={"n": f"{levels} {place}"}))
        sent = f'{body[:-1]}, "{place}": {nested(levels)}}}'
        answer = gateway.client.post("/v0.4/jobs", content=sent)
        assert answer.status_code in (201, 400)
        if answer.status_code == 201:
            assert gateway.get(f"/jobs/{answer.json()['id']}")["status"] == "ready"
        assert gateway.client.get("/ready").status_code == 200


def test_too_large_bodies_are_refused_whether_their_length_is_told_or_not(gateway: Gateway) -> None:
    large = single(metadata={"text": "x" * 300_000})
    for content in (json.dumps(large).encode(), iter([b"[", *(b"1," * 5000 for _ in range(100))])):
        answer = gateway.client.post("/v0.4/jobs", content=content)
        assert answer.status_code == 413
        assert "larger than 200000 bytes" in answer.json()["message"]
    assert gateway.client.request("GET", "/v0.4/jobs", content=b"x" * 300_000).status_code == 413


def test_unknown_addresses_and_methods_have_ionqs_shape(gateway: Gateway) -> None:
    for path in ("/v0.4/calibrations", "/v0.4/calibrations/current", "/v0.3/jobs", "/", "/v0.4/jobs/"):
        error = gateway.client.get(path).json()
        assert (error["statusCode"], error["error"]) == (404, "Not Found"), path
    answer = gateway.client.patch("/v0.4/jobs")
    assert (answer.status_code, answer.json()["error"]) == (405, "Method Not Allowed")


def test_no_error_repeats_the_body_or_the_key(gateway: Gateway) -> None:
    secret = "do-not-repeat-me" * 20
    for body in (single(backend=secret), single(type=secret), single(name=secret), single(session_id=secret),
                 gate(gate=secret, target=0), single(metadata={"qstore_intent": secret})):  # fmt: skip
        answer = gateway.client.post("/v0.4/jobs", json=body)
        assert answer.status_code == 400
        assert secret not in answer.text
        assert AS_ALICE["Authorization"].split()[1] not in answer.text
