"""From the body of POST /jobs to a job for the ledger: every check that does not need the ledger."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec

from quantum_db.circuits.ionq import WireLimits, WireProgram, read_input
from quantum_db.gateway.api.bodies import flag_of, object_of, parse_object, text_of, whole_of
from quantum_db.gateway.api.errors import ApiError
from quantum_db.gateway.ledger.identifiers import new_job_id
from quantum_db.gateway.ledger.records import NewJob, TaskRange
from quantum_db.gateway.targets import Target, TargetTable
from quantum_db.gateway.tenants import Tenant
from quantum_db.pricing import CircuitSize, PriceTable, mitigation_applies
from quantum_db.simulation.noise import noise_model

SINGLE = "ionq.circuit.v1"
MULTI = "ionq.multi-circuit.v1"
JOB_TYPES = (SINGLE, MULTI)
MAX_SHOTS = 1_000_000
DEFAULT_SHOTS = 100
MAX_NOISE_SEED = 2**32 - 1
INTENT_KEY = "qstore_intent"
_CIRCUITS_PER_TASK = 500
_BYTES_PER_TASK = 4 * 2**20


@dataclass(frozen=True)
class Submission:
    """A checked job and where it goes."""

    job: NewJob
    target: Target
    program: WireProgram


def read_submission(
    raw: bytes, tenant: Tenant, targets: TargetTable, prices: PriceTable, fail_with: str = ""
) -> Submission:
    """Check the body of POST /jobs and price the job.

    `fail_with` makes the job fail with that code (fault injection). Raises ApiError, WireError or ConfigurationError,
    all of which are answered with 400.
    """
    return checked_submission(parse_object(raw), raw, tenant, targets, prices, fail_with)


def checked_submission(
    content: dict[str, Any], raw: bytes, tenant: Tenant, targets: TargetTable, prices: PriceTable, fail_with: str = ""
) -> Submission:
    """As `read_submission`, for a body that is parsed already; `raw` are its bytes, whose digest tells repeats."""
    kind = _kind(content)
    target = targets.require(_required_text(content, "backend"))
    shots = whole_of(DEFAULT_SHOTS if content.get("shots") is None else content["shots"], "shots", 1, MAX_SHOTS)
    noise = _noise(content, target)
    settings = object_of(content, "settings")
    metadata = object_of(content, "metadata") or {}
    program = _program(kind, content, target)
    sizes = [CircuitSize(circuit.gates_1q, circuit.gates_2q) for circuit in program.circuits]
    quote = prices.quote(target.name, sizes, shots, mitigation_applies(target.name, shots, settings))
    job_id = new_job_id()
    forwarded = target.kind == "forwarded"
    job = NewJob(
        id=job_id,
        tenant=tenant.name,
        target=target.name,
        kind=kind,
        body=content["input"],
        body_digest=_digest(raw, job_id, quote.amount == 0 and _draws_at_random(target, noise)),
        n_circuits=program.n_circuits,
        shots=shots,
        qubits=program.qubits,
        gates_1q=program.gates_1q,
        gates_2q=program.gates_2q,
        metadata=metadata,
        name=text_of(content, "name"),
        noise=noise,
        settings=settings,
        details=_details(content, tenant, target, program, fail_with),
        session_id=text_of(content, "session_id", 36),
        intent_id=_intent(metadata),
        forwarded=forwarded,
        dry_run=flag_of(content, "dry_run"),
        price=quote.amount,
        reservation=max(quote.amount, quote.high),
        drawn_shots=shots * program.n_circuits if forwarded or model_of(target, noise) != "ideal" else 0,
        tasks=() if forwarded else _tasks(program.n_circuits, len(raw)),
    )
    return Submission(job, target, program)


def _kind(content: dict[str, Any]) -> str:
    kind = _required_text(content, "type")
    if kind not in JOB_TYPES:
        raise ApiError(
            400, f"the type {kind[:60]!r} cannot be run here; this gateway takes {SINGLE} and {MULTI}", ("type",)
        )
    return kind


def _required_text(content: dict[str, Any], name: str) -> str:
    value = text_of(content, name)
    if not value:
        raise ApiError(400, f"{name} is missing; add it to the body", (name,))
    return value


def _program(kind: str, content: dict[str, Any], target: Target) -> WireProgram:
    if not isinstance(content.get("input"), dict):
        raise ApiError(400, "input must be an object with the circuits", ("input",))
    check_storable(content["input"])
    return read_input(kind, content["input"], WireLimits(max_qubits=target.max_qubits, max_active=target.max_active))


def check_storable(given: object) -> None:
    """Raise ApiError 400 for JSON that is nested too deeply to be written again (hundreds of levels)."""
    try:
        msgspec.json.encode(given)
    except RecursionError as error:
        raise ApiError(
            400, "input is nested too deeply; a list of circuits has about five levels", ("input",)
        ) from error


def _noise(content: dict[str, Any], target: Target) -> dict[str, Any] | None:
    """The noise of the job as sent, checked against the models there are; None when none was asked for."""
    noise = object_of(content, "noise")
    if noise is None:
        if target.kind == "simulated" and target.noise is None:
            raise ApiError(
                400,
                f"the noise of {target.name} is not published, so it cannot be played; name another in noise.model",
                ("noise", "model"),
            )
        return None
    if target.kind == "forwarded":
        return noise  # whether a machine takes one is for the upstream service to say
    model = text_of(noise, "model", 60)
    if model is None and target.noise is None:
        raise ApiError(400, f"noise.model is missing; {target.name} has no published noise", ("noise", "model"))
    if model is not None:
        noise_model(model)
    if noise.get("seed") is not None:
        whole_of(noise["seed"], "noise.seed", 0, MAX_NOISE_SEED)
    return noise


def model_of(target: Target, noise: dict[str, Any] | None) -> str | None:
    """The noise model that a job runs with; None where a machine's own noise is the model."""
    return (noise or {}).get("model") or target.noise


def _draws_at_random(target: Target, noise: dict[str, Any] | None) -> bool:
    """Whether running the job twice gives two results."""
    return model_of(target, noise) != "ideal" and (noise or {}).get("seed") is None


def _digest(raw: bytes, job_id: str, always_new: bool) -> str:
    """What tells a repeated body. Unseeded random jobs that cost nothing are never joined: each shall draw anew."""
    return hashlib.sha256(job_id.encode() if always_new else raw).hexdigest()


def _intent(metadata: dict[str, Any]) -> str | None:
    return text_of(metadata, INTENT_KEY, 200) or None


def _tasks(n_circuits: int, n_bytes: int) -> tuple[TaskRange, ...]:
    """Tasks of at most 500 circuits and about 4 MB of the body each, as equal as can be."""
    count = max(-(-n_circuits // _CIRCUITS_PER_TASK), min(n_circuits, -(-n_bytes // _BYTES_PER_TASK)))
    edges = [n_circuits * i // count for i in range(count + 1)]
    return tuple(TaskRange(first, end - first) for first, end in pairwise(edges))


def _details(
    content: dict[str, Any], tenant: Tenant, target: Target, program: WireProgram, fail_with: str
) -> dict[str, Any]:
    """What the answers show beside the ledger's own columns, and what the workers are told."""
    found: dict[str, Any] = {"project_id": text_of(content, "project_id", 100), "gateset": program.circuits[0].gateset}
    if target.is_qpu and target.kind == "simulated":
        found["simulated"] = True
    if tenant.coalesce:
        found["coalesce"] = True
    if tenant.coalesce_sampled:
        found["coalesce_sampled"] = True
    if fail_with:
        found["fail_with"] = fail_with
    return found
