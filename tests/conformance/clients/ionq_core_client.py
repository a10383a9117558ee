"""ionq-core, IonQ's own client, against a gateway: one request as JSON in, the answers as JSON out."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

from ionq_core import APIError, AuthenticationError, IonQClient, NotFoundError, iter_jobs, wait_for_job
from ionq_core.api.backends import get_backend, get_backends
from ionq_core.api.characterizations import get_characterizations_for_backend
from ionq_core.api.default import (
    cancel_job,
    create_job,
    create_session,
    delete_job,
    end_session,
    estimate_job_cost,
    get_job,
    get_job_artifact,
    get_job_cost,
    get_job_probabilities,
    get_session_jobs,
)
from ionq_core.api.whoami import get_whoami
from ionq_core.models import CircuitJobCreationPayload, CreateSessionRequest, JSONMultiCircuitJob

Answer = Any
_TWO = {"swap": "targets", "xx": "targets", "yy": "targets", "zz": "targets"}


class Scenarios:
    """Every feature of the client, each answering plain JSON; bit strings have qubit 0 first."""

    def __init__(self, request: dict[str, Any]) -> None:
        warnings.simplefilter("ignore", UserWarning)  # it warns that plain http carries the key in clear text
        self.request = request
        self.client = IonQClient(base_url=request["url"] + "/v0.4")

    def whoami(self) -> Answer:
        return get_whoami.sync(client=self.client).to_dict()

    def backends(self) -> Answer:
        named = {backend.backend: backend.qubits for backend in get_backends.sync(client=self.client)}
        one = get_backend.sync("simulator", client=self.client)
        pages = get_characterizations_for_backend.sync_detailed("qpu.forte-1", client=self.client)
        return {"qubits": named, "simulator": one.qubits, "characterizations": pages.status_code}

    def single(self) -> Answer:
        return {name: self._run(self._single(form), form["qubits"]) for name, form in self.request["circuits"].items()}

    def native(self) -> Answer:
        form = self.request["native"]
        return self._run(self._single(form, "native"), form["qubits"])

    def batch(self) -> Answer:
        forms = self.request["circuits"]
        job = self._create(self._batch())
        done = wait_for_job(self.client, job.id, poll_interval=0.05)
        found = {}
        for child, (name, form) in zip(done.child_job_ids, forms.items(), strict=True):
            found[name] = self._probabilities(child, form["qubits"])
        return found

    def noise(self) -> Answer:
        payload = self._single(self.request["circuits"]["ladder"]) | {
            "noise": {"model": "aria-1", "seed": 11},
            "shots": 4000,
        }
        share = self._run(payload, 3)
        return {"counts": {bits: round(p * 4000) for bits, p in share.items()}}

    def artifacts(self) -> Answer:
        """The later form of results: each format an artifact of its own."""
        job = self._create(CircuitJobCreationPayload.from_dict(self._single(self.request["circuits"]["ladder"])))
        done = wait_for_job(self.client, job.id, poll_interval=0.05).to_dict()
        formats = {name: entry["id"] for name, entry in done["results"].items() if "id" in entry}
        answers = {
            name: get_job_artifact.sync_detailed(job.id, artifact, client=self.client).status_code
            for name, artifact in formats.items()
        }
        return {name: int(code) for name, code in answers.items()}

    def cost(self) -> Answer:
        payload = self._single(self.request["circuits"]["ladder"]) | {"backend": "qpu.forte-1", "shots": 1000}
        dry = self._create(CircuitJobCreationPayload.from_dict(payload | {"dry_run": True}))
        wait_for_job(self.client, dry.id, poll_interval=0.05)
        told = get_job_cost.sync(dry.id, client=self.client).to_dict()
        estimate = estimate_job_cost.sync_detailed(
            client=self.client, backend="qpu.forte-1", qubits=3, shots=1000, field_1q_gates=40, field_2q_gates=12
        )
        return {"dry_run": told, "estimate": json.loads(estimate.content)}

    def session(self) -> Answer:
        body = CreateSessionRequest.from_dict({"backend": "qpu.forte-1", "settings": {"job_count_limit": 1}})
        session = create_session.sync(client=self.client, body=body)
        payload = self._single(self.request["circuits"]["ladder"]) | {
            "backend": "qpu.forte-1",
            "shots": 100,
            "session_id": session.id,
        }
        self._create(CircuitJobCreationPayload.from_dict(payload))
        try:
            self._create(CircuitJobCreationPayload.from_dict(payload | {"shots": 101}))
            second = 201
        except APIError as error:
            second = error.status_code
        listed = get_session_jobs.sync(session.id, client=self.client)
        end_session.sync_detailed(session.id, client=self.client)
        return {"second": second, "jobs": len(listed.jobs)}

    def cancel(self) -> Answer:
        job = self._create(CircuitJobCreationPayload.from_dict(self._single(self.request["circuits"]["ladder"])))
        cancel_job.sync(job.id, client=self.client)
        return {"after": get_job.sync(job.id, client=self.client).status}

    def delete(self) -> Answer:
        job = self._create(CircuitJobCreationPayload.from_dict(self._single(self.request["circuits"]["ladder"])))
        wait_for_job(self.client, job.id, poll_interval=0.05)
        delete_job.sync(job.id, client=self.client)
        try:
            get_job.sync(job.id, client=self.client)
        except NotFoundError as error:
            return error.status_code
        return "still there"

    def submit(self) -> Answer:
        """Leave a batch behind for another process."""
        return self._create(self._batch()).id

    def retrieve(self) -> Answer:
        done = wait_for_job(self.client, self.request["job_id"], poll_interval=0.05)
        forms = self.request["circuits"].items()
        pairs = zip(done.child_job_ids, forms, strict=True)
        return {name: self._probabilities(child, form["qubits"]) for child, (name, form) in pairs}

    def listed(self) -> Answer:
        """All jobs through the client's own pages, two at a time."""
        return [job.id for job in iter_jobs(self.client, limit=2)]

    def errors(self) -> Answer:
        wrong = IonQClient(api_key="wrong", base_url=self.request["url"] + "/v0.4", max_retries=0)
        try:
            get_whoami.sync(client=wrong)
        except AuthenticationError as error:
            return [type(error).__name__, error.status_code]
        return "accepted"

    def _single(self, form: dict[str, Any], gateset: str = "qis") -> dict[str, Any]:
        body = {"gateset": gateset, "qubits": form["qubits"], "circuit": [_gate(*gate) for gate in form["gates"]]}
        return {"type": "ionq.circuit.v1", "backend": "simulator", "shots": 100, "input": body}

    def _batch(self) -> JSONMultiCircuitJob:
        circuits = [
            {"name": name, "qubits": form["qubits"], "circuit": [_gate(*gate) for gate in form["gates"]]}
            for name, form in self.request["circuits"].items()
        ]
        return JSONMultiCircuitJob.from_dict(
            {
                "type": "ionq.multi-circuit.v1",
                "backend": "simulator",
                "shots": 100,
                "input": {"gateset": "qis", "circuits": circuits},
            }
        )

    def _create(self, body: Any) -> Any:
        answer = create_job.sync_detailed(client=self.client, body=body)
        if answer.parsed is None or answer.status_code != 201:
            raise SystemExit(f"create answered {answer.status_code}: {answer.content!r}")
        return answer.parsed

    def _run(self, payload: dict[str, Any], n_qubits: int) -> dict[str, float]:
        job = self._create(CircuitJobCreationPayload.from_dict(payload))
        wait_for_job(self.client, job.id, poll_interval=0.05)
        return self._probabilities(job.id, n_qubits)

    def _probabilities(self, job_id: str, n_qubits: int) -> dict[str, float]:
        found = get_job_probabilities.sync(job_id, client=self.client)
        return {format(int(key), f"0{n_qubits}b")[::-1]: p for key, p in found.to_dict().items()}


def _gate(name: str, wires: list[int], angle: Any = None) -> dict[str, Any]:
    if name == "cnot":
        return {"gate": "cnot", "control": wires[0], "target": wires[1]}
    if name == "ms":
        return {"gate": "ms", "targets": wires, "phases": angle[:2], "angle": angle[2]}
    if name in ("gpi", "gpi2"):
        return {"gate": name, "target": wires[0], "phase": angle}
    place: dict[str, Any] = {"targets": wires} if name in _TWO else {"target": wires[0]}
    return {"gate": name, **place, **({} if angle is None else {"rotation": angle})}


def main() -> None:
    """Run the scenarios that the request names."""
    request = json.load(sys.stdin)
    scenarios = Scenarios(request)
    json.dump({name: getattr(scenarios, name)() for name in request["scenarios"]}, sys.stdout)


if __name__ == "__main__":
    main()
