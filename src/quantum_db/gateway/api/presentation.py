"""Jobs as IonQ's API shows them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from quantum_db.circuits.ionq import WireLimits, read_input
from quantum_db.gateway.api.answers import as_text
from quantum_db.gateway.api.formats import RESULT_FORMATS, artifact_id
from quantum_db.gateway.api.submission import MULTI, SINGLE
from quantum_db.gateway.ledger.identifiers import child_id
from quantum_db.gateway.ledger.records import Job
from quantum_db.gateway.ledger.states import JobState
from quantum_db.gateway.targets import MACHINES

PREFIX = "/v0.4"
_NAMESPACE = uuid.UUID("6f1c1f0e-3c52-4f0a-9d0e-3a6f5c5f0a11")
_ANY_SIZE = WireLimits(max_circuits=10**6, max_gates=10**9)


def tenant_id(tenant: str) -> str:
    """The UUID under which a tenant appears where IonQ shows users, keys and organizations."""
    return str(uuid.uuid5(_NAMESPACE, tenant))


def is_exact(job: Job) -> bool:
    """Whether the job's results are exact probabilities: simulated here, and without noise."""
    return not job.forwarded and noise_of(job)["model"] == "ideal"


def noise_of(job: Job) -> dict[str, Any]:
    """The noise model and seed that a simulated job runs with."""
    machine = MACHINES.get(job.target)
    given = {name: value for name, value in (job.noise or {}).items() if value is not None}
    return {"model": machine.noise if machine is not None else None, **given}


def job_answer(job: Job, skew_s: float = 0.0) -> dict[str, Any]:
    """The whole job as GET /jobs/{id} shows it; `skew_s` seconds are added to its times."""
    started, completed = job.started_at, job.completed_at
    duration = round((completed - started).total_seconds() * 1000) if started and completed else None
    answer: dict[str, Any] = {
        "id": job.id,
        "status": job.status.value,
        "type": job.kind,
        "backend": job.target,
        "dry_run": job.dry_run,
        "submitter_id": tenant_id(job.tenant),
        "project_id": job.details.get("project_id"),
        "parent_job_id": None,
        "child_job_ids": _children(job),
        "session_id": job.session_id,
        "metadata": job.metadata if job.metadata is not None else {},
        "name": job.name,
        "submitted_at": as_text(job.submitted_at, skew_s),
        "started_at": as_text(started, skew_s),
        "completed_at": as_text(completed, skew_s),
        "predicted_wait_time_ms": None,
        "predicted_execution_duration_ms": None,
        "execution_duration_ms": duration,
        "shots": job.shots,
        "failure": _failure(job),
        "settings": dict(job.settings or {}),
        "stats": _stats(job.qubits, job.n_circuits, job.gates_1q, job.gates_2q),
        "results": _results(job.id, job, multi=job.kind == MULTI),
        "output": _output(job),
        "cost": _cost(job),
    }
    if not job.forwarded:
        answer["noise"] = noise_of(job)
    return answer


@dataclass(frozen=True)
class Circuit:
    """One circuit of a stored job: its declared width, its gates as billed, and its name."""

    qubits: int
    gates_1q: int
    gates_2q: int
    name: str | None


def circuit_of(job: Job, body: Mapping[str, Any], index: int) -> Circuit:
    """Circuit number `index` of a job, whose `input` is `body`."""
    if job.kind == SINGLE:
        return Circuit(job.qubits, job.gates_1q, job.gates_2q, job.name)
    entry = body["circuits"][index]
    inherited = {name: body[name] for name in ("gateset", "qubits") if name in body}
    only = read_input(MULTI, {**inherited, "circuits": [entry]}, _ANY_SIZE).circuits[0]
    return Circuit(only.qubits, only.gates_1q, only.gates_2q, only.name)


def child_answer(job: Job, index: int, circuit: Circuit, skew_s: float = 0.0) -> dict[str, Any]:
    """Circuit `index` of a multi-circuit job, shown as a job of its own."""
    own_id = child_id(job.id, index)
    answer = job_answer(job, skew_s)
    answer.update(
        id=own_id,
        type=SINGLE,
        parent_job_id=job.id,
        child_job_ids=None,
        name=circuit.name,
        stats=_stats(circuit.qubits, 1, circuit.gates_1q, circuit.gates_2q),
        results=_results(own_id, job, multi=False),
    )
    del answer["cost"]  # only the whole job has a price
    return answer


def _children(job: Job) -> list[str] | None:
    return [child_id(job.id, k) for k in range(job.n_circuits)] if job.kind == MULTI else None


def _stats(qubits: int, circuits: int, gates_1q: int, gates_2q: int) -> dict[str, Any]:
    return {"qubits": qubits, "circuits": circuits, "gate_counts": {"1q": gates_1q, "2q": gates_2q}}


def _failure(job: Job) -> dict[str, str] | None:
    if job.failure is None:
        return None
    # `message` is IonQ's word, `error` the one that cirq-ionq reads.
    return {"code": job.failure.code, "message": job.failure.message, "error": job.failure.message}


def _results(shown_id: str, job: Job, multi: bool) -> dict[str, Any] | None:
    if job.status is not JobState.COMPLETED or job.dry_run:
        return None
    base = f"{PREFIX}/jobs/{shown_id}/results"
    found: dict[str, Any] = {"probabilities": {"url": f"{base}/probabilities" + ("/aggregated" if multi else "")}}
    if not job.forwarded and not multi:
        found["histogram"] = {"url": f"{base}/histogram"}
        found["shots"] = {"url": f"{base}/shots"}
    for result in RESULT_FORMATS.values():
        if result.multi == multi and (result.of_probabilities or not job.forwarded):
            found[result.name] = {
                "id": artifact_id(shown_id, result.name),
                "format": result.name,
                "media_type": "application/json",
            }
            if not result.of_probabilities:
                found[result.name]["sampled"] = is_exact(job)
    return found


def _output(job: Job) -> dict[str, Any]:
    output: dict[str, Any] = {}
    if job.details.get("simulated"):
        output["simulated"] = True
    if job.upstream_id is not None:
        output["upstream_job_id"] = job.upstream_id
    return output


def _cost(job: Job) -> dict[str, Any]:
    def text(amount: Decimal | None) -> str | None:
        return None if amount is None else format(amount, "f")

    return {"estimated": text(job.price), "reserved": text(job.reserved), "charged": text(job.cost), "unit": "usd"}
