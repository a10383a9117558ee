"""From an HTTP answer, or the lack of one, to an error that says whether the request took effect."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import msgspec

from quantum_db.gateway.upstream.errors import (
    UpstreamAnswerError,
    UpstreamBusyError,
    UpstreamError,
    UpstreamMissingError,
    UpstreamRefusedError,
    UpstreamSetupError,
    UpstreamUncertainError,
)

LONGEST_PAUSE_S = 3600.0
_REASON_CHARACTERS = 300
# The connection was never there, so nothing of the request can have arrived.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def check_answer(answer: httpx.Response, what: str, writes: bool) -> None:
    """Raise the error that `answer` stands for, unless it is a success.

    `what` names the request in messages; `writes` is true for a request that changes something upstream.
    """
    status = answer.status_code
    if 200 <= status < 300:
        return
    said = f"the upstream answered {status} to {what}"
    if status == 429:
        raise UpstreamBusyError(f"{said}: too many requests", retry_after(answer))
    if status >= 500 or status == 408:
        if writes:  # a proxy, or the service after it did the work, may have failed
            raise UpstreamUncertainError(f"{said}; whether it took effect is unknown")
        raise UpstreamBusyError(f"{said}; it is asked again later", retry_after(answer))
    raise _refusal(answer, said)


def _refusal(answer: httpx.Response, said: str) -> UpstreamError:
    status, reason = answer.status_code, reason_of(answer)
    if status == 401:
        return UpstreamSetupError(f"{said}: the key is not accepted; check IONQ_API_KEY and whose key it is")
    if status < 400 or status == 405:
        return UpstreamSetupError(f"{said}: there is no IonQ API at this address; check the upstream URL")
    if status == 404:
        return UpstreamMissingError(f"{said}: {reason}")
    return UpstreamRefusedError(f"{said}: {reason}", status, reason)


def lost_answer(error: httpx.RequestError, what: str, writes: bool) -> UpstreamError:
    """The error for a request that got no answer."""
    name = type(error).__name__
    if isinstance(error, _NEVER_SENT):
        return UpstreamBusyError(f"the upstream could not be reached for {what} ({name})")
    if writes:
        return UpstreamUncertainError(f"the answer to {what} was lost ({name}); whether it took effect is unknown")
    return UpstreamBusyError(f"the answer to {what} was lost ({name})")


def retry_after(answer: httpx.Response) -> float | None:
    """Seconds named by Retry-After (a number or an HTTP date), None without one; at most an hour."""
    value = answer.headers.get("Retry-After", "").strip()
    if not value:
        return None
    if value.isdigit():
        return min(float(value), LONGEST_PAUSE_S)
    moment = http_date(value)
    if moment is None:
        return None  # not a form that HTTP knows, so it says nothing
    # Both by the clock of the service, where it tells; a wrong clock here must not matter.
    now = http_date(answer.headers.get("Date", "")) or datetime.now(UTC)
    return min(max(0.0, (moment - now).total_seconds()), LONGEST_PAUSE_S)


def http_date(value: str) -> datetime | None:
    """The moment of an HTTP date, None when `value` is none."""
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def json_object(answer: httpx.Response, what: str) -> dict[str, Any]:
    """The JSON object of an answer; UpstreamAnswerError when it holds none."""
    try:
        content = msgspec.json.decode(answer.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamAnswerError(f"the upstream's answer to {what} is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise UpstreamAnswerError(f"the upstream's answer to {what} is a {type(content).__name__}, not an object")
    return content


def reason_of(answer: httpx.Response) -> str:
    """The message of an error answer in IonQ's shape, on one line and short; never the body as a whole."""
    try:
        content = msgspec.json.decode(answer.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "no reason given"
    message = content.get("message") if isinstance(content, dict) else None
    if not isinstance(message, str) or not message.strip():
        return "no reason given"
    return " ".join(message.split())[:_REASON_CHARACTERS]


def exact_json_object(answer: httpx.Response, what: str) -> dict[str, Any]:
    """As `json_object`, with every number that has a decimal point as a Decimal: money is no float."""
    try:
        content = json.loads(answer.content, parse_float=Decimal, parse_int=Decimal)
    except ValueError as error:
        raise UpstreamAnswerError(f"the upstream's answer to {what} is not JSON") from error
    if not isinstance(content, dict):
        raise UpstreamAnswerError(f"the upstream's answer to {what} is a {type(content).__name__}, not an object")
    return content
