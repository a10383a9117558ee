"""The OpenAPI document is true: every answer of the application fits it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.gateway.api.conftest import BELL, X0, Gateway, multi, single


def validated(gateway: Gateway, method: str, path: str, body: Any = None) -> Any:
    """Ask, and hold the answer against what the document says about that route and status."""
    document = gateway.client.get("/openapi.json").json()
    answer = gateway.client.request(method, path, json=body)
    plain = path.partition("?")[0]
    matching = [route for route in document["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route), plain)]
    (route,) = (route for route in matching if route == plain or len(matching) == 1 or "{" not in route)
    described = document["paths"][route][method.lower()]["responses"][str(answer.status_code)]
    schema = described["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, "components": document["components"]}).validate(answer.json())
    return answer.json()


def test_answers_fit_the_document(working: Gateway) -> None:
    one = validated(working, "POST", "/v0.4/jobs", single(BELL, shots="5", noise={"model": "aria-1", "seed": 1}))["id"]
    many = validated(working, "POST", "/v0.4/jobs", multi([{"circuit": X0}, {"circuit": BELL}]))["id"]
    failing = validated(working, "POST", "/v0.4/jobs", {})
    assert failing["statusCode"] == 400
    children = []
    for job_id in (one, many):
        for _ in range(100):
            job = validated(working, "GET", f"/v0.4/jobs/{job_id}")
            if job["status"] == "completed":
                break
        children = job["child_job_ids"] or children
    for job_id in (one, many, children[0]):
        validated(working, "GET", f"/v0.4/jobs/{job_id}")
        for path in ("probabilities", "probabilities/aggregated?sharpen=true", "histogram", "shots"):
            validated(working, "GET", f"/v0.4/jobs/{job_id}/results/{path}")
        validated(working, "GET", f"/v0.4/jobs/{job_id}/cost")
    session = validated(working, "POST", "/v0.4/sessions", {"backend": "simulator"})["id"]
    clone = validated(working, "POST", f"/v0.4/jobs/{one}/clone", {"name": "clone"})["id"]
    for method, path, body in (
        ("GET", "/v0.4/jobs", None),
        ("GET", f"/v0.4/jobs?parent_job_id={many}", None),
        ("GET", "/v0.4/jobs?limit=x", None),
        ("GET", "/v0.4/jobs/estimate?backend=qpu.forte-1", None),
        ("GET", "/v0.4/jobs/estimate", None),
        ("GET", "/v0.4/whoami", None),
        ("GET", "/v0.4/backends", None),
        ("GET", "/v0.4/backends/qpu.qpu", None),
        ("GET", "/v0.4/backends/nope", None),
        ("GET", "/v0.4/backends/simulator/characterizations", None),
        ("GET", "/v0.4/sessions", None),
        ("GET", f"/v0.4/sessions/{session}", None),
        ("GET", f"/v0.4/sessions/{session}/jobs", None),
        ("POST", f"/v0.4/sessions/{session}/end", None),
        ("POST", "/v0.4/sessions", {"backend": "nope"}),
        ("GET", "/v0.4/organizations/alice/usage", None),
        ("PUT", f"/v0.4/jobs/{one}/status/cancel", None),
        ("PUT", "/v0.4/jobs/status/cancel", {"ids": [clone]}),
        ("DELETE", f"/v0.4/jobs/{one}", None),
        ("DELETE", "/v0.4/jobs", {"ids": [many]}),
        ("DELETE", f"/v0.4/jobs/{one}", None),
        ("GET", "/health", None),
        ("GET", "/ready", None),
    ):
        validated(working, method, path, body)


def test_the_document_names_the_key_only_where_it_is_needed(gateway: Gateway) -> None:
    document = gateway.client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            needs_key = path.startswith("/v0.4") and not path.startswith("/v0.4/backends")
            assert ("security" in operation) is needs_key, path
            assert ("401" in operation["responses"]) is needs_key, path
            assert "422" not in operation["responses"]


def test_every_reference_in_the_document_leads_somewhere(gateway: Gateway) -> None:
    text = gateway.client.get("/openapi.json").text
    names = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert names
    assert names <= set(gateway.client.get("/openapi.json").json()["components"]["schemas"])


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_no_page_loads_scripts_from_outside(path: str, gateway: Gateway) -> None:
    assert gateway.client.get(path).status_code == 404
