"""Every optimizer of the table trains real models through the trainer, and goes on after a stop bit for bit."""

import numpy as np
import pytest
import torch

from quantum_db.errors import ConfigurationError, TrainingError
from quantum_db.losses import LOSSES
from quantum_db.optimizers import OPTIMIZERS
from quantum_db.optimizers.build import make_optimizer
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.objective import BatchObjective
from quantum_db.training.step import evaluate, optimization_step
from quantum_db.training.trainer import QuantumTrainer
from tests.suites.recording_executor import RecordingExecutor
from tests.training.iris_run import iris_samples, outcome

VALUES, LABELS = iris_samples(5)
ANNEALING = {"learning_rate": 0.5, "optimizer_options": {"temperature": 0.2, "final_temperature": 0.005}}
SETTINGS = {
    "adam": {"learning_rate": 0.1},
    "cobyla": {"learning_rate": 0.5, "optimizer_options": {"evaluations": 500}},
    "sgd": {"learning_rate": 0.1, "optimizer_options": {"momentum": 0.5}},
    "quantum_natural_gradient": {"learning_rate": 0.05, "optimizer_options": {"momentum": 0.5, "base": "adam"}},
    "spsa": {"learning_rate": 0.1},
    "qn_spsa": {"learning_rate": 0.02, "optimizer_options": {"draws": 4}},
    "quantum_annealing": ANNEALING,
    "simulated_annealing": ANNEALING,
}


def config_of(name, tmp_path, **changes):
    given = {
        "model": "variational", "encoder": "reuploading", "n_qubits": 2, "circuit_depth": 2, "batch_size": 30,
        "epochs": 20, "seed": 1, "checkpoint_directory": str(tmp_path), "optimizer": name, **SETTINGS[name],
    }  # fmt: skip
    return QuantumTrainingConfig(**(given | changes))


def fit(config, executor=None, **options):
    trainer = QuantumTrainer(config, executor=executor, progress=False, **options)
    model = trainer.build_model(VALUES.shape[1], 3)
    return model, trainer.fit(model, VALUES, LABELS)


def loss_of(model):
    values = torch.as_tensor(VALUES).to(next(model.parameters()))
    return evaluate(model, LOSSES.load("cross_entropy"), values, torch.as_tensor(LABELS))[0]


def test_every_optimizer_is_tried_here():
    assert set(SETTINGS) == set(OPTIMIZERS.names())


@pytest.mark.parametrize("name", SETTINGS)
def test_the_loss_falls(name, tmp_path):
    config = config_of(name, tmp_path)
    before = loss_of(QuantumTrainer(config, progress=False, checkpoints=False).build_model(4, 3))
    model, result = fit(config, checkpoints=False)
    assert loss_of(model) < 0.8 * before
    assert result.history[0]["loss"] == pytest.approx(before, rel=0.05)


@pytest.mark.parametrize("name", ["quantum_natural_gradient", "spsa", "quantum_annealing", "qn_spsa", "cobyla"])
def test_hybrid_models_learn(name, tmp_path):
    changes = {"model": "hybrid", "encoder": "angle", "hidden_in": 4, "hidden_out": 4, "circuit_depth": 1, "epochs": 30}
    config = config_of(name, tmp_path, **changes)
    config = config.replace(learning_rate=max(config.learning_rate, 0.1))
    before = loss_of(QuantumTrainer(config, progress=False, checkpoints=False).build_model(4, 3))
    model, _ = fit(config, checkpoints=False)
    assert loss_of(model) < before - 0.005


@pytest.mark.parametrize("name", ["quantum_natural_gradient", "spsa", "qn_spsa", "quantum_annealing", "cobyla"])
def test_a_stopped_run_goes_on_bit_for_bit(name, tmp_path):
    shots = {"gradient_method": "parameter_shift", "shots_per_circuit": 20}
    changes = {"batch_size": 10, "checkpoint_batches": 2, **shots, "n_qubits": 2, "circuit_depth": 1, "epochs": 3}
    alone = outcome(*fit(config_of(name, tmp_path / "alone", **changes)))
    config = config_of(name, tmp_path / "stopped", **changes)

    class Stops(RecordingExecutor):
        def run(self, batch):
            if len(self.batches) == self.limit:
                raise KeyboardInterrupt
            return super().run(batch)

    executor = Stops(precision="complex64")
    executor.limit = None
    fit(config.replace(checkpoint_directory=str(tmp_path / "counted")), executor)
    total, executor = len(executor.batches), Stops(precision="complex64")
    executor.limit = int(0.6 * total)
    with pytest.raises(KeyboardInterrupt):
        fit(config, executor)
    executor = Stops(precision="complex64")
    executor.limit = None
    found = outcome(*fit(config, executor))
    assert len(executor.batches) < total
    assert found == alone


def test_annealing_ends_the_run_and_keeps_the_best(tmp_path):
    options = {"moves": 4, "evaluations": 23}
    config = config_of("quantum_annealing", tmp_path, learning_rate=1.5, optimizer_options=options)
    model, result = fit(config)
    assert len(result.history) == 5  # 5 + 5 + 5 + 5 + 3 evaluations
    losses = [record["loss"] for record in result.history]
    assert loss_of(model) <= min(losses) + 1e-6
    assert all(record["grad_norm"] == 0 for record in result.history)
    again, resumed = fit(config)
    assert outcome(again, resumed)["weights"] == outcome(model, result)["weights"]


def test_the_budget_of_cobyla_ends_the_run_with_the_best(tmp_path):
    config = config_of("cobyla", tmp_path, optimizer_options={"max_evaluations": 20, "evaluations": 70})
    model, result = fit(config)
    losses = [record["loss"] for record in result.history]
    assert len(losses) == 3  # 3 x 20, and the 10 that are left are too few for a further run
    assert losses == sorted(losses, reverse=True)
    assert loss_of(model) <= losses[-1]
    again, resumed = fit(config)
    assert outcome(again, resumed) == outcome(model, result)


def test_cobyla_refuses_a_run_that_is_too_short_for_its_model(tmp_path):
    with pytest.raises(ConfigurationError, match=r"max_evaluations is 9, but a run of cobyla over \d+ parameters"):
        fit(config_of("cobyla", tmp_path, optimizer_options={"max_evaluations": 9}), checkpoints=False)


def test_the_natural_gradient_leaves_classical_gradients_as_they_are(tmp_path):
    changes = {"model": "hybrid", "encoder": "angle", "hidden_in": 4, "hidden_out": 4, "precision": "complex128"}
    config = config_of("sgd", tmp_path, **changes)
    values, labels = torch.as_tensor(VALUES), torch.as_tensor(LABELS)
    models = []
    for name in ("sgd", "quantum_natural_gradient"):
        model = QuantumTrainer(config, progress=False, checkpoints=False).build_model(4, 3)
        optimizer = make_optimizer(name, model.parameters(), 0.1)
        optimization_step(model, optimizer, LOSSES.load("cross_entropy"), values, labels)
        models.append(dict(model.named_parameters()))
    for name, plain in models[0].items():
        assert torch.equal(plain, models[1][name]) == (name != "quantum.weights"), name


def test_the_circuits_are_seen_with_what_reaches_them(tmp_path):
    changes = {"model": "hybrid", "encoder": "iqp", "hidden_in": 4, "hidden_out": 4, "precision": "complex128"}
    model = QuantumTrainer(config_of("sgd", tmp_path, **changes), checkpoints=False).build_model(4, 3)
    values = torch.as_tensor(VALUES)
    objective = BatchObjective(model, LOSSES.load("cross_entropy"), values, torch.as_tensor(LABELS))
    objective.value()
    (part,) = objective.quantum_parts()
    layer = model.quantum
    wanted = layer.encoder.slot_values(model.classical_in(values).detach().numpy())
    np.testing.assert_array_equal(part.rows.features, wanted)
    np.testing.assert_array_equal(part.rows.weights[3], layer.weights.detach().numpy())
    assert part.parameter is layer.weights
    assert part.live == tuple(i for i in range(layer.parameter_count) if i not in layer.dead_weights)


@pytest.mark.parametrize("name", ["spsa", "qn_spsa", "quantum_annealing", "cobyla"])
def test_a_loss_that_is_no_number_stops_training(name, tmp_path):
    model = QuantumTrainer(config_of(name, tmp_path), checkpoints=False).build_model(4, 3)
    optimizer = make_optimizer(name, model.parameters(), 0.1)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    values, labels = torch.tensor(VALUES).float(), torch.tensor(LABELS)
    with pytest.raises(TrainingError, match="training diverged: the loss is nan"):
        optimization_step(model, optimizer, lambda out, _: out.sum() * float("nan"), values, labels)
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), before, strict=True))


def test_options_reach_the_optimizer(tmp_path):
    with pytest.raises(ConfigurationError, match="unknown option 'warmth' of the optimizer 'spsa'"):
        fit(config_of("spsa", tmp_path, optimizer_options={"warmth": 1}), checkpoints=False)
