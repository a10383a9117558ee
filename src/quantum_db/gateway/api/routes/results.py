"""Results of jobs: probabilities, histograms, shots, artifacts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request

from quantum_db.gateway.api.answers import JsonAnswer
from quantum_db.gateway.api.errors import ApiError
from quantum_db.gateway.api.finding import find_job
from quantum_db.gateway.api.formats import (
    HISTOGRAM,
    PROBABILITIES,
    RESULT_FORMATS,
    SHOTS,
    Outcome,
    format_of_artifact,
    outcome_seed,
)
from quantum_db.gateway.api.presentation import circuit_of
from quantum_db.gateway.api.schemas import answers
from quantum_db.gateway.api.service import Service
from quantum_db.gateway.api.submission import MULTI
from quantum_db.gateway.ledger.identifiers import child_id
from quantum_db.gateway.ledger.records import Job
from quantum_db.gateway.ledger.states import JobState

_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def results_router(service: Service) -> APIRouter:
    """Routes for the results of a job. Every one answers for single jobs, for whole multi-circuit jobs and for their
    circuits alike: cirq-ionq chooses the address by what it submitted last, not by what it reads."""
    router = APIRouter(prefix="/jobs/{job_id}", tags=["Results"])

    @router.get("/results/probabilities", responses=answers(200, "Probabilities", 400, 401, 404, 503),
                summary="Probabilities by outcome; of a multi-circuit job by circuit")  # fmt: skip
    @router.get("/results/probabilities/aggregated", responses=answers(200, "Probabilities", 400, 401, 404, 503),
                summary="The same as /results/probabilities")  # fmt: skip
    async def probabilities(request: Request, job_id: str, sharpen: str | None = None) -> JsonAnswer:
        service.authenticate(request)  # a stranger is told nothing but that
        _check_sharpen(sharpen)
        return await _written(service, request, job_id, RESULT_FORMATS[PROBABILITIES].write)

    @router.get("/results/histogram", responses=answers(200, "Histogram", 401, 404, 503),
                summary="Counts by outcome; of a multi-circuit job by circuit")  # fmt: skip
    async def histogram(request: Request, job_id: str) -> JsonAnswer:
        return await _written(service, request, job_id, RESULT_FORMATS[HISTOGRAM].write, counts=True)

    @router.get("/results/shots", responses=answers(200, "Shots", 401, 404, 503),
                summary="The outcome of every shot of one circuit")  # fmt: skip
    async def shots(request: Request, job_id: str) -> JsonAnswer:
        return await _written(service, request, job_id, RESULT_FORMATS[SHOTS].write, counts=True, many=False)

    @router.get("/artifacts/{artifact}", responses=answers(200, "Artifact", 401, 404, 503),
                summary="Results in one of the forms that the job lists")  # fmt: skip
    async def artifact_content(request: Request, job_id: str, artifact: str) -> JsonAnswer:
        tenant = service.authenticate(request)
        job, index = await find_job(service, tenant, job_id)
        multi = job.kind == MULTI and index is None
        shown_id = job.id if index is None else child_id(job.id, index)
        formats = [row for row in RESULT_FORMATS.values() if row.multi == multi]
        found = format_of_artifact(shown_id, artifact, formats)
        return await _written(service, request, job_id, found.write, counts=not found.of_probabilities)

    return router


async def _written(
    service: Service,
    request: Request,
    job_id: str,
    write: Callable[[Outcome], Any],
    counts: bool = False,
    many: bool = True,
) -> JsonAnswer:
    tenant = service.authenticate(request)
    job, index = await find_job(service, tenant, job_id)
    _check_completed(job)
    multi = job.kind == MULTI and index is None
    if multi and not many:
        raise ApiError(404, f"job {job.id} has {job.n_circuits} circuits; read the shots of each child job")

    def make() -> tuple[Any, bool]:
        outcomes = _outcomes(service, job, index, widths=not multi)
        sampled = counts and outcomes[0].sampled_here
        if not multi:
            return write(outcomes[0]), sampled
        return {child_id(job.id, k): write(outcome) for k, outcome in enumerate(outcomes)}, sampled

    content, sampled = await service.in_thread(make)
    headers = {"X-QStore-Sampled": "true" if sampled else "false"} if counts else None
    return JsonAnswer(content, headers=headers)


def _outcomes(service: Service, job: Job, index: int | None, widths: bool) -> list[Outcome]:
    """The results of one circuit or of all; their widths are only looked up where they are needed."""
    results = service.jobs.results(job.tenant, job.id, index)
    qubits = job.qubits
    if widths and index is not None:
        qubits = circuit_of(job, service.jobs.body(job.id), index).qubits
    given = (job.noise or {}).get("seed")
    return [
        Outcome(results.kind, values, job.shots, qubits, outcome_seed(job.id, k, given), job.forwarded)
        for k, values in enumerate(results.circuits, start=index or 0)
    ]


def _check_completed(job: Job) -> None:
    if job.dry_run:
        raise ApiError(404, f"job {job.id} was a dry run and has no results; see its stats and /jobs/{job.id}/cost")
    if job.status is not JobState.COMPLETED:
        why = f" ({job.failure.code}: {job.failure.message})" if job.failure else ""
        raise ApiError(404, f"job {job.id} is {job.status}{why}; only a completed job has results")


def _check_sharpen(value: str | None) -> None:
    """`sharpen` changes how a machine's error-mitigated runs are combined; no result here has such runs."""
    if value is not None and value.lower() not in _TRUTH:
        raise ApiError(400, f"sharpen is {value[:20]!r}; send true or false", ("sharpen",))
