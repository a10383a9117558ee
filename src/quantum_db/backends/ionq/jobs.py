"""Jobs as IonQ's API writes them: the body of a submission, and what is read from a job's answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from quantum_db.backends.ionq.options import SIMULATOR, IonQOptions
from quantum_db.backends.remote import CircuitJob, Intent, JobState, RemoteStatus
from quantum_db.errors import LostJobError

INTENT_KEY = "qstore_intent"
"""The key in a job's metadata that holds the intent id."""
_STATES: dict[str, JobState] = {
    "submitted": "waiting",
    "ready": "waiting",
    "started": "running",
    "running": "running",
    "completed": "completed",
    "failed": "failed",
    "canceled": "canceled",
}
_LARGEST_SEED = 2**31 - 1


def job_name(intent_id: str) -> str:
    """The name of a job: IonQ takes letters, digits, spaces, hyphens and underscores."""
    return re.sub(r"[^A-Za-z0-9 _-]", "-", intent_id)


def job_body(
    job: CircuitJob, gates: Sequence[Sequence[Mapping[str, Any]]], target: str, options: IonQOptions, intent: Intent
) -> bytes:
    """The body of POST /jobs. `gates` are those of each circuit in IonQ's JSON."""
    gateset = "native" if options.native else "qis"
    head = {"gateset": gateset, "qubits": max(circuit.n_qubits for circuit in job.circuits)}
    single = len(gates) == 1
    inner = {"circuit": gates[0]} if single else {"circuits": [{"circuit": each} for each in gates]}
    settings: dict[str, Any] = {"error_mitigation": {"debiasing": options.debiasing}}
    optimization = 0 if job.as_written else options.optimization
    if optimization is not None:
        settings["compilation"] = {"opt": optimization}
    body: dict[str, Any] = {
        "type": "ionq.circuit.v1" if single else "ionq.multi-circuit.v1",
        "backend": target,
        "shots": job.stated_shots,
        "name": job_name(intent.intent_id),
        "metadata": {INTENT_KEY: intent.intent_id},
        "input": head | inner,
        "settings": settings,
    }
    if target == SIMULATOR:
        body["noise"] = {"model": options.noise_model}
        if options.noise_model != "ideal":
            body["noise"]["seed"] = 1 + job.seed % _LARGEST_SEED
    if options.session_id:
        body["session_id"] = options.session_id
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()


def carries(answer: Mapping[str, Any], intent_id: str) -> bool:
    """Whether a job of a listing is the one that was submitted with `intent_id` (and not a circuit of one)."""
    if answer.get("parent_job_id"):
        return False
    metadata = answer.get("metadata") or {}
    return metadata.get(INTENT_KEY) == intent_id or answer.get("name") == job_name(intent_id)


def status_of(answer: Mapping[str, Any]) -> RemoteStatus:
    """How a job stands; LostJobError for a word that is not in the API's list."""
    word = str(answer.get("status"))
    if word not in _STATES:
        raise LostJobError(
            f"job {answer.get('id')} has the status {word[:40]!r}, which API v0.4 does not have (it was deleted, "
            f"or the API has changed); what became of it has to be looked up at the provider"
        )
    failure = answer.get("failure") or {}
    message = str(failure.get("message") or failure.get("error") or "")[:300]
    return RemoteStatus(_STATES[word], str(failure.get("code") or ""), message)


def time_of(answer: Mapping[str, Any], name: str) -> datetime | None:
    """A time of a job, None where it has none."""
    stated = answer.get(name)
    if not isinstance(stated, str) or not stated:
        return None
    moment = datetime.fromisoformat(stated)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def seconds_between(answer: Mapping[str, Any], first: str, second: str) -> float | None:
    """Seconds between two times of a job, None where it lacks one."""
    begin, end = time_of(answer, first), time_of(answer, second)
    return None if begin is None or end is None else max(0.0, (end - begin).total_seconds())
