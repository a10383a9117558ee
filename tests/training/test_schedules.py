import numpy as np
import pytest

from quantum_db.errors import ConfigurationError, StoreError
from quantum_db.training import trainer as trainer_module
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.schedules import cosine_rate, grown_shots, stepped_rate
from quantum_db.training.trainer import QuantumTrainer
from tests.suites.recording_executor import RecordingExecutor
from tests.training.iris_run import iris_samples

VALUES, LABELS = iris_samples(8)


def settings(tmp_path, **changes):
    """19 rows in 2 batches."""
    given = {
        "model": "variational", "encoder": "reuploading", "n_qubits": 2, "circuit_depth": 1, "batch_size": 10,
        "epochs": 4, "learning_rate": 0.2, "optimizer": "sgd", "seed": 1, "checkpoint_directory": str(tmp_path),
    }  # fmt: skip
    return QuantumTrainingConfig(**(given | changes))


def rates_of(config, monkeypatch):
    """The learning rate of every step."""
    rates, step = [], trainer_module.optimization_step

    def recorded(model, optimizer, *rest):
        rates.append(optimizer.param_groups[0]["lr"])
        return step(model, optimizer, *rest)

    monkeypatch.setattr(trainer_module, "optimization_step", recorded)
    trainer = QuantumTrainer(config, progress=False, checkpoints=False)
    trainer.fit(trainer.build_model(4, 3), VALUES, LABELS)
    return rates


def test_cosine_goes_from_the_first_to_the_final_rate():
    assert cosine_rate(0.3, 0.1, 0.0) == pytest.approx(0.3)
    assert cosine_rate(0.3, 0.1, 0.5) == pytest.approx(0.2)
    assert cosine_rate(0.3, 0.1, 1.0) == pytest.approx(0.1)


def test_steps():
    assert [stepped_rate(1.0, 0.1, 2, epoch) for epoch in (0, 1.9, 2, 3.5, 4)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])


def test_shots_grow_by_equal_steps():
    assert [grown_shots(10, 40, epoch, 4) for epoch in range(4)] == [10, 20, 30, 40]
    assert grown_shots(10, 40, 0, 1) == 10


@pytest.mark.parametrize("optimizer", ["sgd", "spsa", "quantum_natural_gradient"])
def test_the_learning_rate_follows_its_schedule(tmp_path, monkeypatch, optimizer):
    constant = rates_of(settings(tmp_path, optimizer=optimizer), monkeypatch)
    assert constant == [0.2] * 8
    cosine = settings(tmp_path, learning_rate_schedule="cosine", learning_rate_final=0.05, optimizer=optimizer)
    wanted = 0.05 + 0.15 * (1 + np.cos(np.pi * np.arange(8) / 8)) / 2
    assert rates_of(cosine, monkeypatch) == pytest.approx(wanted)
    steps = settings(
        tmp_path, learning_rate_schedule="step", learning_rate_step_epochs=3, learning_rate_step_factor=0.1,
        optimizer=optimizer,
    )  # fmt: skip
    assert rates_of(steps, monkeypatch) == pytest.approx([0.2] * 6 + [0.02] * 2)


def test_the_shots_follow_their_schedule(tmp_path):
    executor = RecordingExecutor()
    config = settings(
        tmp_path, shots_per_circuit=10, shots_schedule="linear", shots_final=40, gradient_method="parameter_shift"
    )
    trainer = QuantumTrainer(config, executor=executor, progress=False, checkpoints=False)
    trainer.fit(trainer.build_model(4, 3), VALUES, LABELS)
    shots = [batch.shots for batch in executor.batches]
    assert shots == [10] * 4 + [20] * 4 + [30] * 4 + [40] * 4


def test_a_schedule_over_all_epochs_holds_their_number(tmp_path):
    for changes in (
        {"learning_rate_schedule": "cosine"},
        {
            "shots_per_circuit": 5, "shots_schedule": "linear", "shots_final": 9, "gradient_method": "parameter_shift",
        },
    ):  # fmt: skip
        config = settings(tmp_path / next(iter(changes)), epochs=2, **changes)
        for epochs in (2, 3):
            trainer = QuantumTrainer(config.replace(epochs=epochs), progress=False)
            model = trainer.build_model(4, 3)
            if epochs == 2:
                trainer.fit(model, VALUES, LABELS)
            else:
                with pytest.raises(StoreError, match="epochs was 2, is 3"):
                    trainer.fit(model, VALUES, LABELS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate_schedule": "warm"}, "unknown learning_rate_schedule 'warm'; known: constant, cosine, step"),
        ({"learning_rate_final": 0.5}, "learning_rate_final must be a number from 0 to the learning rate 0.2, got 0.5"),
        ({"learning_rate_final": -0.1}, "learning_rate_final must be a number from 0"),
        ({"learning_rate_step_epochs": 0}, "learning_rate_step_epochs must be a positive integer, got 0"),
        ({"learning_rate_step_factor": 0}, "learning_rate_step_factor must be a number above 0 and at most 1"),
        ({"shots_schedule": "cubic"}, "unknown shots_schedule 'cubic'; known: constant, linear"),
        ({"shots_schedule": "linear"}, "a linear shots_schedule needs shots_per_circuit and shots_final, got None"),
        ({"shots_final": 100}, "the shots_schedule is constant and would ignore it; set shots_schedule to 'linear'"),
        ({"shots_final": 0}, "shots_final must be a positive integer, got 0"),
        ({"optimizer_options": [1]}, "optimizer_options must be an object of options by name"),
    ],
)
def test_impossible_schedules_are_refused(tmp_path, changes, message):
    with pytest.raises(ConfigurationError, match=message):
        settings(tmp_path, **changes)
