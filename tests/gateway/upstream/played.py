"""A small upstream over real HTTP: IonQ's job routes over a dictionary, with trouble on request."""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "upstream-key-1234"


@dataclass(frozen=True)
class Trouble:
    """What happens to a request: `status` instead of an answer, or no answer at all (`drop`), before or after."""

    status: int = 0
    after: bool = False
    drop: bool = False
    delay_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass
class Played:
    """The service's memory. `troubles[operation]` are met in turn by the next requests of that operation."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    troubles: dict[str, list[Trouble]] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    costs: dict[str, Any] = field(default_factory=dict)
    honours_ids: bool = True
    newest_first: bool = True
    page_size: int = 100
    clock_offset: timedelta = timedelta()
    on_submit: Callable[[dict[str, Any]], None] | None = None
    url: str = ""

    def trouble(self, operation: str, *troubles: Trouble) -> None:
        self.troubles.setdefault(operation, []).extend(troubles)

    def add(self, name: str = "", age_s: float = 0.0, **content: Any) -> dict[str, Any]:
        """A job that is already there."""
        moment = datetime.now(UTC) + self.clock_offset - timedelta(seconds=age_s)
        job = {"id": str(uuid.uuid4()), "status": "submitted", "name": name, "metadata": {}, "parent_job_id": None,
               "submitted_at": moment.isoformat(), **content}  # fmt: skip
        self.jobs[job["id"]] = job
        return job

    def finish(self, job_id: str, results: Any, cost: str | None = "1.25", status: str = "completed") -> None:
        self.results[job_id] = results
        self.costs[job_id] = {"dry_run": False, "cost": None if cost is None else {"value": float(cost), "unit": "usd"}}
        self.jobs[job_id]["status"] = status

    def seen(self, operation: str) -> int:
        return sum(1 for name, _ in self.requests if name == operation)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    played: Played

    def log_message(self, *_: Any) -> None:
        """Requests are recorded, not printed."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string((timestamp or time.time()) + self.played.clock_offset.total_seconds())

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path = parts.path.removeprefix("/v0.4")
        if path == "/jobs":
            self._meet("jobs", lambda: self._list(parse_qs(parts.query)))
        elif path.endswith(("/probabilities", "/aggregated")):
            self._meet("results", lambda: self._of(self.played.results, path))
        elif path.endswith("/cost"):
            self._meet("cost", lambda: self._of(self.played.costs, path))
        else:
            self._meet("job", lambda: self._of(self.played.jobs, path))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.path.startswith("/v0.4/jobs"):
            self._answer(404, {"message": "Not Found"})
            return
        self._meet("submit", lambda: self._create(body))

    def do_PUT(self) -> None:
        job_id = urlsplit(self.path).path.split("/")[3]
        self._meet("cancel", lambda: self._cancel(job_id))

    def _meet(self, operation: str, act: Callable[[], tuple[int, Any]]) -> None:
        self.played.requests.append((operation, self.path))
        waiting = self.played.troubles.get(operation)
        trouble = waiting.pop(0) if waiting else None
        if self.headers.get("Authorization") != f"apiKey {KEY}":
            self._answer(401, {"message": "Invalid key provided"})
            return
        if trouble is None:
            self._answer(*act())
            return
        if trouble.after:
            act()
        time.sleep(trouble.delay_s)
        if trouble.drop:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        if trouble.status == 0:
            status, content = act()
            self._answer(status, content, trouble)
            return
        self._answer(trouble.status, {"statusCode": trouble.status, "message": "trouble on request"}, trouble)

    def _create(self, body: dict[str, Any]) -> tuple[int, Any]:
        job = self.played.add(body=body, name=body["name"], metadata=body.get("metadata", {}))
        if self.played.on_submit is not None:
            self.played.on_submit(job)
        return 201, {"id": job["id"], "status": job["status"]}

    def _cancel(self, job_id: str) -> tuple[int, Any]:
        job = self.played.jobs[job_id]
        if job["status"] not in ("completed", "failed"):
            job["status"] = "canceled"
        return 200, {"id": job_id, "status": job["status"]}

    def _of(self, table: dict[str, Any], path: str) -> tuple[int, Any]:
        found = table.get(path.split("/")[2])
        return (404, {"message": "not found"}) if found is None else (200, found)

    def _list(self, query: dict[str, list[str]]) -> tuple[int, Any]:
        jobs = sorted(self.played.jobs.values(), key=lambda job: job["submitted_at"], reverse=self.played.newest_first)
        if "ids" in query and self.played.honours_ids:
            jobs = [job for job in jobs if job["id"] in query["ids"]]
        start = int(query.get("next", ["0"])[0])
        end = start + min(int(query.get("limit", ["25"])[0]), self.played.page_size)
        return 200, {"jobs": jobs[start:end], "next": str(end) if end < len(jobs) else None}

    def _answer(self, status: int, content: Any, trouble: Trouble | None = None) -> None:
        body = json.dumps(content).encode() if trouble is None or trouble.body is None else trouble.body
        self.send_response(status)
        for name, value in (trouble.headers if trouble else {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):  # whoever asked may have given up
            self.wfile.write(body)


class PlayedUpstream:
    """Runs the service on a free port of this machine for the length of a `with` block."""

    def __init__(self) -> None:
        self.played = Played()

    def __enter__(self) -> Played:
        handler = type("Handler", (_Handler,), {"played": self.played})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.played.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self.played

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
