"""Starts the measuring processes and ends those that take too long or too much memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring.work import Case
from benchmarks.peers import Contender

ROOT = Path(__file__).resolve().parents[2]
MEASURED, OVER_TIME, OVER_MEMORY = "measured", "over the limit", "over the memory limit"


@dataclass(frozen=True)
class Rules:
    """Rounds of A B, seconds for a peer and case, and GB that a process may take (0: no limit)."""

    repeats: int
    limit: float
    memory_gb: float


def run_child(mode: str, contender: Contender, case: Case, rules: Rules, reference: Path) -> dict[str, Any]:
    """Run one measuring process; its record with a "status". `reference` is what `write_reference` wrote."""
    spec = {"mode": mode, "contender": contender.name, "repeats": rules.repeats, "limit": rules.limit, **asdict(case)}
    spec["reference"] = str(reference)
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder) / "record.json", Path(folder) / "errors.txt"
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.measuring.child", json.dumps(spec), str(output)]
        with errors.open("wb") as stream, subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=stream) as process:
            over_memory = _watch(process, rules.memory_gb)
        record: dict[str, Any] = json.loads(output.read_text()) if output.exists() else {}
        return record | {"status": _status(process.returncode, over_memory, errors)}


def run_limits(cases: list[Case]) -> dict[str, Any]:
    """Measure the machine and count the cases' work in a process of its own; see `measuring.limits`."""
    sizes = json.dumps([[case.n, case.layers, case.batch] for case in cases])
    command = [sys.executable, "-m", "benchmarks.measuring.limits", sizes]
    answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    record: dict[str, Any] = json.loads(answer.stdout)
    return record


def available_gb() -> float:
    """Memory that can be taken now, in GB; 0 where /proc does not say."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return 0.0
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) / 2**20


def _watch(process: subprocess.Popen[bytes], memory_gb: float) -> bool:
    """Wait for the end; True if the process was killed for its memory."""
    try:
        while True:
            try:
                process.wait(timeout=0.1)
                return False
            except subprocess.TimeoutExpired:
                if memory_gb and _resident_gb(process.pid) > memory_gb:
                    process.kill()
                    return True
    except BaseException:
        process.kill()
        raise


def _resident_gb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):  # it has just ended, or there is no /proc
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**30


def _status(code: int, over_memory: bool, errors: Path) -> str:
    if over_memory:
        return OVER_MEMORY
    if code == 0:
        return MEASURED
    if code == -signal.SIGALRM:
        return OVER_TIME
    lines = errors.read_text(errors="replace").strip().splitlines()
    return f"failed ({code}): {lines[-1] if lines else 'no message'}"
