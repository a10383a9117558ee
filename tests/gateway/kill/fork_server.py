"""Starts `qstore` processes in some 30 ms: a process that has imported everything forks one for every request.

python -m tests.gateway.kill.fork_server reads one JSON object per line: {"argv": [...], "env": {...}, "log": PATH}
starts a process and answers {"pid": N}; {"poll": PID} answers {"code": C}, with null while the process runs.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

# What the two commands import when they start; torch for the simulator.
MODULES = (
    "quantum_db.cli", "quantum_db.commands.gateway", "quantum_db.commands.worker", "quantum_db.gateway.ledger",
    "quantum_db.gateway.api.app", "quantum_db.gateway.api.service", "quantum_db.gateway.ledger.migrating",
    "quantum_db.gateway.process", "quantum_db.gateway.simulation", "quantum_db.gateway.worker",
    "quantum_db.gateway.worker.simulating", "quantum_db.pricing", "quantum_db.telemetry.gateway_metrics",
    "sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql.pg8000", "uvicorn", "uvicorn.protocols.http.auto",
    "uvicorn.lifespan.on", "prometheus_client", "alembic.command", "fastapi", "pg8000",
)  # fmt: skip


def serve() -> None:
    """Answer requests until standard input ends; then end every process that was started."""
    for module in MODULES:
        import_module(module)
    assert threading.active_count() == 1, "a thread would be missing in every process that is forked"
    gc.collect()
    gc.freeze()  # so that the garbage collector of a child does not copy every page
    started: set[int] = set()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if "poll" in asked:
            answer: dict[str, Any] = {"code": _poll(asked["poll"], started)}
        else:
            answer = {"pid": _start(asked["argv"], asked["env"], asked["log"])}
            started.add(answer["pid"])
        print(json.dumps(answer), flush=True)
    for pid in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _poll(pid: int, started: set[int]) -> int | None:
    done, status = os.waitpid(pid, os.WNOHANG)
    if not done:
        return None
    started.discard(pid)
    return os.waitstatus_to_exitcode(status)


def _start(argv: list[str], env: dict[str, str], log: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        # A process group of its own, and nothing of the server's input and output.
        os.setpgid(0, 0)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.update(env)
        from quantum_db.cli import main

        code = main(argv)
    except BaseException as error:  # noqa: BLE001 - it is written to the log; the server must not get it
        import traceback

        traceback.print_exception(error)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    serve()
