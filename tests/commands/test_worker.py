"""The process `qstore worker`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from quantum_db.cli import main
from tests.gateway.kill.processes import free_port


def start(tmp_path: Path, *more: str) -> tuple[subprocess.Popen[str], str]:
    port = free_port()
    command = [sys.executable, "-m", "quantum_db.cli", "worker", "--database", f"sqlite:///{tmp_path}/gateway.db"]
    process = subprocess.Popen(
        [*command, "--metrics-port", str(port), *more], stderr=subprocess.PIPE, text=True,
        env={**os.environ, "IONQ_API_KEY": "a-secret-key"},
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    end = time.monotonic() + 60
    while True:
        assert process.poll() is None, process.communicate()[1]
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
                assert answer.status == 200
                return process, url
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_a_worker_that_only_forwards_loads_no_torch_serves_metrics_and_ends_at_once(tmp_path: Path) -> None:
    process, url = start(tmp_path, "--targets", "qpu.forte-1", "--upstream-url", "http://127.0.0.1:9")
    time.sleep(0.3)
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        assert "qstore_gateway_upstream_waiting 0.0" in answer.read().decode()
    mapped = Path(f"/proc/{process.pid}/maps").read_text()
    assert "libtorch" not in mapped
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    assert time.monotonic() - began < 5
    assert "told to stop" in said
    assert "a-secret-key" not in said


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--targets", "qpu.nonsense"), "known: simulator"),
        (("--targets", " , "), "without targets"),
        (("--lease-s", "0"), "lease_s"),
        (("--targets", "qpu.forte-1", "--upstream-url", "api.ionq.co"), "web address"),
        (("--targets", "qpu.forte-1", "--upstream-url", "https://api.ionq.co"), "IONQ_API_KEY"),
    ],
)
def test_options_that_cannot_work_are_told_in_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    part: str,
) -> None:
    monkeypatch.delenv("IONQ_API_KEY", raising=False)
    if "api.ionq.co" in arguments:
        monkeypatch.setenv("IONQ_API_KEY", "k")
    monkeypatch.delenv("IONQ_API_KEY_FILE", raising=False)
    code = main(["worker", "--database", f"sqlite:///{tmp_path}/gateway.db", *arguments])
    said = capsys.readouterr().err.strip()
    assert code == 2
    assert part in said
    assert said.startswith("error:")
