"""A real gateway process, and the clients run in an environment of their own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.circuits import CIRCUITS, NATIVE, SHIFTED

HERE = Path(__file__).parent
KEY = "conformance-key"
Ask = Callable[..., dict[str, Any]]


def clients_python() -> Path:
    """The interpreter of the clients' environment."""
    return Path(os.environ.get("QSTORE_CLIENTS_PYTHON", HERE.parents[1] / ".venv-clients" / "bin" / "python"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if clients_python().exists() or os.environ.get("QSTORE_REQUIRE_CLIENTS") == "1":
        return
    reason = "the clients' environment is not there; build it with: make clients"
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@contextmanager
def gateway(folder: Path, *options: str) -> Iterator[str]:
    """A gateway on a free port with a database in `folder`; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "quantum_db.cli", "gateway", "--port", str(port)]
    command += ["--database", f"sqlite:///{folder}/gateway.db", *options]
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(
            command, env={**os.environ, "QSTORE_GATEWAY_API_KEYS": f"tests:{KEY}"}, stdout=log, stderr=log, cwd=folder
        )
        try:
            _wait_for(f"{url}/ready", process, folder / "gateway.log")
            yield url
        finally:
            process.terminate()
            assert process.wait(20) in (0, -15, 143), (folder / "gateway.log").read_text()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the gateway did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway with one worker, which also plays the machines."""
    with gateway(tmp_path_factory.mktemp("running"), "--workers", "1", "--simulate-qpus") as url:
        yield url


@pytest.fixture(scope="session")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway without a worker: what is submitted stays in the queue."""
    with gateway(tmp_path_factory.mktemp("waiting"), "--workers", "0", "--long-poll-s", "0.2") as url:
        yield url


def ask(client: str, url: str, *scenarios: str, **more: Any) -> dict[str, Any]:
    """Run scenarios of a client in one new process of its environment; {scenario: answer}."""
    request = {
        "url": url, "circuits": CIRCUITS, "native": NATIVE, "shifted": SHIFTED, "scenarios": scenarios, **more,
    }  # fmt: skip
    done = subprocess.run(
        [str(clients_python()), str(HERE / "clients" / f"{client}_client.py")],
        input=json.dumps(request),
        env={**os.environ, "IONQ_API_KEY": KEY, "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers
