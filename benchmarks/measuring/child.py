"""What runs in a process of its own: two contenders in turn, or one alone for its memory.

`python -m benchmarks.measuring.child '<json>' <output.json>`; the JSON has "mode" ("pair" or "alone"), "contender",
"n", "layers", "batch", "repeats", "limit" (seconds), "reference" (a file, see `reference`). The output is written again
after every round, so that a process that is killed leaves what it has.
"""

from __future__ import annotations

import gc
import json
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring.reference import read_reference
from benchmarks.measuring.work import Case, Numbers, Prepared, numbers_of
from benchmarks.peers import CONTENDERS, OURS, Contender
from quantum_db.files import write_json

BLOCK_SECONDS = 0.25
"""A contender runs steps for about so long, at least one and at most 50, before it is the other's turn."""
STEPS_FOR_MEMORY = 3


class Limit:
    """Seconds that a contender may use; when they are over, the system ends the process (SIGALRM)."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time in the block."""
        signal.setitimer(signal.ITIMER_REAL, max(self.left, 1e-3))
        try:
            yield
        finally:
            self.left = signal.setitimer(signal.ITIMER_REAL, 0)[0]


@dataclass
class Runner:
    """A contender at work: its first step, then blocks of steps."""

    contender: Contender
    limit: Limit
    first_step_ms: float = 0.0
    times_ms: list[float] = field(default_factory=list)
    block_seconds: float = 0.0
    result: tuple[Any, Any, Any] = (None, None, None)
    prepared: Prepared | None = None

    def first(self, case: Case, numbers: Numbers) -> None:
        """Build, trace, compile and run once; imports are done before."""
        with self.limit.running():
            started = time.perf_counter()
            self.prepared = self.contender.prepare(case, numbers)
            with self.prepared.around():
                self.result = self.prepared.step()
            self.first_step_ms = 1e3 * (time.perf_counter() - started)

    @property
    def ready(self) -> Prepared:
        """The contender after its first step."""
        if self.prepared is None:
            raise RuntimeError(f"{self.contender.name} has not run its first step")
        return self.prepared

    def block(self) -> None:
        """Run steps for BLOCK_SECONDS."""
        prepared = self.ready
        with self.limit.running(), prepared.around():
            started = time.perf_counter()
            before, steps = started, 0
            while steps == 0 or (before - started < BLOCK_SECONDS and steps < 50):
                prepared.step()
                now = time.perf_counter()
                self.times_ms.append(1e3 * (now - before))
                before, steps = now, steps + 1
            self.block_seconds = before - started

    def summary(self) -> dict[str, Any]:
        """The figures so far; no "ms" before the first block."""
        record: dict[str, Any] = {"first_step_ms": self.first_step_ms, "steps": len(self.times_ms)}
        if self.times_ms:
            low, middle, high = np.percentile(self.times_ms, (25, 50, 75))
            record |= {"ms": float(middle), "ms_quartiles": [float(low), float(high)]}
        return record


def arrays(result: tuple[Any, Any, Any], numbers: Numbers) -> dict[str, np.ndarray]:
    """Loss and gradients as float64 arrays of one shape, whoever computed them."""
    shapes = {"loss": (), "weights": numbers.weights.shape, "features": numbers.features.shape}
    return {
        name: np.asarray(part, dtype=np.float64).reshape(shapes[name])
        for name, part in zip(shapes, result, strict=True)
    }


def difference(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, float]:
    """The largest difference of each array, relative to its largest entry."""
    return {name: float(np.abs(one[name] - other[name]).max() / np.abs(other[name]).max()) for name in one}


def pair(spec: dict[str, Any], output: Path) -> None:
    """Ours and a peer in turn: A B A B."""
    case, numbers = _case(spec)
    peer = CONTENDERS[spec["contender"]]
    for contender in (OURS, peer):
        contender.load()
    ours, theirs = Runner(OURS, Limit(3600.0)), Runner(peer, Limit(spec["limit"]))
    record: dict[str, Any] = {}

    def save() -> None:
        record.update(ours=ours.summary(), peer=theirs.summary())
        write_json(output, record)

    exact = read_reference(Path(spec["reference"]))
    ours.first(case, numbers)
    save()
    theirs.first(case, numbers)
    record["error"] = {
        name: difference(arrays(runner.result, numbers), exact) for name, runner in (("ours", ours), ("peer", theirs))
    }
    save()
    for _ in range(spec["repeats"]):
        if theirs.times_ms and 1.2 * theirs.block_seconds > theirs.limit.left:
            break
        ours.block()
        theirs.block()
        save()


def alone(spec: dict[str, Any], output: Path) -> None:
    """One contender: its times, its error, and the peak of its memory above that after its imports."""
    case, numbers = _case(spec)
    contender = CONTENDERS[spec["contender"]]
    contender.load()
    gc.collect()
    baseline = _reset_peak()
    runner = Runner(contender, Limit(spec["limit"]))
    runner.first(case, numbers)
    steps = [_peak()]
    with runner.limit.running():
        for _ in range(STEPS_FOR_MEMORY - 1):
            runner.ready.step()
    steps.append(_peak())
    record: dict[str, Any] = {"peak_mb": max(steps) - baseline, "total_mb": max(steps), "imports_mb": baseline}
    record["error"] = difference(arrays(runner.result, numbers), read_reference(Path(spec["reference"])))
    write_json(output, record | runner.summary())
    for _ in range(spec["repeats"]):
        runner.block()
    write_json(output, record | runner.summary())


def _case(spec: dict[str, Any]) -> tuple[Case, Numbers]:
    case = Case(spec["n"], spec["layers"], spec["batch"])
    return case, numbers_of(case)


def _status_mb(name: str) -> float | None:
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), None)


def _reset_peak() -> float:
    """Set the process's peak memory back to what it holds now (Linux); return it in MB."""
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")
    return _peak()


def _peak() -> float:
    """The peak of resident memory in MB: VmHWM, which can be reset, or ru_maxrss where there is no /proc."""
    peak = _status_mb("VmHWM")
    if peak is not None:
        return peak
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    specification = json.loads(sys.argv[1])
    {"pair": pair, "alone": alone}[specification["mode"]](specification, Path(sys.argv[2]))
