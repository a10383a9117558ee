"""A small IonQ API v0.4 over HTTP for tests of the client: real connections, exact results, faults by script.

It keeps what it accepted and what it charges, so that tests can compare bills. It reads circuits on its own, without
the code under test.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np

from quantum_db.circuits import Circuit, op

KEY = "secret-key-of-the-test"
FIXED = {"x": "X", "y": "Y", "z": "Z", "h": "H", "s": "S", "si": "Sdg", "t": "T", "ti": "Tdg"}
TURNS = {"rx": "RX", "ry": "RY", "rz": "RZ", "xx": "RXX", "yy": "RYY", "zz": "RZZ"}


def read_gate(gate):
    name, wires = gate["gate"], gate.get("targets") or [gate["target"]]
    if name in FIXED:
        return [op(FIXED[name], *wires)]
    if name in TURNS:
        return [op(TURNS[name], *wires, angle=gate["rotation"])]
    if name in ("v", "vi"):
        return [op("RX", *wires, angle=np.pi / 2 if name == "v" else -np.pi / 2)]
    if name == "cnot":
        return [op("CNOT", gate["control"], gate["target"])]
    if name == "swap":
        return [op("SWAP", *wires)]
    raise AssertionError(f"unknown gate {gate}")


def probabilities(gates, qubits):
    circuit = Circuit(qubits, tuple(one for gate in gates for one in read_gate(gate)))
    found = np.abs(circuit.unitary()[:, 0]) ** 2
    # IonQ counts qubit 0 as the least significant bit
    return {str(int(f"{place:0{qubits}b}"[::-1], 2)): float(p) for place, p in enumerate(found) if p > 1e-12}


class Provider:
    """`faults` is a list of (method, path pattern, what); each strikes once, at the first request that matches.

    What: a number (answers it instead), ("after", number) (handles the request, then answers it), "drop" (handles it,
    then closes the connection), "twice" (handles it twice), ("delay", seconds).
    """

    def __init__(self, states=("submitted", "started", "completed"), usd_per_circuit="0"):
        self.jobs, self.faults, self.requests = {}, [], []
        self.states, self.usd_per_circuit = states, usd_per_circuit
        self.failure = None
        self.page = 100
        self.change = lambda answer: answer
        self.mutex = threading.Lock()

    @property
    def paid(self):
        """How often each circuit was run, over all jobs that were accepted and not canceled."""
        counts = {}
        for job in self.jobs.values():
            if job["status"] != "canceled":
                for circuit in job["circuits"]:
                    name = json.dumps([circuit, job["body"]["shots"], job["body"].get("noise")])
                    counts[name] = counts.get(name, 0) + 1
        return counts

    @property
    def bill(self):
        return sum(float(self.cost(job)) for job in self.jobs.values())

    def cost(self, job):
        from decimal import Decimal

        done = job["status"] == "completed"
        return Decimal(self.usd_per_circuit) * (len(job["circuits"]) if done else 0)

    def handle(self, method, path, query, body):
        if path == "/v0.4/jobs" and method == "POST":
            return 201, self.submit(json.loads(body))
        if path == "/v0.4/jobs":
            return 200, self.listing(query)
        if path == "/v0.4/backends":
            return 200, [self.target(name) for name in ("simulator", "qpu.forte-1")]
        if path.startswith("/v0.4/backends/"):
            name = path.rsplit("/", 1)[1]
            return (200, self.target(name)) if name in ("simulator", "qpu.forte-1") else (404, None)
        match = re.fullmatch(r"/v0.4/jobs/([^/]+)(/.*)?", path)
        if match is None or match[1] not in self.jobs:
            return 404, None
        return self.about(self.jobs[match[1]], match[2] or "", method)

    def about(self, job, rest, method):
        if rest == "":
            self.advance(job)
            return 200, self.shown(job)
        if rest == "/cost":
            value = self.cost(job)
            return 200, {"cost": {"value": float(value), "unit": "usd"}, "estimated_cost": None, "dry_run": False}
        if rest == "/status/cancel":
            job["status"] = "canceled"
            return 200, {"id": job["id"], "status": "canceled"}
        histograms = [probabilities(gates, job["qubits"]) for gates in job["circuits"]]
        if rest.endswith("aggregated"):
            return 200, self.change(dict(zip(job["children"], histograms, strict=True)))
        return 200, self.change(histograms[0])

    def submit(self, body):
        job_id = str(uuid.uuid4())
        given = body["input"]
        circuits = [one["circuit"] for one in given["circuits"]] if "circuits" in given else [given["circuit"]]
        assert all(circuits), "an empty circuit"
        self.jobs[job_id] = {
            "id": job_id,
            "status": self.states[0],
            "left": list(self.states[1:]),
            "body": body,
            "circuits": circuits,
            "qubits": given["qubits"],
            "children": [f"{number:02x}-{job_id}" for number in reversed(range(len(circuits)))],
            "at": datetime.now(UTC).isoformat(),
        }
        return {"id": job_id, "status": self.states[0], "session_id": None}

    def advance(self, job):
        if job["left"]:
            job["status"] = job["left"].pop(0)
            if job["status"] == "completed" and self.failure:
                job["status"] = "failed"

    def shown(self, job):
        return {
            "id": job["id"],
            "status": job["status"],
            "name": job["body"].get("name"),
            "metadata": job["body"].get("metadata"),
            "submitted_at": job["at"],
            "started_at": job["at"] if job["status"] != "submitted" else None,
            "completed_at": job["at"] if job["status"] == "completed" else None,
            "child_job_ids": job["children"] if len(job["children"]) > 1 else None,
            "parent_job_id": None,
            "failure": self.failure if job["status"] == "failed" else None,
            "execution_duration_ms": 1500,
        }

    def listing(self, query):
        if "ids" in query:
            chosen = [self.jobs[one] for one in query["ids"][0].split(",") if one in self.jobs]
            for job in chosen:
                self.advance(job)
            return {"jobs": [self.shown(job) for job in chosen], "next": None}
        newest = list(reversed(self.jobs.values()))
        first = int(query.get("next", ["0"])[0])
        rest = newest[first : first + self.page]
        following = str(first + self.page) if first + self.page < len(newest) else None
        return {"jobs": [self.shown(job) for job in rest], "next": following}

    def target(self, name):
        return {
            "backend": name,
            "status": "available",
            "qubits": 29 if name == "simulator" else 36,
            "average_queue_time": 90_000,
            "characterization_id": None if name == "simulator" else "cal-7",
        }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider: Provider

    def do(self):
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.provider.mutex:
            self.provider.requests.append((self.command, self.path, dict(self.headers), body))
            if self.headers.get("Authorization") != f"apiKey {KEY}":
                return self.answer(401, {"statusCode": 401, "message": "bad key"})
            fault = self.fault(parts.path)
            if isinstance(fault, int):
                return self.answer(fault, {"statusCode": fault, "message": "injected"})
            status, content = self.provider.handle(self.command, parts.path, parse_qs(parts.query), body)
            if fault == "twice":
                status, content = self.provider.handle(self.command, parts.path, parse_qs(parts.query), body)
        if fault == "drop":
            self.close_connection = True
            return None
        if isinstance(fault, tuple):
            return self.answer(fault[1], {"statusCode": fault[1], "message": "injected after"})
        return self.answer(status, content if content is not None else {"statusCode": 404, "message": "not found"})

    do_GET = do_POST = do_PUT = do  # noqa: N815

    def fault(self, path):
        for number, (method, pattern, what) in enumerate(self.provider.faults):
            if method == self.command and re.search(pattern, path):
                del self.provider.faults[number]
                return what
        return None

    def answer(self, status, content):
        raw = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        if status == 429:
            self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        return


@contextmanager
def serving(provider):
    """The provider's address, as long as the block lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"provider": provider}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
