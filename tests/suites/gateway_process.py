"""A real `qstore gateway` with a worker, which plays the provider of circuits."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx


def prices(**targets: str) -> dict[str, Any]:
    """A price table in which a job on each of `targets` costs what gates and shots cost, at least the amount given."""
    rates = {"gate_1q_shot": "0.00013", "gate_2q_shot": "0.0011", "source": "https://example.org", "date": "2026-11-22"}
    rows = {
        name: {"model": "gate_shot", **rates, "minimum": least, "minimum_mitigated": least}
        for name, least in targets.items()
    }
    return {"version": "test", "unit": "usd", "targets": rows}


@contextmanager
def running_gateway(
    folder: Path, key: str, price_table: dict[str, Any] | None = None, options: Sequence[str] = ()
) -> Iterator[str]:
    """The address of a gateway whose one tenant has `key`; its ledger and log are in `folder`."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    given = ["--port", str(port), "--database", f"sqlite:///{folder}/ledger.db", "--workers", "1", *options]
    if price_table is not None:
        (folder / "prices.json").write_text(json.dumps(price_table))
        given += ["--price-table", str(folder / "prices.json")]
    environment = {**os.environ, "QSTORE_GATEWAY_API_KEYS": f"tester:{key}"}
    with (folder / "gateway.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "quantum_db.cli", "gateway", *given], env=environment, stdout=log, stderr=log
        )
        try:
            _wait(f"http://127.0.0.1:{port}", process, folder / "gateway.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{url}/ready", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"the gateway is not ready: {log.read_text()[-2000:]}")
