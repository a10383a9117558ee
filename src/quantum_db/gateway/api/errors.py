"""Errors as IonQ's API words them: {"statusCode", "error", "message"} and, for a bad field, where it is.

No message repeats more of a request than one name, one number or one short word.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from quantum_db.circuits.ionq import WireError
from quantum_db.errors import BudgetExceededError, ConfigurationError, QStoreError
from quantum_db.gateway.api.answers import JsonAnswer
from quantum_db.gateway.ledger.errors import (
    JobNotFoundError,
    LedgerUnavailableError,
    QuotaError,
    SessionEndedError,
    SessionNotFoundError,
)

_LOG = logging.getLogger(__name__)
_RETRY_AFTER_S = 1
_OF_TYPE: tuple[tuple[type[QStoreError], int, str], ...] = (
    (JobNotFoundError, 404, ""),
    (SessionNotFoundError, 404, ""),
    (SessionEndedError, 400, "SessionEnded"),
    (BudgetExceededError, 402, "QuotaExhaustedError"),
    (QuotaError, 429, "TooManyRequests"),
    (LedgerUnavailableError, 503, ""),
    (ConfigurationError, 400, ""),
)


class ApiError(QStoreError):
    """A request cannot be answered as asked.

    `status` is the HTTP status, `keys` the path of the offending field in the body, `headers` go with the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        keys: Iterable[str | int] = (),
        headers: Mapping[str, str] | None = None,
        error: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.keys = tuple(keys)
        self.headers = dict(headers or {})
        self.error = error


def error_body(status: int, message: str, keys: Iterable[str | int] = (), error: str = "") -> dict[str, Any]:
    """The body of an error in IonQ's shape; `error` is the short name (the HTTP phrase without one)."""
    body: dict[str, Any] = {"statusCode": status, "error": error or HTTPStatus(status).phrase, "message": message}
    path = ".".join(map(str, keys))
    return {**body, "validation": {"keys": [path], "source": "payload"}} if path else body


def error_answer(
    status: int,
    message: str,
    keys: Iterable[str | int] = (),
    error: str = "",
    headers: Mapping[str, str] | None = None,
) -> JsonAnswer:
    """The answer with `error_body`."""
    return JsonAnswer(error_body(status, message, keys, error), status, dict(headers or {}))


def answer_for(error: QStoreError) -> JsonAnswer:
    """The answer that one of Q-Store's own errors gets; others are raised again."""
    if isinstance(error, ApiError):
        return error_answer(error.status, str(error), error.keys, error.error, error.headers)
    if isinstance(error, WireError):
        return error_answer(400, str(error), error.keys, "" if error.code == "InvalidInput" else error.code)
    for kind, status, name in _OF_TYPE:
        if isinstance(error, kind):
            headers = {"Retry-After": str(_RETRY_AFTER_S)} if status in (429, 503) else {}
            return error_answer(status, str(error), error=name, headers=headers)
    raise error


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error of `app` in IonQ's shape."""

    @app.exception_handler(QStoreError)
    async def known(_: Request, error: QStoreError) -> JsonAnswer:
        answer = answer_for(error)
        if answer.status_code == 503:
            _LOG.error("a request could not be answered: %s", error)
        return answer

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> JsonAnswer:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return error_answer(400, f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}", first["loc"][1:])

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JsonAnswer:
        message = str(error.detail)
        if error.status_code == 404:
            message = f"there is no {request.method} {request.url.path[:200]} here; see GET /openapi.json"
        headers = {**(error.headers or {}), **({"Allow": _allowed(request)} if error.status_code == 405 else {})}
        return error_answer(error.status_code, message, headers=headers)

    @app.exception_handler(Exception)  # starlette raises it again after the answer, so that the log has it whole
    async def broken(_: Request, error: Exception) -> JsonAnswer:
        return error_answer(500, "the gateway failed; see its log")


def _allowed(request: Request) -> str:
    """The methods of the first address in the OpenAPI document that fits; the router names those of one route only."""
    for address, operations in request.app.openapi()["paths"].items():
        if compile_path(address)[0].match(request.url.path):
            return ", ".join(sorted(method.upper() for method in operations))
    return "GET"  # /openapi.json itself
