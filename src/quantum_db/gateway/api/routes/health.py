"""For whatever watches over the process: is it up, can it work, what are its figures. No API key is needed."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from quantum_db.errors import QStoreError
from quantum_db.gateway.api.answers import JsonAnswer
from quantum_db.gateway.api.gauges import set_gauges
from quantum_db.gateway.api.schemas import answers
from quantum_db.gateway.api.service import Service


def health_router(service: Service) -> APIRouter:
    """/health, /ready and /metrics, at the root."""
    router = APIRouter(tags=["Health"])

    @router.get("/health", responses=answers(200, "Health"), summary="Is the process up?")
    async def health() -> JsonAnswer:
        return JsonAnswer({"status": "ok"})

    @router.get("/ready", responses=answers(200, "Ready", 503), summary="Does the database answer?")
    async def ready() -> JsonAnswer:
        await service.in_thread(service.database.ping)
        return JsonAnswer({"ready": True})

    @router.get("/metrics", response_class=Response, summary="Metrics for Prometheus",
                responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "metrics"},
                           **answers(None, "", 503)})  # fmt: skip
    async def metrics() -> Response:
        try:
            await service.in_thread(set_gauges, service)
        except QStoreError:
            service.metrics.count("qstore_gateway_errors_total", ("ledger",))
            raise
        content, media_type = service.metrics.exposition()
        return Response(content, media_type=media_type)

    return router
