"""Stages of one training: simulator, noise, machine; each with the weights of the one before, resumable."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pytest
import torch

from quantum_db.errors import ConfigurationError, TrainingError
from quantum_db.execution.machines import Connection
from quantum_db.losses import LOSSES
from quantum_db.models.saved_model import build_model
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.model_spec import model_spec
from quantum_db.training.objective import BatchObjective
from quantum_db.training.progressive import ProgressiveTrainer, Stage, exact_loss, standard_stages, subset_rows
from quantum_db.training.trainer import QuantumTrainer
from tests.suites.gateway_process import prices, running_gateway
from tests.training.iris_run import iris_samples

KEY = "key-of-the-tests"
VALUES, LABELS = (rows[:20] for rows in iris_samples(5))
SETTINGS = {
    "model": "variational", "encoder": "angle", "n_qubits": 4, "circuit_depth": 1, "batch_size": 10, "epochs": 2,
    "learning_rate": 0.1, "seed": 1, "precision": "complex128",
}  # fmt: skip
CONFIG = QuantumTrainingConfig(**SETTINGS)
FREE = (
    Stage("simulator"),
    Stage("shots", {"gradient_method": "parameter_shift", "shots_per_circuit": 50, "batch_size": 4}, steps=3),
)


def config(folder, **changes):
    return QuantumTrainingConfig(**SETTINGS | {"checkpoint_directory": str(folder)} | changes)


def fit(folder, stages=FREE, **options):
    return ProgressiveTrainer(config(folder), stages, progress=False, **options).fit(VALUES, LABELS)


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same(one, other):
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_each_stage_begins_with_the_weights_of_the_one_before(tmp_path):
    found = fit(tmp_path / "a", report=tmp_path / "report.json")
    # the same by hand
    first = config(tmp_path / "b")
    trainer = QuantumTrainer(first, checkpoints=False, progress=False)
    model = trainer.build_model(4, 2)
    trainer.fit(model, VALUES, LABELS)
    second = FREE[1].configuration(first)
    rows = subset_rows(20, 12, 1, "shots")
    trainer = QuantumTrainer(second, checkpoints=False, progress=False)
    after = trainer.build_model(4, 2)
    after.load_state_dict(model.state_dict())
    result = trainer.fit(after, VALUES[rows], LABELS[rows])
    assert_same(weights(after), weights(found.model))
    assert [stage.name for stage in found.stages] == ["simulator", "shots"]
    assert [stage.steps for stage in found.stages] == [4, 3]
    assert found.stages[1].history[0]["loss"] == result.history[0]["loss"]
    assert (found.stages[0].loss, found.stages[0].accuracy) == exact_loss(first, model, VALUES, LABELS)
    assert json.loads((tmp_path / "report.json").read_text()) == [stage.to_json() for stage in found.stages]


def test_a_training_that_was_stopped_goes_on_in_its_stage(tmp_path, monkeypatch):
    undisturbed = fit(tmp_path / "a")
    real, calls = BatchObjective.gradient, []

    def stop(objective):
        calls.append(len(objective.labels))
        if len(calls) == 6:  # the second step of the second stage
            raise TrainingError("stopped here")
        return real(objective)

    monkeypatch.setattr(BatchObjective, "gradient", stop)
    with pytest.raises(TrainingError, match="stopped here"):
        fit(tmp_path / "b")
    again = fit(tmp_path / "b")
    # the first stage was not trained again, the second from its beginning (it has no checkpoint inside its epoch)
    assert calls[6:] == [4, 4, 4]
    assert_same(weights(undisturbed.model), weights(again.model))
    third = fit(tmp_path / "b")
    assert len(calls) == 9
    assert_same(weights(undisturbed.model), weights(third.model))
    assert [stage.to_json()["loss"] for stage in third.stages] == [stage.loss for stage in undisturbed.stages]


def test_a_changed_stage_is_trained_anew_with_all_after_it(tmp_path):
    first = fit(tmp_path)
    changed = fit(tmp_path, (Stage("simulator", {"learning_rate": 0.05}), FREE[1]))
    assert not {stage.run_id for stage in first.stages} & {stage.run_id for stage in changed.stages}
    assert_same(weights(fit(tmp_path).model), weights(first.model))


def test_the_gradient_of_a_subset_is_unbiased():
    model = build_model(model_spec(CONFIG, 4, 2))
    values, labels, loss = torch.as_tensor(VALUES), torch.as_tensor(LABELS), LOSSES.load("cross_entropy")

    def gradient(rows):
        BatchObjective(model, loss, values[rows], labels[rows]).gradient()
        return model.quantum.weights.grad.numpy().copy()

    whole = gradient(np.arange(20))
    # second batch of four of twelve drawn rows: any place is as good as the first
    draws = np.array([gradient(torch.as_tensor(subset_rows(20, 12, seed)[4:8])) for seed in range(400)])
    error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    live = error > 1e-9
    assert live.sum() >= 4
    assert np.all(np.abs(draws.mean(axis=0) - whole)[live] < 5 * error[live])
    np.testing.assert_allclose(draws.mean(axis=0)[~live], whole[~live], atol=1e-9)


def test_rows_repeat_only_when_all_were_used():
    rows = subset_rows(7, 17, 3)
    assert sorted(rows[:7]) == sorted(rows[7:14]) == list(range(7))
    assert len(set(rows[14:])) == 3
    assert np.array_equal(rows, subset_rows(7, 17, 3))
    assert not np.array_equal(rows, subset_rows(7, 17, 4))
    counts = np.bincount([subset_rows(7, 3, seed)[1] for seed in range(1400)], minlength=7)
    assert np.all(np.abs(counts - 200) < 5 * np.sqrt(200))


@pytest.mark.parametrize(("make", "match"), [
    (lambda: Stage("machine", {"n_qubits": 3}), "same model"),
    (lambda: Stage("A b"), "name"),
    (lambda: Stage("a", steps=0), "positive number of steps"),
    (lambda: Stage("a", {"epochs": 3}, steps=2), "steps and epochs"),
    (lambda: ProgressiveTrainer(CONFIG, ()), "different names"),
    (lambda: ProgressiveTrainer(CONFIG, (Stage("a"), Stage("a"))), "different names"),
    (lambda: ProgressiveTrainer(CONFIG, (Stage("a"), Stage("b", {"optimizer": "no"}))), "unknown optimizer 'no'"),
])  # fmt: skip
def test_impossible_stages_are_refused_before_anything_is_trained(make, match):
    with pytest.raises(ConfigurationError, match=match):
        make()


@pytest.mark.slow
def test_simulator_then_noise_then_a_few_steps_on_the_machine(tmp_path):
    table = prices(**{"qpu.forte-1": "0.5"})
    with running_gateway(tmp_path / "gateway", KEY, table, ["--simulate-qpus"]) as url:
        stages = standard_stages("qpu.forte-1", steps=2, noisy_steps=2, batch_size=3, shots=50)
        settings = config(tmp_path / "runs", price_table=str(tmp_path / "gateway" / "prices.json"))
        trainer = ProgressiveTrainer(settings, stages, connection=Connection(url=url, key=KEY), progress=False)
        found, again = trainer.fit(VALUES, LABELS), trainer.fit(VALUES, LABELS)
    assert [stage.target for stage in found.stages] == ["simulator", "noisy_simulator", "qpu.forte-1"]
    machine = found.stages[2]
    assert machine.steps == 2
    assert machine.jobs == 4  # two for each step
    assert Decimal(machine.cost_usd) >= 4 * Decimal("0.5")
    assert [stage.cost_usd for stage in found.stages[:2]] == ["0", "0"]
    # nothing is paid for again
    assert again.stages[2] == machine
    assert_same(weights(found.model), weights(again.model))
