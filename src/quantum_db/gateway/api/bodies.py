"""Bodies of requests: read with a limit, parsed once, fields taken out with checks."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request

from quantum_db.gateway.api.errors import ApiError

_DEEPEST = 100


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body of a request, whatever its content type; ApiError 413 when it is larger than `max_bytes`."""
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > max_bytes:
        raise _too_large(max_bytes)
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > max_bytes:
                raise _too_large(max_bytes)
            parts.append(part)
    except ClientDisconnect as error:
        raise ApiError(400, "the connection was closed before the whole body had come") from error
    return b"".join(parts)


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; ApiError 400 for anything else. NaN and infinities are no JSON."""
    try:
        content = msgspec.json.decode(body)
    except RecursionError as error:
        raise ApiError(400, "the body is not valid JSON: it is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = str(error) if body.strip() else "it is empty"
        raise ApiError(400, f"the body is not valid JSON: {reason}") from error
    if not isinstance(content, dict):
        raise ApiError(400, f"the body is a JSON {_kind(content)}; send an object")
    return content


def optional_object(body: bytes) -> dict[str, Any]:
    """As `parse_object`, but no body at all is an empty object."""
    return parse_object(body) if body.strip() else {}


def text_of(content: dict[str, Any], name: str, longest: int = 255) -> str | None:
    """The text in field `name`, None without it; ApiError 400 for anything else."""
    value = content.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > longest or "\x00" in value:
        raise ApiError(400, f"{name} must be a text of at most {longest} characters", (name,))
    return value


def object_of(content: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The object in field `name`, None without it; ApiError 400 for anything else, or nested too deeply."""
    value = content.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ApiError(400, f"{name} is a JSON {_kind(value)}; send an object", (name,))
    if depth_of(value) > _DEEPEST:
        raise ApiError(400, f"{name} is nested more than {_DEEPEST} levels deep", (name,))
    return value


def flag_of(content: dict[str, Any], name: str) -> bool:
    """The truth value in field `name`, False without it; ApiError 400 for anything else."""
    value = content.get(name)
    if value is not None and not isinstance(value, bool):
        raise ApiError(400, f"{name} is a JSON {_kind(value)}; send true or false", (name,))
    return bool(value)


def whole_of(value: object, what: str, low: int, high: int) -> int:
    """`value` as a whole number: a number or, as cirq-ionq sends it, its digits; ApiError 400 for anything else."""
    digits = isinstance(value, str) and len(value) <= 20 and value.isascii() and value.strip().isdecimal()
    integral = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value // 1
    number: int | None = int(value) if digits or integral else None  # type: ignore[call-overload]
    if number is None or not low <= number <= high:
        raise ApiError(400, f"{what} must be a whole number from {low} to {high}", what.split("."))
    return number


def depth_of(value: Any) -> int:
    """How deep lists and objects are nested; a plain value has depth 0."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, (dict, list))]:
        depth += 1
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return depth


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(
        413,
        f"the body is larger than {max_bytes} bytes; send fewer circuits in one job",
        headers={"Connection": "close"},
    )


def _kind(value: object) -> str:
    names = {list: "array", str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return names.get(type(value), "object")
