"""A run that is killed with SIGKILL and started again ends exactly as one that was left alone."""

from __future__ import annotations

import json
import multiprocessing
import random
import signal
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from quantum_db.checkpoints import LocalCheckpointStore
from tests.training.iris_run import train

HYBRID = {
    "model": "hybrid", "n_qubits": 3, "circuit_depth": 1, "hidden_in": 8, "hidden_out": 8, "batch_size": 8,
    "epochs": 6, "learning_rate": 0.05, "checkpoint_batches": 2, "validation_fraction": 0.2,
    "early_stopping_patience": 5, "seed": 3,
}  # fmt: skip
SAMPLED = {
    "model": "variational", "encoder": "reuploading", "n_qubits": 2, "circuit_depth": 1, "batch_size": 16,
    "epochs": 4, "learning_rate": 0.1, "checkpoint_batches": 3, "optimizer": "sgd",
    "gradient_method": "parameter_shift", "shots_per_circuit": 20, "seed": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    """Starts processes with the imports already done."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["quantum_db.training.trainer", "sklearn.datasets", "torch._dynamo"])
    return context


class Runs:
    """Processes that train in one folder."""

    def __init__(self, context: Any, settings: dict[str, Any], folder: Path) -> None:
        folder.mkdir()
        self.context, self.settings, self.folder = context, settings, folder
        self.answer = folder / "answer.json"
        self.store = LocalCheckpointStore(folder)

    def start(self) -> ForkServerProcess:
        process = self.context.Process(target=train, args=(self.settings, str(self.folder), str(self.answer)))
        process.start()
        return process

    def finish(self) -> dict[str, Any]:
        process = self.start()
        process.join(60)
        assert process.exitcode == 0
        return json.loads(self.answer.read_text())

    def position(self) -> tuple[int, int]:
        known = self.store.list("run")
        return (known[-1].epoch, known[-1].batch) if known else (0, 0)

    def kill_after(self, checkpoints: int, delay_s: float) -> None:
        """Start, wait for some new checkpoints and a little longer, kill."""
        process, seen = self.start(), self.position()
        deadline = time.monotonic() + 60
        while checkpoints and process.is_alive() and time.monotonic() < deadline:
            if (now := self.position()) != seen:
                seen, checkpoints = now, checkpoints - 1
            time.sleep(0.0005)
        time.sleep(delay_s)
        process.kill()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL, "the run was over before it could be killed"


@pytest.mark.parametrize("settings", [HYBRID, SAMPLED], ids=["hybrid", "sampled"])
def test_a_killed_run_ends_as_if_nothing_had_happened(processes, tmp_path, settings):
    alone = Runs(processes, settings, tmp_path / "alone").finish()
    runs = Runs(processes, settings, tmp_path / "killed")
    moments = random.Random(17)
    positions = []
    for _ in range(5):
        runs.kill_after(moments.randint(1, 4), moments.uniform(0, 0.03))
        positions.append(runs.position())
    assert positions == sorted(positions)
    assert len(set(positions)) == 5
    assert any(batch for _, batch in positions), "no kill fell inside an epoch"
    found = runs.finish()
    assert found.pop("resumed") == positions[-1][0]
    assert alone.pop("resumed") == 0
    assert found == alone
    assert len(alone["history"]) == settings["epochs"]
    assert alone["history"][-1]["loss"] < alone["history"][0]["loss"]
    assert not list((tmp_path / "killed" / "run").glob(".epoch-*"))
