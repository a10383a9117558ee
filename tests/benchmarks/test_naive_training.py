"""The naive arm computes the right gradient, and the published figures are those of the results."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.measuring.gateway_process import gateway
from benchmarks.naive_training import (
    ARMS,
    RESULTS,
    SHOTS,
    TARGET,
    OneJobPerCircuit,
    Task,
    configuration,
    main,
    minimum_usd,
    naive_step,
    summary,
    table,
)
from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.losses import LOSSES
from quantum_db.models.saved_model import build_model
from quantum_db.pricing import CircuitSize, load_price_table
from quantum_db.training.model_spec import model_spec
from quantum_db.training.objective import BatchObjective

PAGE = Path(__file__).parents[2] / "docs" / "cost.md"


def exact(rows):
    return StatevectorExecutor(precision="complex128").run(Batch((rows,)))[0].values


def test_the_naive_step_is_the_step_of_the_exact_gradient():
    config, task = configuration("naive", 5), Task.iris(5)
    spec = model_spec(config.replace(qpu_target="simulator", shots_per_circuit=None), 2, 2)
    models = [build_model(spec, StatevectorExecutor(precision="complex128")) for _ in range(2)]
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in models]
    asked = []

    def run(rows):
        asked.append(rows.n_rows)
        return exact(rows)

    naive_step(models[0], optimizers[0], run, task.values[:8], task.labels[:8])
    BatchObjective(models[1], LOSSES.load("cross_entropy"), task.values[:8], task.labels[:8]).gradient()
    optimizers[1].step()
    assert float((models[0].quantum.weights - models[1].quantum.weights).detach().abs().max()) < 1e-12
    assert asked == [8] * (1 + 2 * 12)


def test_the_task_is_divided_in_halves_and_scaled_on_one():
    task = Task.iris(5)
    assert task.values.shape == task.test_values.shape == (50, 2)
    assert task.labels.sum() == task.test_labels.sum() == 25
    assert float(task.values.min()) == -1
    assert float(task.values.max()) == 1


def test_every_circuit_is_cheaper_than_the_minimum():
    # so "a minimum for each circuit" is the number of circuits times the minimum
    circuit = build_model(model_spec(configuration("spsa", 5), 2, 2), StatevectorExecutor()).quantum.circuit
    quote = load_price_table().quote(TARGET, [CircuitSize(*circuit.count_by_arity())], SHOTS)
    assert quote.high == quote.minimum == minimum_usd()


def test_the_results_hold_what_is_published():
    results = json.loads(RESULTS.read_text())
    runs = results["runs"]
    assert results["summary"] == json.loads(json.dumps(summary(runs)))
    assert {run["arm"] for run in runs} == set(ARMS)
    assert len({run["seed"] for run in runs}) * len(ARMS) == len(runs)
    assert all(run["reached"] and run["loss"] <= 0.25 for run in runs)
    for run in runs:
        assert Decimal(run["usd"]) >= run["jobs"] * minimum_usd() - Decimal("0.0001") * run["jobs"]
    same = results["summary"]["naive_over"]["parameter_shift"]
    assert same["jobs"] >= 50
    assert same["usd"] >= 5
    assert abs(same["accuracy_difference"]) <= 0.02
    assert table(results) in PAGE.read_text()


def test_the_table_is_printed_again_without_measuring(capsys, tmp_path):
    copy = tmp_path / "results.json"
    copy.write_text(RESULTS.read_text())
    assert main(["--report-only", "--output", str(copy)]) == 0
    assert capsys.readouterr().out.startswith("| arm | steps | jobs |")
    assert copy.read_text() == RESULTS.read_text()


@pytest.mark.slow
def test_cirq_ionq_gives_values_in_our_order(tmp_path):
    pytest.importorskip("cirq_ionq")
    config = configuration("naive", 5)
    circuit = build_model(model_spec(config, 2, 2), StatevectorExecutor()).quantum.circuit
    weights = np.linspace(0.05, 0.1, circuit.n_weights)
    rows = CircuitRows.of(circuit, weights, [[0.1, 0.9]])
    with gateway(tmp_path, f"sqlite:///{tmp_path}/ledger.db", "--workers", "1", "--simulate-qpus") as process:
        found = OneJobPerCircuit(f"http://127.0.0.1:{process.port}")(rows)
    expected = exact(rows)
    assert abs(expected[0, 0] - expected[0, 1]) > 0.5  # so that qubits in the wrong order would show
    assert found.shape == expected.shape
    # five standard errors of 200 shots, and the machine's noise
    assert np.abs(found - expected).max() < 5 / np.sqrt(SHOTS) + 0.05
