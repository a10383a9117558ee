"""The parts of `benchmarks.gateway`: each starts processes, measures them and returns one record."""

from __future__ import annotations

import itertools
import json
import os
import resource
import selectors
import signal
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measuring.gateway_process import KEY, Measured, gateway, worker
from benchmarks.measuring.gateway_work import Bodies
from benchmarks.measuring.lean_http import Connection, head_of, request

JOBS, JOB_SIZE, CONNECTIONS, ROUNDS = 12, 500, 3, 3
LATENCY_SIZES, LATENCY_JOBS = (1, 10, 100, 500), 15
SINGLE_JOBS, SINGLE_CONNECTIONS = 1500, 16
POLLS, HELD_S = 2000, 10.0
BACKLOG = 30


def throughput(folder: Path) -> dict[str, Any]:
    """Circuits per second through a gateway, in turns with the same circuits run directly."""
    bodies = Bodies(JOB_SIZE)
    direct_s: list[float] = []
    through: list[dict[str, float]] = []
    with gateway(folder, f"sqlite:///{folder}/gateway.db", "--workers", "1") as process:
        _spread(process, [bodies.next() for _ in range(CONNECTIONS)], _whole_job)  # warms both up
        _direct(bodies, 1)
        for _ in range(ROUNDS):
            direct_s.append(_direct(bodies, 4) / 4)
            sent = [bodies.next() for _ in range(JOBS)]
            with used(process) as spent:
                _spread(process, sent, _whole_job)
            through.append(spent)
    circuits = JOBS * JOB_SIZE
    rates = [circuits / spent["wall_s"] for spent in through]
    direct = [JOB_SIZE / seconds for seconds in direct_s]
    return {
        "circuits_per_s": statistics.median(rates),
        "circuits_per_s_of_rounds": rates,
        "direct_circuits_per_s": statistics.median(direct),
        "ratio_to_direct": statistics.median(rate / other for rate, other in zip(rates, direct, strict=True)),
        "circuits_per_cpu_s": ROUNDS * circuits / sum(spent["server_s"] for spent in through),
        "client_share": _client_share(through),
        "body_bytes": len(bodies.next()),
        "connections": CONNECTIONS,
    }


def latency(folder: Path) -> dict[str, Any]:
    """Milliseconds from POST to the results, less those of the simulation; one job at a time."""
    rows = {}
    with gateway(folder, f"sqlite:///{folder}/gateway.db", "--workers", "1") as process, _connected(process) as ask:
        for size in LATENCY_SIZES:
            bodies = Bodies(size)
            _whole_job(ask, bodies.next())
            _direct(bodies, 1)
            whole, direct = [], []
            for _ in range(LATENCY_JOBS):
                direct.append(1000 * _direct(bodies, 1))
                body = bodies.next()
                began = time.perf_counter()
                _whole_job(ask, body)
                whole.append(1000 * (time.perf_counter() - began))
            added = [one - other for one, other in zip(whole, direct, strict=True)]
            rows[str(size)] = {
                "added_ms": statistics.median(added),
                "least_added_ms": min(added),
                "whole_ms": statistics.median(whole),
                "direct_ms": statistics.median(direct),
            }
    return {"circuits": rows, "jobs": LATENCY_JOBS}


def accepting(folder: Path) -> dict[str, Any]:
    """Jobs of one circuit accepted per second: each is in the ledger, on disk, when it is answered."""
    found = {}
    for name, workers in (("alone", "0"), ("with_worker", "1")):
        bodies = Bodies(1)
        with gateway(folder, f"sqlite:///{folder}/{name}.db", "--workers", workers) as process:
            _spread(process, [bodies.next() for _ in range(100)], _submit, SINGLE_CONNECTIONS)
            sent = [bodies.next() for _ in range(SINGLE_JOBS)]
            with used(process) as spent:
                _spread(process, sent, _submit, SINGLE_CONNECTIONS)
        found[name] = {
            "accepted_per_s": SINGLE_JOBS / spent["wall_s"],
            "accepted_per_cpu_s": SINGLE_JOBS / spent["server_s"],
            "client_share": _client_share([spent]),
        }
    return {**found, "connections": SINGLE_CONNECTIONS, "jobs": SINGLE_JOBS}


def polls(folder: Path) -> dict[str, Any]:
    """2,000 held requests, each for a job of its own; then a worker runs the jobs and all are answered."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the gateway inherits it
    database, bodies = f"sqlite:///{folder}/gateway.db", Bodies(1)
    with gateway(folder, database, "--workers", "0") as process:
        before = process.memory_mb()
        jobs = _spread(process, [bodies.next() for _ in range(POLLS)], _submit, SINGLE_CONNECTIONS)
        held = _HeldPolls(process.port, jobs)
        held.look(until=time.monotonic() + 60, enough=lambda: held.answers >= POLLS)  # the first look is short
        cpu, began = process.cpu_s(), time.monotonic()
        held.look(until=began + HELD_S)
        memory, cpu = process.memory_mb(), process.cpu_s() - cpu
        waiting = len(held.waiting)
        with worker(folder, database):
            began = time.monotonic()
            held.look(until=began + 120, enough=lambda: not held.waiting)
            answered_s = time.monotonic() - began
        return {
            "polls": waiting,
            "errors": held.errors + len(held.waiting),
            "memory_before_mb": before,
            "memory_mb": memory,
            "peak_memory_mb": process.memory_mb(peak=True),
            "cpu_share_while_held": cpu / HELD_S,
            "all_answered_s": answered_s,
        }


def two_workers(folder: Path) -> dict[str, Any]:
    """A backlog on PostgreSQL run by one worker process, by two, and by one again."""
    from tests.gateway.postgresql import PostgresServer, find_programs

    programs = find_programs()
    if programs is None:
        raise SystemExit("error: there is no PostgreSQL on this machine; on Debian: apt-get install postgresql")
    runs: dict[int, list[float]] = {1: [], 2: []}
    with PostgresServer(programs) as server:
        for count in (1, 2, 1, 2):
            database = server.new_database()
            with ExitStack() as stack:
                process = stack.enter_context(gateway(folder, database, "--workers", "0"))
                own = [stack.enter_context(worker(folder, database)) for _ in range(count)]
                runs[count].append(_backlog(process, own))
    rates = {count: BACKLOG * JOB_SIZE / statistics.median(seconds) for count, seconds in runs.items()}
    return {
        "one": {"circuits_per_s": rates[1], "seconds": runs[1]},
        "two": {"circuits_per_s": rates[2], "seconds": runs[2]},
        "ratio": rates[2] / rates[1],
        "jobs": BACKLOG,
    }


def _backlog(process: Measured, workers: Sequence[Measured]) -> float:
    """Seconds in which stopped workers, once they go on, run jobs that wait."""
    bodies = Bodies(JOB_SIZE)
    _spread(process, [bodies.next() for _ in range(2 * len(workers))], _whole_job)  # warms them up
    for one in workers:
        os.kill(one.pid, signal.SIGSTOP)
    jobs = _spread(process, [bodies.next() for _ in range(BACKLOG)], _submit)
    began = time.perf_counter()
    for one in workers:
        os.kill(one.pid, signal.SIGCONT)
    with _connected(process) as ask:
        for job_id in jobs:
            _wait(ask, job_id)
    return time.perf_counter() - began


Ask = Callable[[str, str, bytes], bytes]


@contextmanager
def _connected(process: Measured) -> Iterator[Ask]:
    """A connection; anything but success ends the benchmark."""
    with Connection(process.port, KEY) as connection:

        def ask(method: str, path: str, body: bytes = b"") -> bytes:
            status, answer = connection.ask(method, path, body)
            if status not in (200, 201):
                raise RuntimeError(f"{method} {path} was answered {status}: {answer[:500]!r}")
            return answer

        yield ask


def _submit(ask: Ask, body: bytes) -> str:
    return str(json.loads(ask("POST", "/v0.4/jobs", body))["id"])


def _wait(ask: Ask, job_id: str) -> None:
    while True:
        answer = ask("GET", f"/v0.4/jobs/{job_id}", b"")
        if b'"status":"completed"' in answer:
            return
        if b'"status":"failed"' in answer or b'"status":"canceled"' in answer:
            raise RuntimeError(f"a job did not complete: {answer[:1000]!r}")


def _whole_job(ask: Ask, body: bytes) -> str:
    job_id = _submit(ask, body)
    _wait(ask, job_id)
    ask("GET", f"/v0.4/jobs/{job_id}/results/probabilities", b"")
    return job_id


def _spread(
    process: Measured, sent: Sequence[bytes], do: Callable[[Ask, bytes], str], connections: int = CONNECTIONS
) -> list[str]:
    """Do something with every body, over several connections; the ids of the jobs."""
    left, found, failures = iter(sent), list[str](), list[Exception]()
    lock = threading.Lock()

    def run() -> None:
        try:
            with _connected(process) as ask:
                while True:
                    with lock:
                        body = next(left, None)
                    if body is None:
                        return
                    found.append(do(ask, body))
        except Exception as error:  # noqa: BLE001 - raised below
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(min(connections, len(sent)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return found


def _direct(bodies: Bodies, jobs: int) -> float:
    """Seconds for reading and simulating the circuits of as many jobs in this process."""
    from quantum_db.circuits.ionq import read_input
    from quantum_db.gateway.simulation import run_exact

    kind = "ionq.multi-circuit.v1" if bodies.count > 1 else "ionq.circuit.v1"
    inputs = list(itertools.islice(itertools.cycle(bodies.inputs()), jobs))
    began = time.perf_counter()
    for given in inputs:
        run_exact(read_input(kind, given).circuits)
    return time.perf_counter() - began


@contextmanager
def used(process: Measured) -> Iterator[dict[str, float]]:
    """Filled at the end with the seconds that passed, and those of the processor of the server and of this process."""
    spent: dict[str, float] = {}
    wall, own, server = time.perf_counter(), time.process_time(), process.cpu_s()
    yield spent
    spent["wall_s"] = time.perf_counter() - wall
    spent["client_s"] = time.process_time() - own
    spent["server_s"] = process.cpu_s() - server


def _client_share(spent: Sequence[dict[str, float]]) -> float:
    client, server = sum(one["client_s"] for one in spent), sum(one["server_s"] for one in spent)
    return client / (client + server)


class _HeldPolls:
    """GETs of jobs, each on its own connection and repeated until the job is completed."""

    def __init__(self, port: int, jobs: Sequence[str]) -> None:
        self.errors = 0
        self.answers = 0
        self.waiting: set[str] = set()
        self._selector = selectors.DefaultSelector()
        for job_id in jobs:
            connection = socket.create_connection(("127.0.0.1", port), timeout=60)
            connection.sendall(request("GET", f"/v0.4/jobs/{job_id}", key=KEY))
            connection.setblocking(False)
            self._selector.register(connection, selectors.EVENT_READ, (job_id, bytearray()))
            self.waiting.add(job_id)

    def look(self, until: float, enough: Callable[[], bool] = lambda: False) -> None:
        """Take answers until a time, or until there are enough."""
        while not enough() and (left := until - time.monotonic()) > 0:
            for key, _ in self._selector.select(min(left, 0.2)):
                self._take(key)

    def _take(self, key: selectors.SelectorKey) -> None:
        job_id, received = key.data
        connection = key.fileobj
        assert isinstance(connection, socket.socket)
        part = connection.recv(65536)
        received += part
        head = head_of(received)
        if part and (head is None or len(received) < head[1] + head[2]):
            return
        self.answers += 1
        if not part or head is None or head[0] != 200:
            self.errors += 1
        elif b'"status":"completed"' not in received:
            received.clear()
            connection.sendall(request("GET", f"/v0.4/jobs/{job_id}", key=KEY))
            return
        self._selector.unregister(connection)
        connection.close()
        self.waiting.discard(job_id)
