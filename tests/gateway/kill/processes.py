"""Processes of `qstore` that tests start, kill and start again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

ROOT = Path(__file__).resolve().parents[3]


class ForkServer:
    """The server of `fork_server.py`; safe to use from several threads."""

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.gateway.kill.fork_server"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        ready = self._process.stdout.readline()
        assert ready, "the fork server did not start; its error is above"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request and return its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


class Process:
    """One `qstore` command that can be killed and started again, always with the same arguments."""

    def __init__(self, server: ForkServer, argv: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self._server = server
        self._request = {"argv": list(argv), "env": dict(env), "log": str(log)}
        self.log = log
        self.pid = 0
        self.starts = 0

    def start(self) -> None:
        """Start it, if it does not run."""
        if self.pid:
            return
        self.pid = self._server.ask(**self._request)["pid"]
        self.starts += 1

    def stop(self, number: int = signal.SIGKILL, within_s: float = 15.0) -> int | None:
        """Send a signal and wait for the end; the exit code, None when it did not run."""
        if not self.pid:
            return None
        os.kill(self.pid, number)
        end = time.monotonic() + within_s
        while (code := self._server.ask(poll=self.pid)["code"]) is None:
            assert time.monotonic() < end, (
                f"the process did not end within {within_s} s of signal {number}; {self.tail()}"
            )
            time.sleep(0.01)
        self.pid = 0
        return int(code)

    def ended(self) -> int | None:
        """The exit code of a process that ended by itself, None while it runs."""
        if not self.pid:
            return None
        code = self._server.ask(poll=self.pid)["code"]
        if code is not None:
            self.pid = 0
        return code

    def tail(self, characters: int = 3000) -> str:
        """The end of what it wrote."""
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until_it_answers(url: str, process: Process, within_s: float = 30.0) -> None:
    """Wait for GET /ready to answer 200."""
    end = time.monotonic() + within_s
    with httpx.Client(timeout=2.0) as client:
        while time.monotonic() < end:
            assert process.ended() is None, f"the process ended: {process.tail()}"
            try:
                if client.get(f"{url}/ready").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.02)
    raise AssertionError(f"{url} is not ready after {within_s} s: {process.tail()}")
