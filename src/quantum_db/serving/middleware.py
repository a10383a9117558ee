"""What happens around every request: its body is limited, and it is counted and timed."""

from __future__ import annotations

import time
from typing import Any

from fastapi import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quantum_db.telemetry.prometheus_metrics import PrometheusMetrics


class BodyLimit:
    """Answers 413 to a request whose body is larger than `max_bytes`, whether its length is stated or not."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stated = dict(scope["headers"]).get(b"content-length", b"")
        if stated.isdigit() and int(stated) > self._max_bytes:
            await JSONResponse({"error": self._message()}, 413, {"connection": "close"})(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise HTTPException(413, self._message())
            return message

        await self._app(scope, counted, send)

    def _message(self) -> str:
        return f"the body is larger than {self._max_bytes} bytes; send fewer rows at once"


class Observed:
    """Counts every answer by route, method and status, and times it."""

    def __init__(self, app: ASGIApp, metrics: PrometheusMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and observe its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500  # of a request whose handler raises before it answers
        began = time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            route = _route(scope)
            self._metrics.count("qstore_serving_requests_total", (route, _method(scope), str(status)))
            self._metrics.observe("qstore_serving_request_seconds", time.perf_counter() - began, (route,))


def _route(scope: Scope) -> str:
    """The pattern of the route, so that addresses that nobody serves do not become labels."""
    route: Any = scope.get("route")
    return str(getattr(route, "path", "none"))


def _method(scope: Scope) -> str:
    method = str(scope["method"])
    return method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"
