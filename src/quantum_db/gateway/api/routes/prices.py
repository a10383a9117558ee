"""What jobs cost: estimates beforehand, and the cost of a job."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from quantum_db.gateway.api.answers import JsonAnswer, as_text
from quantum_db.gateway.api.bodies import whole_of
from quantum_db.gateway.api.errors import ApiError
from quantum_db.gateway.api.finding import find_job
from quantum_db.gateway.api.schemas import answers
from quantum_db.gateway.api.service import Service
from quantum_db.gateway.api.submission import JOB_TYPES, MAX_SHOTS, SINGLE
from quantum_db.pricing import CircuitSize, Quote

_MOST_GATES = 10**9
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def prices_router(service: Service) -> APIRouter:
    """/jobs/estimate and /jobs/{id}/cost."""
    router = APIRouter(tags=["Prices"])

    @router.get("/jobs/estimate", responses=answers(200, "Estimate", 400, 401), summary="What a job would cost")
    async def estimate(
        request: Request,
        backend: Annotated[str, Query(description="a backend of this gateway")],
        type_: Annotated[str, Query(alias="type")] = SINGLE,
        qubits: str = "25",
        shots: str = "1000",
        gates_1q: Annotated[str, Query(alias="1q_gates")] = "0",
        gates_2q: Annotated[str, Query(alias="2q_gates")] = "0",
        error_mitigation: str = "false",
    ) -> JsonAnswer:
        service.authenticate(request)
        target = service.targets.require(backend)
        if type_ not in JOB_TYPES:
            raise ApiError(400, f"type is {type_[:40]!r}; choose one of: {', '.join(JOB_TYPES)}", ("type",))
        context: dict[str, Any] = {
            "backend": target.name,
            "type": type_,
            "qubits": whole_of(qubits, "qubits", 1, 10**6),
            "shots": whole_of(shots, "shots", 1, MAX_SHOTS),
            "1q_gates": whole_of(gates_1q, "1q_gates", 0, _MOST_GATES),
            "2q_gates": whole_of(gates_2q, "2q_gates", 0, _MOST_GATES),
            "error_mitigation": _truth(error_mitigation, "error_mitigation"),
        }
        size = CircuitSize(context["1q_gates"], context["2q_gates"])
        quote = service.prices.quote(target.name, [size], context["shots"], context["error_mitigation"])
        return JsonAnswer(_estimate(quote, context, as_text(datetime.now(UTC), service.skew_s)))

    @router.get("/jobs/{job_id}/cost", responses=answers(200, "Cost", 401, 404, 503), summary="What a job costs")
    async def cost(request: Request, job_id: str) -> JsonAnswer:
        tenant = service.authenticate(request)
        job, index = await find_job(service, tenant, job_id)
        if index is not None:
            raise ApiError(404, f"{job_id} is one circuit of the job {job.id}; only the whole job has a price")
        answer: dict[str, Any] = {"dry_run": job.dry_run}
        if job.price > 0:
            answer["estimated_cost"] = {"value": job.price, "unit": "usd"}
        if job.cost is not None:
            answer["cost"] = {"value": job.cost, "unit": "usd"}
        return JsonAnswer(answer)

    return router


def _estimate(quote: Quote, context: dict[str, Any], at: str | None) -> dict[str, Any]:
    """Both shapes that IonQ's API has had for an estimate; qiskit-ionq reads the older fields."""
    one, two = quote.rates.get("gate_1q_shot", Decimal(0)), quote.rates.get("gate_2q_shot", Decimal(0))
    rates = {"cost_1q_gate": one, "cost_2q_gate": two, "job_cost_minimum": quote.minimum}
    return {
        "estimate_context": {**context, "organization": None, "project": None},
        "input_values": context,
        "estimated_at": at,
        "estimated_unit": quote.unit,
        "cost_unit": quote.unit,
        "rate_card": {
            "id": f"{quote.source} {quote.date}".strip(),
            "rates": [{"sku": quote.target, "unit": "gates", "unit_cost": None, **rates}],
        },
        "rate_information": {**rates, "organization": None},
        "estimated_total_cost": quote.amount,
        "estimated_cost": quote.amount,
        "lowest_cost": quote.low,
        "highest_cost": quote.high,
        "price_model": quote.model,
        "estimated_execution_time": None,  # not known before a machine has it
        "current_predicted_queue_time": None,
    }


def _truth(value: str, what: str) -> bool:
    if value.lower() not in _TRUTH:
        raise ApiError(400, f"{what} is {value[:20]!r}; send true or false", (what,))
    return _TRUTH[value.lower()]
