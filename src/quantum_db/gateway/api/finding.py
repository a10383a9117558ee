"""From the ids in a request to jobs of the tenant that asks."""

from __future__ import annotations

from typing import Any

from quantum_db.gateway.api.errors import ApiError
from quantum_db.gateway.api.service import Service
from quantum_db.gateway.api.submission import MULTI
from quantum_db.gateway.ledger.errors import JobNotFoundError
from quantum_db.gateway.ledger.identifiers import parse_job_id
from quantum_db.gateway.ledger.records import Job
from quantum_db.gateway.tenants import Tenant

_MOST_IDS = 1000


async def find_job(service: Service, tenant: Tenant, text: str) -> tuple[Job, int | None]:
    """The job with the id `text`, and which of its circuits is meant (None: the job itself).

    ApiError 404 when this tenant has no such job; whether another one has it is not told.
    """
    try:
        job_id, index = parse_job_id(text)
        job = await service.in_thread(service.jobs.get, tenant.name, job_id)
    except (ValueError, JobNotFoundError) as error:
        raise _unknown(text) from error
    if index is not None and (job.kind != MULTI or index >= job.n_circuits):
        raise _unknown(text)
    return job, index


async def find_whole_job(service: Service, tenant: Tenant, job_id: str) -> Job:
    """The job with the id `job_id`; ApiError 404 when there is none, 400 when it is one circuit of a job."""
    job, index = await find_job(service, tenant, job_id)
    if index is not None:
        raise ApiError(400, f"{job_id} is one circuit of the job {job.id}; do this to the whole job")
    return job


def job_ids(content: dict[str, Any]) -> list[str]:
    """The ids in the body of a bulk request, each once; ApiError 400 for no list of ids, 404 for no id."""
    given = content.get("ids")
    if not isinstance(given, list) or not 1 <= len(given) <= _MOST_IDS:
        raise ApiError(400, f"ids must be a list of 1 to {_MOST_IDS} ids of jobs", ("ids",))
    found = []
    for position, text in enumerate(given):
        if not isinstance(text, str):
            raise ApiError(400, "an id of a job is a text", ("ids", position))
        try:
            job_id, index = parse_job_id(text)
        except ValueError as error:
            raise _unknown(text) from error
        if index is not None:
            raise ApiError(
                400, f"{text} is one circuit of the job {job_id}; do this to the whole job", ("ids", position)
            )
        found.append(job_id)
    return list(dict.fromkeys(found))


def _unknown(text: str) -> ApiError:
    return ApiError(404, f"there is no job {text[:60]!r}")
