"""`qstore gateway` as a process."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from quantum_db import cli
from quantum_db.errors import ConfigurationError
from quantum_db.gateway.generated_key import generated_key
from quantum_db.gateway.process import GatewayProcessOptions, read_tenants

KEY = "key-of-the-test"
BODY = {
    "type": "ionq.circuit.v1",
    "backend": "simulator",
    "input": {"gateset": "qis", "qubits": 2, "circuit": [{"gate": "x", "target": 1}]},
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, method: str, path: str, body: Any = None, key: str = KEY) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Authorization": f"apiKey {key}"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@contextmanager
def running(folder: Path, *options: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A gateway process that answers, and its port."""
    port = free_port()
    command = [sys.executable, "-m", "quantum_db.cli", "gateway", "--port", str(port), *options]
    own = {name: value for name, value in os.environ.items() if not name.startswith(("QSTORE_", "IONQ_"))}
    process = subprocess.Popen(
        command, cwd=folder, env={**own, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 90
        while True:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "the gateway does not answer"
            try:
                if ask(port, "GET", "/ready")[0] == 200:
                    break
            except OSError:
                time.sleep(0.1)
        yield process, port
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=40)
    return process.returncode, out, err


def test_a_gateway_with_a_worker_runs_a_job_and_ends_when_told(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "1", QSTORE_GATEWAY_API_KEYS=f"lab:{KEY}") as (process, port):
        status, made = ask(port, "POST", "/v0.4/jobs", BODY)
        assert status == 201
        for _ in range(60):
            job = ask(port, "GET", f"/v0.4/jobs/{made['id']}")[1]
            if job["status"] == "completed":
                break
        assert ask(port, "GET", job["results"]["probabilities"]["url"]) == (200, {"2": 1.0})
        code, out, err = ended(process)
    assert code == 0
    assert f"Circuit gateway on http://127.0.0.1:{port}/v0.4" in out
    assert f"CIRQ_IONQ_REMOTE_HOST=http://127.0.0.1:{port}" in out
    assert "Traceback" not in err
    assert KEY not in out + err


def test_without_keys_one_is_made_and_only_its_place_is_told(tmp_path: Path) -> None:
    with running(tmp_path) as (process, port):
        file = tmp_path / "gateway.key"
        key = file.read_text().strip()
        assert len(key) == 48
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert ask(port, "GET", "/v0.4/whoami", key=key)[1]["key_name"] == "local"
        assert ask(port, "GET", "/v0.4/whoami", key="another-key")[0] == 401
        code, out, err = ended(process)
    assert code == 0
    assert "gateway.key" in out
    assert key not in out + err


def test_held_requests_are_answered_when_the_gateway_is_told_to_end(tmp_path: Path) -> None:
    with running(tmp_path, QSTORE_GATEWAY_API_KEYS=f"lab:{KEY}") as (process, port):
        job_id = ask(port, "POST", "/v0.4/jobs", BODY)[1]["id"]
        ask(port, "GET", f"/v0.4/jobs/{job_id}")
        answers: list[tuple[int, Any]] = []
        thread = threading.Thread(target=lambda: answers.append(ask(port, "GET", f"/v0.4/jobs/{job_id}")))
        thread.start()
        time.sleep(1)
        assert not answers
        began = time.monotonic()
        code, _, err = ended(process)
        thread.join(10)
    assert time.monotonic() - began < 10  # the hold would have taken 20 s
    assert (code, answers[0][0], answers[0][1]["status"]) == (0, 200, "ready")
    assert "Traceback" not in err


def test_a_dropped_answer_closes_the_connection_after_the_job_was_made(tmp_path: Path) -> None:
    rule = {"kind": "drop_answer", "method": "POST", "path": "/jobs$", "nth": 1}
    (tmp_path / "plan.json").write_text(json.dumps({"rules": [rule]}))
    with running(tmp_path, "--inject-faults", "plan.json", QSTORE_GATEWAY_API_KEYS=f"lab:{KEY}") as (process, port):
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            ask(port, "POST", "/v0.4/jobs", BODY)
        assert len(ask(port, "GET", "/v0.4/jobs")[1]["jobs"]) == 1
        code, out, err = ended(process)
    assert code == 0
    assert "Faults are injected" in out
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--port", "0"], "port 0 is not a TCP port"),
        (["--workers", "-1"], "--workers is -1"),
        (["--long-poll-s", "60"], "clients give up"),
        (["--max-body-mb", "0"], "--max-body-mb is 0"),
        (["--idempotency-window-s", "-2"], "--idempotency-window-s is -2"),
        (["--host", "no such host"], "the host 'no such host' is not known here"),
        (["--simulate-qpus", "--upstream-url", "https://example.org"], "exclude each other"),
        (["--inject-faults", "none.json"], "none.json does not exist"),
        (["--price-table", "none.json"], "none.json"),
        (["--database", "mysql://x"], "mysql"),
        (["--open"], "--open"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_exit_code_two(
    options: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QSTORE_GATEWAY_API_KEYS", f"lab:{KEY}")
    given = options if "--port" in options else ["--port", str(free_port()), *options]
    assert cli.main(["gateway", *given]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert says in err


def test_a_taken_port_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert cli.main(["gateway", "--port", str(taken.getsockname()[1])]) == 2
    assert not (tmp_path / "gateway.db").exists()


def test_keys_come_from_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps([{"tenant": "filed", "key": "filed-key"}]))
    monkeypatch.setenv("QSTORE_GATEWAY_API_KEYS_FILE", str(file))
    monkeypatch.delenv("QSTORE_GATEWAY_API_KEYS", raising=False)
    assert read_tenants("sqlite:///x.db")[0].names() == ("filed",)
    monkeypatch.setenv("QSTORE_GATEWAY_API_KEYS", "named:named-key")
    with pytest.raises(ConfigurationError, match="both set"):
        read_tenants("sqlite:///x.db")
    monkeypatch.delenv("QSTORE_GATEWAY_API_KEYS_FILE")
    assert read_tenants("sqlite:///x.db")[0].names() == ("named",)


def test_a_made_key_is_used_again_and_must_stay_private(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'deep' / 'ledger.db'}"
    key, file = generated_key(database)
    assert file == tmp_path / "deep" / "ledger.key"
    assert generated_key(database) == (key, file)
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="can be read by others; run: chmod 600"):
        generated_key(database)
    file.chmod(0o600)
    file.write_text("\n")
    with pytest.raises(ConfigurationError, match="is empty"):
        generated_key(database)


def test_defaults_are_those_of_the_command() -> None:
    from quantum_db.commands.gateway import GatewayOptions

    options, defaults = GatewayProcessOptions(), GatewayOptions()
    shared = {name: value for name, value in vars(options).items() if name != "worker_options"}
    assert shared == vars(defaults)
