"""What happens around every request: it is counted and timed, and faults are injected where a plan says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quantum_db.gateway.api.errors import error_answer
from quantum_db.gateway.faults import FaultPlan, FaultRule
from quantum_db.telemetry.prometheus_metrics import PrometheusMetrics

ABORT = "qstore.abort"
"""The ASGI extension with which the server closes the connection at once."""
_PREFIX = "/v0.4"
_HELD = f"{_PREFIX}/jobs/{{job_id}}"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class DroppedAnswerError(ConnectionError):
    """An injected fault closes the connection; raised where the server has no way to do so (in tests)."""


class Observed:
    """Counts every answer by route, method and status, and times it; requests that are held for a job are not timed."""

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
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.count("qstore_gateway_requests_total", (route, method, str(status)))
            if (route, method) != (_HELD, "GET"):
                self._metrics.observe("qstore_gateway_request_seconds", time.perf_counter() - began, (route,))


def _route(scope: Scope) -> str:
    """The pattern of the route, so that addresses that nobody serves do not become labels."""
    path = str(getattr(scope.get("route"), "path", "none"))
    included = scope["path"].startswith(_PREFIX) and path.startswith("/") and not path.startswith(_PREFIX)
    return _PREFIX + path if included else path  # routes do not always carry the prefix they were included with


class Faulty:
    """Injects the faults of a plan. Only installed when `--inject-faults` was given."""

    def __init__(self, app: ASGIApp, plan: FaultPlan, metrics: PrometheusMetrics) -> None:
        self._app = app
        self._plan = plan
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on through the faults that strike it; every answer says that faults are on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        handle: Callable[[Send], Awaitable[None]] = _Handling(self._app, scope, receive).once
        for rule in reversed(self._plan.striking(scope["method"], scope["path"])):
            self._metrics.count("qstore_gateway_faults_total", (rule.kind,))
            handle = _struck(rule, handle, scope, receive)
        await handle(_marked(send))


class _Handling:
    """Handles one request, as often as asked: the body is kept for a second delivery."""

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive) -> None:
        self._app = app
        self._scope = scope
        self._receive = receive
        self._kept: list[Message] | None = None

    async def once(self, send: Send) -> None:
        await self._app(self._scope, self._receive if self._kept is None else self._again(), send)

    async def keep_body(self) -> None:
        if self._kept is None:
            self._kept = [await self._receive()]
            while self._kept[-1].get("more_body"):
                self._kept.append(await self._receive())

    def _again(self) -> Receive:
        left = list(self._kept or ())

        async def receive() -> Message:
            return left.pop(0) if left else await self._receive()

        return receive


def _struck(
    rule: FaultRule, handle: Callable[[Send], Awaitable[None]], scope: Scope, receive: Receive
) -> Callable[[Send], Awaitable[None]]:
    """`handle` with the fault of `rule` around it."""

    async def refuse(send: Send) -> None:
        headers = {} if rule.retry_after is None else {"Retry-After": f"{rule.retry_after:g}"}
        await error_answer(rule.status, f"injected fault: {rule.kind}", headers=headers)(scope, receive, send)

    async def around(send: Send) -> None:
        if rule.kind in ("status_before", "outage"):
            await refuse(send)
        elif rule.kind == "status_after":
            await handle(_nowhere)
            await refuse(send)
        elif rule.kind == "drop_answer":
            await handle(_nowhere)
            await _abort(scope, receive)
        elif rule.kind == "duplicate":
            if isinstance(owner := getattr(handle, "__self__", None), _Handling):
                await owner.keep_body()
            await handle(_nowhere)
            await handle(send)
        elif rule.kind == "delay":
            await asyncio.sleep(max(0.0, rule.seconds))
            await handle(send)
        else:  # job_failure: the route that accepts the job reads it
            scope.setdefault("state", {})["fail_with"] = rule.code
            await handle(send)

    return around


async def _abort(scope: Scope, receive: Receive) -> None:
    abort: Any = scope.get("extensions", {}).get(ABORT)
    if abort is None:
        raise DroppedAnswerError("an injected fault drops this answer")
    abort()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _nowhere(message: Message) -> None:
    """Swallow an answer that a fault replaces."""


def _marked(send: Send) -> Send:
    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"x-qstore-faults", b"on")]}
        await send(message)

    return marked
