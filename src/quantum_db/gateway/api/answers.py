"""Answers as JSON, and what differs between clients."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_LEFT_OUT_FOR_CIRQ = ("failure", "warning", "next")


class JsonAnswer(Response):
    """A JSON answer; Decimal is written as a number."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """`content` as JSON."""
        return _ENCODER.encode(content)


def is_cirq(request: Request) -> bool:
    """Whether cirq-ionq is asking; it fails on nulls that other clients require (`for_client`)."""
    return request.headers.get("user-agent", "").startswith("cirq/")


def for_client(content: dict[str, Any], request: Request) -> dict[str, Any]:
    """`content` without the fields that cirq-ionq cannot bear when they are null; others get the nulls they require."""
    if not is_cirq(request):
        return content
    return {name: value for name, value in content.items() if value is not None or name not in _LEFT_OUT_FOR_CIRQ}


def as_text(moment: datetime | None, skew_s: float = 0.0) -> str | None:
    """A time in IonQ's form, such as 2026-05-15T09:30:00.123Z."""
    if moment is None:
        return None
    shifted = (moment + timedelta(seconds=skew_s)).astimezone(UTC)
    return shifted.isoformat(timespec="milliseconds").replace("+00:00", "Z")
