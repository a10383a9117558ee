"""Jobs: submit, look, list, clone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request

from quantum_db.gateway.api.answers import JsonAnswer, for_client
from quantum_db.gateway.api.bodies import optional_object, read_body, whole_of
from quantum_db.gateway.api.errors import ApiError
from quantum_db.gateway.api.finding import find_job, find_whole_job
from quantum_db.gateway.api.presentation import child_answer, circuit_of, job_answer, tenant_id
from quantum_db.gateway.api.schemas import answers, body_of
from quantum_db.gateway.api.service import Service
from quantum_db.gateway.api.submission import Submission, checked_submission, read_submission
from quantum_db.gateway.ledger.errors import JobNotFoundError, QuotaError
from quantum_db.gateway.ledger.identifiers import parse_job_id
from quantum_db.gateway.ledger.records import Job, JobFilter, NewJob
from quantum_db.gateway.ledger.states import JobState
from quantum_db.gateway.tenants import Tenant

_LONGEST_PAGE = 1000
_DEFAULT_PAGE = 25
_OTHER_WORDS = {"queued": (JobState.SUBMITTED, JobState.READY), "running": (JobState.STARTED,)}
_CLONED = ("name", "metadata", "shots", "backend", "session_id", "settings", "dry_run", "noise")


def jobs_router(service: Service) -> APIRouter:
    """POST and GET below /v0.4/jobs, and the jobs of a session."""
    router = APIRouter(tags=["Jobs"])

    @router.post("/jobs", status_code=201, responses=answers(201, "JobCreated", 400, 401, 402, 404, 413, 429, 503),
                 openapi_extra=body_of("JobSubmission"), summary="Submit a job")  # fmt: skip
    async def create_job(request: Request) -> JsonAnswer:
        tenant = service.authenticate(request)
        raw = await read_body(request, service.settings.max_body_bytes)
        fail_with = getattr(request.state, "fail_with", "")
        read = partial(read_submission, raw, tenant, service.targets, service.prices, fail_with)
        return await _accept(service, tenant, read)

    @router.get("/jobs", responses=answers(200, "JobList", 400, 401, 404, 413, 503),
                summary="List jobs, newest first")  # fmt: skip
    async def list_jobs(
        request: Request,
        ids: Annotated[list[str] | None, Query(description="only these; repeated or separated by commas")] = None,
        status: Annotated[list[str] | None, Query(description="only in these states")] = None,
        target: Annotated[str | None, Query(description="only of this backend")] = None,
        backend: Annotated[str | None, Query(description="the same as target")] = None,
        session_id: str | None = None,
        parent_job_id: Annotated[str | None, Query(description="the children of this job")] = None,
        submitter_id: str | None = None,
        name: Annotated[str | None, Query(description="only with this name")] = None,
        limit: Annotated[str | None, Query(description="jobs per page, 1 to 1000; also as JSON body")] = None,
        next_: Annotated[str | None, Query(alias="next", description="`next` of the page before")] = None,
    ) -> JsonAnswer:
        tenant = service.authenticate(request)
        size = await _page_size(service, request, limit)
        if submitter_id is not None and submitter_id != tenant_id(tenant.name):
            return JsonAnswer(for_client({"jobs": [], "next": None}, request))
        if parent_job_id is not None:
            return JsonAnswer(for_client(await _children(service, tenant, parent_job_id, size, next_), request))
        which = JobFilter(
            ids=_ids(ids), statuses=_states(status), target=target or backend, session_id=session_id, name=name
        )
        return await _listing(service, request, tenant, which, size, next_)

    @router.get("/sessions/{session_id}/jobs", responses=answers(200, "JobList", 400, 401, 404, 413, 503),
                summary="List the jobs of a session")  # fmt: skip
    async def session_jobs(
        request: Request,
        session_id: str,
        status: list[str] | None = Query(None),  # noqa: B008
        limit: str | None = None,
        next_: Annotated[str | None, Query(alias="next")] = None,
    ) -> JsonAnswer:
        tenant = service.authenticate(request)
        size = await _page_size(service, request, limit)
        await service.in_thread(service.sessions.get, tenant.name, session_id)
        which = JobFilter(statuses=_states(status), session_id=session_id)
        return await _listing(service, request, tenant, which, size, next_)

    @router.get("/jobs/{job_id}", responses=answers(200, "Job", 401, 404, 503),
                summary="Look at a job; the answer may wait until the job ends")  # fmt: skip
    async def get_job(request: Request, job_id: str) -> JsonAnswer:
        tenant = service.authenticate(request)
        job, index = await find_job(service, tenant, job_id)
        if not job.status.terminal:
            first = service.fresh.first_look(job.id)
            hold_s = service.settings.first_look_s if first else service.settings.long_poll_s
            await service.watcher.wait(job.id, min(hold_s, service.settings.long_poll_s))
            job, index = await find_job(service, tenant, job_id)
        return JsonAnswer(for_client(await _shown(service, job, index), request))

    @router.post("/jobs/{job_id}/clone", status_code=201,
                 responses=answers(201, "JobCreated", 400, 401, 402, 404, 413, 429, 503),
                 openapi_extra=body_of("JobClone", required=False), summary="Submit a job again, changed")  # fmt: skip
    async def clone_job(request: Request, job_id: str) -> JsonAnswer:
        tenant = service.authenticate(request)
        changes = optional_object(await read_body(request, service.settings.max_body_bytes))
        job = await find_whole_job(service, tenant, job_id)
        content = {**_as_submitted(job), **{name: changes[name] for name in _CLONED if name in changes}}
        content["input"] = await service.in_thread(service.jobs.body, job.id)

        def read() -> Submission:
            raw = msgspec.json.encode([job.id, content])
            return checked_submission(content, raw, tenant, service.targets, service.prices)

        return await _accept(service, tenant, read)

    return router


async def _accept(service: Service, tenant: Tenant, read: Callable[[], Submission]) -> JsonAnswer:
    def accept() -> tuple[Job, bool]:
        submission = read()
        new = submission.job
        if not service.settings.joins_intents:
            new = replace(new, intent_id=None)
        try:
            accepted = service.jobs.accept(new, tenant.limits)
        except QuotaError as error:
            if _shots_are_used_up(service, tenant, new):  # waiting does not help, so the client must not try again
                raise ApiError(402, str(error), error="QuotaExhaustedError") from error
            raise
        if service.programs is not None and accepted.created and new.tasks and not new.dry_run:
            service.programs.keep(new.id, submission.program)
        return accepted.job, accepted.created

    job, created = await service.in_thread(accept)
    if created:
        service.fresh.add(job.id)
        service.wake_workers()
        service.metrics.count("qstore_gateway_circuits_total", (job.target,), job.n_circuits)
    else:
        service.metrics.count("qstore_gateway_jobs_joined_total")
    return JsonAnswer({"id": job.id, "status": job.status.value, "session_id": job.session_id}, 201)


def _shots_are_used_up(service: Service, tenant: Tenant, new: NewJob) -> bool:
    limit = tenant.limits.shots
    return limit is not None and service.accounts.tenant(tenant.name).shots + new.drawn_shots > limit


async def _shown(service: Service, job: Job, index: int | None) -> dict[str, Any]:
    if index is None:
        return job_answer(job, service.skew_s)
    body = await service.in_thread(service.jobs.body, job.id)
    return child_answer(job, index, circuit_of(job, body, index), service.skew_s)


async def _listing(
    service: Service, request: Request, tenant: Tenant, which: JobFilter, size: int, after: str | None
) -> JsonAnswer:
    try:
        page = await service.in_thread(service.jobs.list, tenant.name, which, size, after)
    except (ValueError, JobNotFoundError) as error:
        raise ApiError(400, "next is no cursor of this list; send the `next` of the page before") from error
    jobs = [for_client(job_answer(job, service.skew_s), request) for job in page.jobs]
    return JsonAnswer(for_client({"jobs": jobs, "next": page.next}, request))


async def _children(service: Service, tenant: Tenant, parent: str, size: int, after: str | None) -> dict[str, Any]:
    """A page of the circuits of a multi-circuit job, each as a job; empty for a job without children."""
    job, index = await find_job(service, tenant, parent)
    if index is not None or job_answer(job)["child_job_ids"] is None:
        return {"jobs": [], "next": None}
    first = 0 if after is None else whole_of(after, "next", 0, job.n_circuits)
    body = await service.in_thread(service.jobs.body, job.id)
    end = min(job.n_circuits, first + size)

    def shown() -> list[dict[str, Any]]:
        return [child_answer(job, k, circuit_of(job, body, k), service.skew_s) for k in range(first, end)]

    return {"jobs": await service.in_thread(shown), "next": str(end) if end < job.n_circuits else None}


async def _page_size(service: Service, request: Request, limit: str | None) -> int:
    """The page size from the query or, as cirq-ionq sends it, from a JSON body."""
    if limit is None:
        body = await read_body(request, service.settings.max_body_bytes)
        given = await asyncio.to_thread(optional_object, body) if len(body) > 2**16 else optional_object(body)
        return whole_of(given.get("limit", _DEFAULT_PAGE), "limit", 1, _LONGEST_PAGE)
    return whole_of(limit, "limit", 1, _LONGEST_PAGE)


def _ids(given: Sequence[str] | None) -> list[str] | None:
    """The job ids of a filter; what is no id of a job (or the id of a child) is left out, as it names no job here."""
    if given is None:
        return None
    found = []
    for text in (part.strip() for item in given for part in item.split(",")):
        try:
            job_id, index = parse_job_id(text)
        except ValueError:
            continue
        if index is None:
            found.append(job_id)
    return found


def _states(given: Sequence[str] | None) -> list[JobState] | None:
    if given is None:
        return None
    states: list[JobState] = []
    for word in (part.strip() for item in given for part in item.split(",")):
        if word in _OTHER_WORDS:
            states += _OTHER_WORDS[word]
        elif word in JobState.__members__.values():
            states.append(JobState(word))
        else:
            known = ", ".join(state.value for state in JobState)
            raise ApiError(400, f"unknown status {word[:40]!r}; known: {known}", ("status",))
    return states


def _as_submitted(job: Job) -> dict[str, Any]:
    """The fields of a job as they would be submitted again, without the input. An intent id is not repeated."""
    metadata = {name: value for name, value in (job.metadata or {}).items() if name != "qstore_intent"}
    return {
        "type": job.kind,
        "backend": job.target,
        "shots": job.shots,
        "name": job.name,
        "metadata": metadata,
        "noise": job.noise,
        "settings": job.settings,
        "session_id": job.session_id,
        "project_id": job.details.get("project_id"),
        "dry_run": job.dry_run,
    }
