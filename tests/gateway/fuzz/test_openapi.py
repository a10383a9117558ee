"""Every operation of openapi.json is sent what it allows and what it forbids, and must answer as it says it does.

Schemathesis makes the requests and checks the answers: no 5xx, only documented status codes and content types, bodies
that fit their schemas, 4xx for a body that is forbidden, 401 without a key, 405 with Allow for other methods. Ids
that exist are put into some of the requests, and circuits that can be run into some of the jobs, so that more is seen
than refusals.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig
from schemathesis.specs.openapi import checks as openapi_checks

from tests.gateway.fuzz.conftest import X0, RunningGateway, as_tenant, job, jobs
from tests.gateway.fuzz.valid_circuits import circuits

FUZZ = settings(
    max_examples=20, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
CHECKS = [
    not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.unsupported_method,
    openapi_checks.allow_header_conformance,
    openapi_checks.missing_required_header,
]
OF_BODIES = [*CHECKS, openapi_checks.negative_data_rejection]
"""In an address everything is text, so what was meant to be forbidden there may be allowed as it arrives."""
OPERATIONS = 29
ENDING = ("DELETE", "PUT")


@pytest.fixture(scope="module")
def document(gateway: RunningGateway) -> dict[str, Any]:
    found: dict[str, Any] = gateway.client.get("/openapi.json").json()
    return found


class Known:
    """Jobs and sessions that exist, by the names of path parameters."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._gateway = gateway
        parent = gateway.submit(jobs([{"circuit": X0["circuit"]}, {"circuit": []}]))
        ended = gateway.finished(parent)
        failed = gateway.submit(job({"qubits": 29, "circuit": [{"gate": "h", "target": k} for k in range(21)]}))
        assert gateway.finished(failed)["status"] == "failed"
        headers = as_tenant("fuzz")
        session = gateway.client.post("/v0.4/sessions", json={"backend": "simulator"}, headers=headers).json()
        self._values = {
            "job_id": [parent, *ended["child_job_ids"], gateway.submit(job()), failed],
            "session_id": [session["id"]],
            "organization_id": [gateway.client.get("/v0.4/whoami", headers=headers).json()["project_id"]],
            "name": ["simulator", "qpu.forte-1", "qpu", "qpu.harmony"],
        }
        self.artifacts = [{"job_id": parent, "artifact": row["id"]} for row in ended["results"].values() if "id" in row]

    def values(self, name: str, method: str) -> list[str]:
        """What exists for a path parameter; a job of its own for a method that ends it."""
        return [self._gateway.submit(job())] if name == "job_id" and method in ENDING else self._values.get(name, [])


class Sender:
    """Sends cases to the gateway, checks the answers and counts them."""

    def __init__(self, gateway: RunningGateway, document: dict[str, Any]) -> None:
        self.gateway = gateway
        self.schema = schemathesis.openapi.from_dict(copy.deepcopy(document))
        self.schema.config.generation.with_security_parameters = False  # `send` gives the key
        self.sent = 0
        self.statuses: dict[str, set[int]] = {}
        self._session = requests.Session()
        self._session.trust_env = False

    def operations(self) -> Iterator[Any]:
        found = [result.ok() for result in self.schema.get_all_operations()]
        assert len(found) >= OPERATIONS, "operations are missing in openapi.json"
        yield from found

    def send(self, case: Case, headers: dict[str, str] | None = None) -> None:
        """Send a case and check its answer; the key goes with it unless other headers are given."""
        self.sent += 1
        headers = as_tenant("fuzz") if headers is None else headers
        answer = case.call(base_url=self.gateway.url, session=self._session, headers=headers, timeout=30)
        self.statuses.setdefault(case.operation.label, set()).add(answer.status_code)
        case.validate_response(answer, checks=OF_BODIES if case.operation.body else CHECKS, headers=headers)


def run_all(
    sender: Sender, mode: GenerationMode, more: Callable[[Case, st.DataObject], None], subtests: pytest.Subtests
) -> None:
    for operation in sender.operations():
        if mode is GenerationMode.NEGATIVE and not (operation.query or operation.body):
            continue  # nothing is forbidden: without parameters, or any text is one

        @FUZZ
        @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
        def run(case: Case, data: st.DataObject) -> None:
            more(case, data)
            sender.send(case)

        with subtests.test(operation.label):
            run()


@pytest.fixture(scope="module")
def known(gateway: RunningGateway) -> Known:
    return Known(gateway)


@pytest.fixture
def sender(
    gateway: RunningGateway, document: dict[str, Any], record_property: Callable[[str, object], None]
) -> Iterator[Sender]:
    sender = Sender(gateway, document)
    yield sender
    record_property("fuzz_cases", sender.sent)
    gateway.check_alive()


def test_what_is_allowed(sender: Sender, known: Known, subtests: pytest.Subtests) -> None:
    def more(case: Case, data: st.DataObject) -> None:
        label = case.operation.label
        for name in case.path_parameters or {}:
            values = known.values(name, case.method)
            if values and data.draw(st.integers(0, 3)):
                case.path_parameters[name] = data.draw(st.sampled_from(values))
        if "artifact" in (case.path_parameters or {}) and data.draw(st.booleans()):
            case.path_parameters = dict(data.draw(st.sampled_from(known.artifacts)))
        if label == "POST /v0.4/jobs" and isinstance(case.body, dict) and data.draw(st.integers(0, 3)):
            case.body = {**case.body, "type": "ionq.circuit.v1", "input": data.draw(circuits())}
            case.body["backend"] = data.draw(st.sampled_from(["simulator", "simulator", "qpu.forte-1", "qpu"]))
            if data.draw(st.booleans()):
                case.body["noise"] = data.draw(
                    st.sampled_from([None, {"model": "aria-1", "seed": 3}, {"model": "ideal"}])
                )
        if label == "POST /v0.4/sessions" and isinstance(case.body, dict) and data.draw(st.booleans()):
            case.body = {**case.body, "backend": "simulator"}
        if label in ("DELETE /v0.4/jobs", "PUT /v0.4/jobs/status/cancel") and data.draw(st.booleans()):
            case.body = {"ids": [sender.gateway.submit(job()) for _ in range(data.draw(st.integers(1, 3)))]}
        if label == "GET /v0.4/jobs/estimate" and data.draw(st.booleans()):
            numbers = {"qubits": "4", "shots": "500", "1q_gates": "7", "2q_gates": "2", "error_mitigation": "true"}
            taken = data.draw(st.lists(st.sampled_from(sorted(numbers)), unique=True))
            case.query = {"backend": "simulator", **{name: numbers[name] for name in taken}}

    run_all(sender, GenerationMode.POSITIVE, more, subtests)
    never = {label for label, statuses in sender.statuses.items() if not statuses & {200, 201}}
    never.discard("PUT /v0.4/jobs/{job_id}/status/cancel")  # the worker may have ended each job before
    assert never == {"GET /v0.4/backends/{name}/characterizations/{characterization}"}, "never answered well"


def test_what_is_forbidden(sender: Sender, subtests: pytest.Subtests) -> None:
    run_all(sender, GenerationMode.NEGATIVE, lambda case, data: None, subtests)
    assert len(sender.statuses) > 10


def test_every_limit_of_the_document(sender: Sender, subtests: pytest.Subtests) -> None:
    """Schemathesis' own list of cases: each bound, each type, each field left out, each other method."""
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    for operation in sender.operations():
        with subtests.test(operation.label):
            for case in sender.schema.iter_coverage_cases(
                operation, generation_modes=modes, generation_config=GenerationConfig(deterministic=True)
            ):
                sender.send(case)


def test_no_operation_works_without_a_key(sender: Sender, subtests: pytest.Subtests) -> None:
    closed = 0
    for operation in sender.operations():
        open_to_all = operation.path in ("/health", "/ready", "/metrics") or operation.path.startswith("/v0.4/backends")
        assert bool(operation.definition.raw.get("security")) != open_to_all
        if open_to_all:
            continue
        closed += 1

        @settings(FUZZ, max_examples=5)
        @given(case=operation.as_strategy())
        def run(case: Case) -> None:
            sender.send(case, headers={})
            assert sender.statuses[case.operation.label] == {401}

        with subtests.test(operation.label):
            run()
    assert closed > 20
