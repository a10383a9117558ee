"""Sessions: jobs of one backend under common limits."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from quantum_db.gateway.api.answers import JsonAnswer, as_text
from quantum_db.gateway.api.bodies import object_of, parse_object, read_body, text_of, whole_of
from quantum_db.gateway.api.errors import ApiError
from quantum_db.gateway.api.presentation import tenant_id
from quantum_db.gateway.api.schemas import answers, body_of
from quantum_db.gateway.api.service import Service
from quantum_db.gateway.ledger.records import Session, SessionLimits

_MOST_JOBS = 10**6
_MOST_MINUTES = 60 * 24 * 365
_MOST_DOLLARS = Decimal(10**9)
_LISTED = 1000
_TRUTH = {"true": True, "false": False}


def sessions_router(service: Service) -> APIRouter:
    """Routes below /v0.4/sessions; the jobs of a session are listed by the jobs router."""
    router = APIRouter(prefix="/sessions", tags=["Sessions"])

    @router.post("", status_code=201, responses=answers(201, "Session", 400, 401, 413, 503),
                 openapi_extra=body_of("SessionRequest"), summary="Begin a session")  # fmt: skip
    async def create_session(request: Request) -> JsonAnswer:
        tenant = service.authenticate(request)
        content = parse_object(await read_body(request, service.settings.max_body_bytes))
        name = text_of(content, "backend")
        if not name:
            raise ApiError(400, "backend is missing; name the backend of the session's jobs", ("backend",))
        target = service.targets.require(name)
        limits = _limits(object_of(content, "settings") or object_of(content, "limits") or {})
        details = {"project_id": text_of(content, "project_id", 100)}
        made = await service.in_thread(service.sessions.create, tenant.name, target.name, limits, details)
        return JsonAnswer(_shown(made, service.skew_s), 201)

    @router.get("", responses=answers(200, "SessionList", 400, 401, 503), summary="List sessions, newest first")
    async def list_sessions(
        request: Request, active: Annotated[str | None, Query(description="true: open ones, false: ended ones")] = None
    ) -> JsonAnswer:
        tenant = service.authenticate(request)
        if active is not None and active.lower() not in _TRUTH:
            raise ApiError(400, f"active is {active[:20]!r}; send true or false", ("active",))
        wanted = None if active is None else _TRUTH[active.lower()]
        found = await service.in_thread(service.sessions.list, tenant.name, wanted, _LISTED)
        shown = [_shown(session, service.skew_s) for session in found]
        return JsonAnswer({"organization_id": tenant_id(tenant.name), "sessions": shown})

    @router.get("/{session_id}", responses=answers(200, "Session", 401, 404, 503), summary="Look at a session")
    async def get_session(request: Request, session_id: str) -> JsonAnswer:
        tenant = service.authenticate(request)
        found = await service.in_thread(service.sessions.get, tenant.name, session_id)
        return JsonAnswer(_shown(found, service.skew_s))

    @router.post("/{session_id}/end", responses=answers(200, "Session", 401, 404, 503),
                 summary="End a session; its jobs go on")  # fmt: skip
    async def end_session(request: Request, session_id: str) -> JsonAnswer:
        tenant = service.authenticate(request)
        ended = await service.in_thread(service.sessions.end, tenant.name, session_id)
        return JsonAnswer(_shown(ended, service.skew_s))

    return router


def _limits(given: dict[str, Any]) -> SessionLimits:
    def optional(name: str, most: int) -> int | None:
        return None if given.get(name) is None else whole_of(given[name], name, 1, most)

    return SessionLimits(
        job_count_limit=optional("job_count_limit", _MOST_JOBS),
        duration_limit_min=optional("duration_limit_min", _MOST_MINUTES),
        cost_limit=_dollars(given.get("cost_limit")),
    )


def _dollars(given: object) -> Decimal | None:
    if given is None:
        return None
    value, unit = (given.get("value"), given.get("unit", "usd")) if isinstance(given, dict) else (given, "usd")
    if unit not in ("usd", "USD", None):
        raise ApiError(400, "cost_limit.unit must be usd; prices here are in US dollars", ("cost_limit", "unit"))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MOST_DOLLARS:
        raise ApiError(
            400, f"cost_limit.value must be a number of US dollars from 0 to {_MOST_DOLLARS}", ("cost_limit",)
        )
    return Decimal(str(value))


def _shown(session: Session, skew_s: float) -> dict[str, Any]:
    owner = tenant_id(session.tenant)
    limits = session.limits
    settings: dict[str, Any] = {}
    if limits.job_count_limit is not None:
        settings["job_count_limit"] = limits.job_count_limit
    if limits.duration_limit_min is not None:
        settings["duration_limit_min"] = limits.duration_limit_min
        begun = session.started_at or session.created_at
        settings["expires_at"] = as_text(begun + timedelta(minutes=limits.duration_limit_min), skew_s)
    if limits.cost_limit is not None:
        settings["cost_limit"] = {"unit": "usd", "value": limits.cost_limit}
    return {
        "id": session.id,
        "created_at": as_text(session.created_at, skew_s),
        "organization_id": owner,
        "backend": session.target,
        "project_id": session.details.get("project_id"),
        "creator_id": owner,
        "started_at": as_text(session.started_at, skew_s),
        "ended_at": as_text(session.ended_at, skew_s),
        "ender_id": owner if session.end_reason == "user" else None,
        "end_reason": session.end_reason,
        "active": session.status != "ended",
        "status": session.status,
        "settings": settings,
        "jobs": session.jobs,
        "cost": {"reserved": str(session.reserved), "spent": str(session.spent), "unit": "usd"},
    }
