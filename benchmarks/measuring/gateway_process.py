"""Processes of `qstore` to be measured, and what they take of the machine (Linux: from /proc)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring.lean_http import Connection

KEY = "key-of-the-benchmark"
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class Measured:
    """A running process."""

    pid: int
    port: int

    def cpu_s(self) -> float:
        """Processor seconds used so far, by all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self, peak: bool = False) -> float:
        """Resident memory now, or the most since the start."""
        name = "VmHWM:" if peak else "VmRSS:"
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

    def ready(self, path: str) -> bool:
        """Whether GET `path` answers 200."""
        try:
            with Connection(self.port) as connection:
                return connection.ask("GET", path)[0] == 200
        except OSError:
            return False


@contextmanager
def gateway(folder: Path, database: str, *options: str) -> Iterator[Measured]:
    """A gateway in a process of its own, ready."""
    arguments = ["gateway", "--database", database, "--max-body-mb", "64", *options]
    with _running(folder, arguments, "--port", "/ready") as process:
        yield process


@contextmanager
def worker(folder: Path, database: str) -> Iterator[Measured]:
    """A worker in a process of its own, ready."""
    with _running(folder, ["worker", "--database", database], "--metrics-port", "/health") as process:
        yield process


@contextmanager
def _running(folder: Path, arguments: Sequence[str], port_option: str, ready: str) -> Iterator[Measured]:
    port = free_port()
    setting = f"QSTORE_GATEWAY_API_KEYS=benchmark:{KEY}"
    command = ["env", setting, sys.executable, "-m", "quantum_db.cli", *arguments, port_option, str(port)]
    log = folder / f"{arguments[0]}-{port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder)
        try:
            measured = Measured(process.pid, port)
            deadline = time.monotonic() + _PATIENCE_S
            while not measured.ready(ready):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"qstore {arguments[0]} does not start: {log.read_text()[-2000:]}")
                time.sleep(0.05)
            yield measured
        finally:
            process.terminate()
            try:
                code = process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    if code != 0:
        raise RuntimeError(f"qstore {arguments[0]} ended with {code}: {log.read_text()[-2000:]}")


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
