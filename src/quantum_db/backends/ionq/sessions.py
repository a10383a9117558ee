"""Sessions at IonQ or at a gateway: jobs under one limit of cost, held by the service for all processes of a run.

A job belongs to a session by `IonQOptions.session_id`. The service reserves the price of a job when it accepts it and
refuses what the limit does not cover, so processes on different machines cannot overspend together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

from quantum_db.backends.ionq.client import IonQClient
from quantum_db.errors import BackendError, ConfigurationError


@dataclass(frozen=True)
class SessionMoney:
    """A session's US dollars. `spent` and `reserved` are None where the service does not say."""

    limit: Decimal | None
    spent: Decimal | None
    reserved: Decimal | None
    active: bool


def begin_session(client: IonQClient, target: str, limit_usd: Decimal) -> str:
    """Begin a session on `target` that may cost `limit_usd`; its id. ConfigurationError for an impossible limit."""
    if not (isinstance(limit_usd, Decimal) and limit_usd.is_finite() and limit_usd >= 0):
        raise ConfigurationError(f"the budget is {limit_usd!r}; give a Decimal of US dollars, at least 0")
    limits = {"cost_limit": {"unit": "usd", "value": float(limit_usd)}}
    answer = client.post("/sessions", {"backend": target, "settings": limits})
    session_id = answer.get("id") if isinstance(answer, Mapping) else None
    if not isinstance(session_id, str) or not session_id:
        raise BackendError(f"{client.url} began a session and named no id; start again")
    return session_id


def read_session(client: IonQClient, session_id: str) -> SessionMoney:
    """How the session stands; MissingJobError when there is none with this id."""
    answer = client.get_money(f"/sessions/{quote(session_id, safe='')}")
    if not isinstance(answer, Mapping):
        raise BackendError(f"{client.url} answered for session {session_id} with something that is no object")
    cost, settings = answer.get("cost") or {}, answer.get("settings") or {}
    limit = settings.get("cost_limit") or {}
    return SessionMoney(
        limit=_decimal(limit.get("value")),
        spent=_decimal(cost.get("spent")),
        reserved=_decimal(cost.get("reserved")),
        active=bool(answer.get("active")),
    )


def _decimal(value: Any) -> Decimal | None:
    try:
        return None if value is None else Decimal(str(value))
    except InvalidOperation:
        raise BackendError(f"a session's amount of money is {str(value)[:40]!r}, which is no number") from None
