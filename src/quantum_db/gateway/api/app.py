"""The HTTP application of the gateway: IonQ's API v0.4 below /v0.4, and what watches over the process at the root."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version as distribution_version
from typing import Any

from fastapi import FastAPI

from quantum_db.gateway.api.errors import add_error_handlers
from quantum_db.gateway.api.middleware import Faulty, Observed
from quantum_db.gateway.api.presentation import PREFIX
from quantum_db.gateway.api.routes.account import account_router
from quantum_db.gateway.api.routes.backends import backends_router
from quantum_db.gateway.api.routes.endings import endings_router
from quantum_db.gateway.api.routes.health import health_router
from quantum_db.gateway.api.routes.jobs import jobs_router
from quantum_db.gateway.api.routes.prices import prices_router
from quantum_db.gateway.api.routes.results import results_router
from quantum_db.gateway.api.routes.sessions import sessions_router
from quantum_db.gateway.api.schemas import SCHEMAS
from quantum_db.gateway.api.service import Service

_DESCRIPTION = """\
IonQ's API v0.4 over a ledger, a queue and workers of your own. Send `Authorization: apiKey <key>`; bodies are JSON
whatever their content type says. Every error is {"statusCode", "error", "message"}."""
_OPEN = ("/health", "/ready", "/metrics", f"{PREFIX}/backends")


def create_app(service: Service) -> FastAPI:
    """Return the application over `service`; it watches waiting requests while it runs."""

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.stop()

    app = FastAPI(
        title="Q-Store circuit gateway",
        version=distribution_version("quantum-db"),
        description=_DESCRIPTION,
        docs_url=None,  # these pages load scripts from outside
        redoc_url=None,
        redirect_slashes=False,
        lifespan=running,
    )
    if service.faults is not None:
        app.add_middleware(Faulty, plan=service.faults, metrics=service.metrics)
    app.add_middleware(Observed, metrics=service.metrics)
    add_error_handlers(app)
    app.include_router(health_router(service))
    # /jobs/estimate comes before /jobs/{job_id}.
    jobs = (prices_router, jobs_router, endings_router, results_router)
    for router in (*jobs, backends_router, sessions_router, account_router):
        app.include_router(router(service), prefix=PREFIX)
    generated = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(generated())
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
    return app


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    """The generated document with our schemas, the API key, and without the 422 that no route answers."""
    components = document.setdefault("components", {})
    components["schemas"] = SCHEMAS
    components["securitySchemes"] = {
        "apiKey": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "the word apiKey, a blank, the key",
        }
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            if not path.startswith(_OPEN):
                operation["security"] = [{"apiKey": []}]
    return document
