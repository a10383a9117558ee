"""Who is asking, and what was used."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from quantum_db.gateway.api.answers import JsonAnswer, as_text
from quantum_db.gateway.api.errors import ApiError
from quantum_db.gateway.api.presentation import tenant_id
from quantum_db.gateway.api.schemas import answers
from quantum_db.gateway.api.service import Service
from quantum_db.gateway.ledger.records import UsageDay

_DEFAULT_DAYS = 30
_LONGEST_DAYS = 3660


def account_router(service: Service) -> APIRouter:
    """/whoami and usage."""
    router = APIRouter(tags=["Account"])

    @router.get("/whoami", responses=answers(200, "Whoami", 401), summary="Whose API key this is")
    async def whoami(request: Request) -> JsonAnswer:
        tenant = service.authenticate(request)
        own = tenant_id(tenant.name)
        return JsonAnswer({"key_id": own, "key_name": tenant.name, "project_id": own})

    @router.get("/organizations/{organization_id}/usage", responses=answers(200, "Usage", 400, 401, 404, 503),
                summary="What finished jobs came to, by day, week or month")  # fmt: skip
    async def usage(
        request: Request,
        organization_id: str,
        start_date: Annotated[str | None, Query(description="first UTC day; 30 days ago without one")] = None,
        end_date: Annotated[str | None, Query(description="last UTC day; today without one")] = None,
        group_by: Annotated[str, Query(description="user or project (both: the tenant), or backend")] = "user",
        modality: Annotated[str, Query(description="daily, weekly or monthly")] = "daily",
    ) -> JsonAnswer:
        tenant = service.authenticate(request)
        if organization_id not in (tenant.name, tenant_id(tenant.name)):
            raise ApiError(404, "there is no such organization, or this API key is not of it; see GET /v0.4/whoami")
        since, until = _span(start_date, end_date, group_by, modality)
        days = await service.in_thread(service.accounts.usage, tenant.name, since, until)
        content = _usage(days, group_by, modality, tenant.name)
        return JsonAnswer({**content, "usage_from": as_text(since), "usage_to": as_text(until)})

    return router


def _span(start_date: str | None, end_date: str | None, group_by: str, modality: str) -> tuple[datetime, datetime]:
    """From when until when usage is asked for; ApiError 400 for anything that is no day, period or group."""
    if modality not in _PERIODS:
        raise ApiError(400, f"modality is {modality[:20]!r}; choose one of: {', '.join(_PERIODS)}", ("modality",))
    if group_by not in ("user", "project", "backend"):
        raise ApiError(400, f"group_by is {group_by[:20]!r}; choose user, project or backend", ("group_by",))
    today = datetime.now(UTC).date()
    end = _day(end_date, today, "end_date")
    start = _day(start_date, end - timedelta(days=_DEFAULT_DAYS), "start_date")
    if not 0 <= (end - start).days <= _LONGEST_DAYS:
        raise ApiError(400, f"start_date must be 0 to {_LONGEST_DAYS} days before end_date", ("start_date",))
    return _midnight(start), _midnight(end + timedelta(days=1))


def _day(text: str | None, default: date, what: str) -> date:
    if text is None:
        return default
    try:
        day = date.fromisoformat(text[:10])
    except ValueError as error:
        raise ApiError(400, f"{what} is {text[:30]!r}; send a day such as 2026-05-15", (what,)) from error
    if not 2000 <= day.year <= 2999:
        raise ApiError(400, f"{what} is {text[:30]!r}; send a day from 2000-01-01 to 2999-12-31", (what,))
    return day


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


_PERIODS: dict[str, Callable[[date], date]] = {
    "daily": lambda day: day,
    "weekly": lambda day: day - timedelta(days=day.weekday()),
    "monthly": lambda day: day.replace(day=1),
}


def _usage(days: list[UsageDay], group_by: str, modality: str, tenant: str) -> dict[str, Any]:
    periods: dict[date, list[UsageDay]] = {}
    for day in days:
        periods.setdefault(_PERIODS[modality](day.day), []).append(day)
    rows = [
        {"from": as_text(_midnight(begin)), **_sum(found), "group_usages": _groups(found, group_by, tenant)}
        for begin, found in sorted(periods.items())
    ]
    total = _sum(days)
    return {
        "organization": tenant_id(tenant),
        "group_type": group_by,
        "modality": modality,
        "usage_unit": "usd",
        "job_count": total["job_count"],
        "amount_total": total["amount"],
        "amount_totals": total["amounts"],
        "usage_data": rows,
    }


def _groups(days: list[UsageDay], group_by: str, tenant: str) -> list[dict[str, Any]]:
    if group_by != "backend":
        return [{"group_id": tenant_id(tenant), "group_name": tenant, **_sum(days)}]
    targets = sorted({day.target for day in days})
    return [
        {"group_id": name, "group_name": name, **_sum([day for day in days if day.target == name])} for name in targets
    ]


def _sum(days: list[UsageDay]) -> dict[str, Any]:
    amount = sum((day.cost for day in days), Decimal(0))
    return {
        "amount": amount,
        "amount_unit": "usd",
        "amounts": [{"amount": amount, "unit": "usd"}],
        "job_count": sum(day.jobs for day in days),
        "circuit_count": sum(day.circuits for day in days),
        "time_us": None,  # the ledger prices gates and shots, not seconds
    }
