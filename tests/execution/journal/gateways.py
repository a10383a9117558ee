"""Real gateways, started in no time, that play the provider."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[3]
PRICES = {
    "version": "test", "unit": "usd",
    "targets": {"simulator": {
        "model": "gate_shot", "gate_1q_shot": "0.00013", "gate_2q_shot": "0.0011", "minimum": "0.37",
        "minimum_mitigated": "0.37", "source": "https://example.org", "date": "2026-11-22", "note": "for this test",
    }},
}  # fmt: skip
# name -> (rules of the gateway's fault plan, seconds of its idempotency window; -1 switches all of it off)
POST = {"method": "POST", "path": "^/v0.4/jobs$"}
FAULTS = {
    "none": ([], -1),
    "429": ([{**POST, "kind": "status_before", "status": 429, "probability": 0.3}], -1),
    "503 after acceptance": ([{**POST, "kind": "status_after", "status": 503, "probability": 0.3}], -1),
    "504 after acceptance": ([{**POST, "kind": "status_after", "status": 504, "probability": 0.3}], -1),
    "lost answer": (
        [{**POST, "kind": "drop_answer", "probability": 0.3}, {"kind": "drop_answer", "probability": 0.03}], -1,
    ),
    "duplicate": ([{**POST, "kind": "duplicate", "probability": 0.5}], 2),
}  # fmt: skip


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class ForkServer:
    """The process of `killed_training`, which starts gateways and trainings in no time."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.execution.journal.killed_training"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout.readline(), "the fork server did not start"
        self.mutex = threading.Lock()

    def ask(self, **request):
        with self.mutex:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())

    def wait(self, pid):
        end = time.monotonic() + 120
        while self.ask(poll=pid)["code"] is None:
            assert time.monotonic() < end, "a process did not end"
            time.sleep(0.02)

    def train(self, folder, url, key, kills):
        """One training with its kills; the report."""
        folder.mkdir()
        self.wait(self.ask(folder=str(folder), url=url, key=key, kills=kills)["pid"])
        return json.loads((folder / "report.json").read_text())

    @contextmanager
    def gateway(self, folder, keys, fault):
        rules, window = FAULTS[fault]
        folder.mkdir()
        (folder / "prices.json").write_text(json.dumps(PRICES))
        port = free_port()
        argv = ["gateway", "--port", str(port), "--database", f"sqlite:///{folder}/ledger.db", "--workers", "1",
                "--price-table", str(folder / "prices.json"), "--long-poll-s", "5", "--idempotency-window-s",
                str(window)]  # fmt: skip
        if rules:
            (folder / "faults.json").write_text(json.dumps({"seed": 5, "rules": rules}))
            argv += ["--inject-faults", str(folder / "faults.json")]
        accounts = ",".join(f"{name}:{key}" for name, key in keys.items())
        pid = self.ask(argv=argv, env={"QSTORE_GATEWAY_API_KEYS": accounts}, log=str(folder / "log"))["pid"]
        try:
            wait_for(f"http://127.0.0.1:{port}", folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.kill(pid, signal.SIGTERM)
            self.wait(pid)

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)


def wait_for(url, log):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if httpx.get(f"{url}/ready", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"the gateway is not ready: {log.read_text()[-2000:] if log.exists() else 'no log'}")
