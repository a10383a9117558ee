"""Ends of jobs that their owner wants: cancel and delete, one or many."""

from __future__ import annotations

from fastapi import APIRouter, Request

from quantum_db.gateway.api.answers import JsonAnswer
from quantum_db.gateway.api.bodies import parse_object, read_body
from quantum_db.gateway.api.errors import ApiError
from quantum_db.gateway.api.finding import find_whole_job, job_ids
from quantum_db.gateway.api.schemas import answers, body_of
from quantum_db.gateway.api.service import Service
from quantum_db.gateway.ledger.states import JobState


def endings_router(service: Service) -> APIRouter:
    """PUT and DELETE below /v0.4/jobs."""
    router = APIRouter(tags=["Jobs"])

    @router.delete("/jobs", responses=answers(200, "JobsDeleted", 400, 401, 404, 413, 503),
                   openapi_extra=body_of("JobIds"), summary="Delete jobs")  # fmt: skip
    async def delete_jobs(request: Request) -> JsonAnswer:
        tenant = service.authenticate(request)
        ids = job_ids(parse_object(await read_body(request, service.settings.max_body_bytes)))
        await service.in_thread(service.jobs.delete_many, tenant.name, ids)
        return JsonAnswer({"ids": ids, "status": "deleted"})

    @router.put("/jobs/status/cancel", responses=answers(200, "JobsCanceled", 400, 401, 404, 413, 503),
                openapi_extra=body_of("JobIds"), summary="Cancel jobs")  # fmt: skip
    async def cancel_jobs(request: Request) -> JsonAnswer:
        tenant = service.authenticate(request)
        ids = job_ids(parse_object(await read_body(request, service.settings.max_body_bytes)))
        jobs = await service.in_thread(service.jobs.cancel_many, tenant.name, ids)
        canceled = [job.id for job in jobs if job.status is JobState.CANCELED]
        return JsonAnswer({"ids": canceled, "status": "canceled"})

    @router.delete("/jobs/{job_id}", responses=answers(200, "JobDeleted", 400, 401, 404, 503),
                   summary="Delete a job and its results")  # fmt: skip
    async def delete_job(request: Request, job_id: str) -> JsonAnswer:
        tenant = service.authenticate(request)
        job = await find_whole_job(service, tenant, job_id)
        await service.in_thread(service.jobs.delete, tenant.name, job.id)
        return JsonAnswer({"id": job.id, "status": "deleted"})

    @router.put("/jobs/{job_id}/status/cancel", responses=answers(200, "JobCanceled", 400, 401, 404, 409, 503),
                summary="Cancel a job")  # fmt: skip
    async def cancel_job(request: Request, job_id: str) -> JsonAnswer:
        tenant = service.authenticate(request)
        job = await find_whole_job(service, tenant, job_id)
        job = await service.in_thread(service.jobs.cancel, tenant.name, job.id)
        if job.status is not JobState.CANCELED:
            raise ApiError(409, f"job {job.id} is {job.status} already, so there is nothing to cancel")
        return JsonAnswer({"id": job.id, "status": job.status.value})

    return router
