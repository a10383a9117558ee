"""A small training that is killed at a chosen point, again and again, until it is allowed to finish.

`python -m tests.execution.journal.killed_training` is a fork server. It reads one JSON object per line and answers
{"pid": N}: {"argv": [...], "env": {...}, "log": PATH} starts `qstore` with these arguments; {"folder", "url", "key",
"kills": [[point, occurrence], ...]} runs the training in a process for every kill, and once more without one, and
writes FOLDER/report.json. {"poll": PID} answers {"code": C}, null while it runs. All modules are loaded before the
first fork, so that a start takes some ten milliseconds.
"""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import sys
import threading
import time
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import cirq_ionq  # noqa: F401 - loaded once for all forks
import httpx  # noqa: F401
import numpy as np

from quantum_db import files
from quantum_db.backends.ionq import IonQBackend, IonQClient, IonQOptions
from quantum_db.backends.ionq.client import Pace
from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.circuits import Circuit, feature, op, weight
from quantum_db.errors import QStoreError
from quantum_db.execution.budget.local_ledger import LocalBudget
from quantum_db.execution.budgeted import BudgetedExecutor
from quantum_db.execution.journal import Journal
from quantum_db.execution.journal.chain import ChainWriter, seal
from quantum_db.execution.journaled import JournaledExecutor, Persistence
from quantum_db.execution.waiting import Patience
from quantum_db.pricing import CircuitSize, load_price_table

STEPS = 6
TARGET = "simulator"
CIRCUIT = Circuit(
    2,
    (
        op("RY", 0, angle=feature(0)), op("RY", 1, angle=feature(1)), op("CNOT", 0, 1),
        op("RX", 0, angle=weight(0)), op("CRY", 0, 1, angle=weight(1)),
    ),
    ("Z0", "X1"),
)  # fmt: skip
FEATURES = np.array([[0.3, -0.9], [1.2, 0.4], [-0.5, 0.8]])
PACE = Pace(connect=5, answer=20, patience=20, first_delay=0.01, longest_delay=0.1, per_second=1e4, burst=1000)
PERSISTENCE = Persistence(settle=0.25, look=0.05, busy=20, first_delay=0.01, longest_delay=0.1)

GATEWAY_MODULES = (
    "quantum_db.cli", "quantum_db.commands.gateway", "quantum_db.gateway.process", "quantum_db.gateway.api.app",
    "quantum_db.gateway.worker.simulating", "quantum_db.gateway.ledger.migrating", "uvicorn",
    "uvicorn.protocols.http.auto", "uvicorn.lifespan.on", "alembic.command", "sqlalchemy.dialects.sqlite",
)  # fmt: skip
_STEPS = ("reserve", "intent", "submit", "submitted", "collect", "result", "settle", "checkpoint")
POINTS = (
    *(f"{name}:{when}" for name in _STEPS for when in ("before", "after")),
    *("intent:torn", "submitted:torn", "result:torn", "waiting:before", "anywhere:before"),
)
"""Where a process can be killed: before and after every step that leaves a trace, and in the middle of every write."""


class Killer:
    """Kills this process when it comes to `point` for the time number `occurrence`."""

    def __init__(self, point: str, occurrence: int) -> None:
        self.point, self.left = point, occurrence
        if point == "anywhere:before":
            delay = random.Random(occurrence).uniform(0.0, 0.4)
            threading.Thread(target=self._later, args=(delay,), daemon=True).start()

    @staticmethod
    def _later(delay: float) -> None:
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGKILL)

    def at(self, point: str) -> None:
        """This process has come to `point`."""
        if self.due(point):
            os.kill(os.getpid(), signal.SIGKILL)

    def due(self, point: str) -> bool:
        """Whether it is to be killed at `point` now."""
        if point == self.point:
            self.left -= 1
        return point == self.point and self.left == 0

    def around(self, owner: object, method: str, name: str) -> None:
        """Come to `name`:before and `name`:after around every call of `owner.method`."""
        inner = getattr(owner, method)

        def call(*given, **named):
            self.at(f"{name}:before")
            answer = inner(*given, **named)
            self.at(f"{name}:after")
            return answer

        object.__setattr__(owner, method, call)


def highest_price(prices: Path):
    """The high reading of the price table in `prices`."""
    table = load_price_table(prices)

    def price(sizes, shots):
        return table.quote(TARGET, [CircuitSize(*size) for size in sizes], shots).high

    return price


def executor(folder: Path, url: str, key: str, killer: Killer) -> BudgetedExecutor:
    """The executor of a run, with a killer at every step."""
    backend = IonQBackend.connect(IonQClient(url, key, PACE), TARGET, IonQOptions())
    journal = Journal.open(folder, "run")
    journaled = JournaledExecutor(backend, journal, Patience(0.01, 0.1, 60), PERSISTENCE)
    ledger = LocalBudget.open(folder, "run", Decimal(1000))
    killer.around(backend, "submit", "submit")
    killer.around(backend, "collect", "collect")
    killer.around(backend, "statuses", "waiting")
    killer.around(ledger, "reserve", "reserve")
    killer.around(ledger, "settle", "settle")
    append = ChainWriter.append

    def killed_append(self, record):
        kind = record["kind"]
        killer.at(f"{kind}:before")
        if killer.due(f"{kind}:torn"):
            raw, _ = seal(record, self._before)
            os.write(self._file, raw[: len(raw) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        line = append(self, record)
        killer.at(f"{kind}:after")
        return line

    ChainWriter.append = killed_append
    return BudgetedExecutor(journaled, ledger, highest_price(folder.parent / "prices.json"))


def train(folder: Path, url: str, key: str, killer: Killer) -> None:
    """Descend by the shift rule, half of the steps exact and half with shots; a checkpoint after every second step."""
    machine = executor(folder, url, key, killer)
    path = folder / "checkpoint.json"
    state = files.read_json(path) if path.exists() else {"step": 0, "weights": [0.4, -0.7]}
    weights = np.array(state["weights"])
    for step in range(state["step"], STEPS):
        weights = weights - 0.3 * gradient(machine, weights, step)
        if step % 2 or step == STEPS - 1:
            killer.at("checkpoint:before")
            files.write_json(path, {"step": step + 1, "weights": weights.tolist()})
            killer.at("checkpoint:after")
    files.write_json(folder / "done.json", weights.tolist())


def gradient(machine: BudgetedExecutor, weights: np.ndarray, step: int) -> np.ndarray:
    """The gradient of the mean of both observables over all samples, from one batch of shifted circuits."""
    shifts = [(0, np.pi / 2), (0, -np.pi / 2), (1, np.pi / 2), (1, -np.pi / 2)]
    rows = np.array([weights + shift * np.eye(2)[place] for place, shift in shifts])
    part = CircuitRows(CIRCUIT, np.repeat(rows, 3, axis=0), np.tile(FEATURES, (4, 1)))
    (found,) = machine.run(Batch((part,), 200 if step % 2 else None, seed=step))
    means = found.values.reshape(4, 3, 2).mean(axis=(1, 2))
    return np.array([means[0] - means[1], means[2] - means[3]]) / 2


def attempt(folder: Path, url: str, key: str, kill: list | None) -> int:
    """One process; its exit status."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 70
    try:
        train(folder, url, key, Killer(*(kill or ("never", 0))))
        code = 0
    except QStoreError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def kill_and_train(folder: Path, url: str, key: str, kills: list) -> None:
    """Attempts until one finishes; a report of which kills struck."""
    killed, attempts, planned = [], 0, len(kills)
    while not (folder / "done.json").exists() and attempts < planned + 20:
        kill = kills.pop(0) if kills else None
        attempts += 1
        if attempt(folder, url, key, kill) == -signal.SIGKILL:
            killed.append(kill[0])
    files.write_json(folder / "report.json", {"killed": killed, "attempts": attempts})


def command(argv: list, env: dict, log: str) -> None:
    """`qstore` with these arguments."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.update(env)
    from quantum_db.cli import main

    main(argv)


def forked(work, *given) -> int:
    """The id of a process that does `work` and nothing else."""
    pid = os.fork()
    if not pid:
        try:
            os.setpgid(0, 0)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(2, 1)  # the server's answers are its own
            work(*given)
        finally:
            os._exit(0)
    return pid


def serve() -> None:
    """Answer requests until standard input ends."""
    for module in GATEWAY_MODULES:
        import_module(module)
    assert threading.active_count() == 1, "a thread would be missing in every process that is forked"
    gc.collect()
    gc.freeze()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if "poll" in asked:
            done, status = os.waitpid(asked["poll"], os.WNOHANG)
            answer = {"code": os.waitstatus_to_exitcode(status) if done else None}
        elif "argv" in asked:
            answer = {"pid": forked(command, asked["argv"], asked["env"], asked["log"])}
        else:
            folder = Path(asked["folder"])
            answer = {"pid": forked(kill_and_train, folder, asked["url"], asked["key"], asked["kills"])}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
