import numpy as np
import pytest

from quantum_db.errors import ConfigurationError
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.trainer import QuantumTrainer

GENERATOR = np.random.default_rng(1)
VALUES = GENERATOR.uniform(-1, 1, (24, 2))
LABELS = (VALUES[:, 0] > 0).astype(np.int64)


def fit(tmp_path, **options):
    config = QuantumTrainingConfig(
        **{
            "model": "variational", "n_qubits": 2, "circuit_depth": 1, "batch_size": 12, "epochs": 5,
            "learning_rate": 0.3, "gradient_method": "parameter_shift", "precision": "complex128",
            "checkpoint_directory": str(tmp_path / f"{len(list(tmp_path.iterdir()))}"), **options,
        }
    )  # fmt: skip
    trainer = QuantumTrainer(config, progress=False)
    model = trainer.build_model(2, 2)
    result = trainer.fit(model, VALUES, LABELS)
    return np.concatenate([p.detach().numpy().ravel() for p in model.parameters()]), [
        record["loss"] for record in result.history
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"qpu_target": "noisy_simulator", "noise_model": "aria-2"},
        {"qpu_target": "noisy_simulator", "noise_model": "aria-2", "shots_per_circuit": 200, "noise_seed": 4},
        {"qpu_target": "trajectories", "noise_model": "aria-1", "trajectories": 60},
        {"qpu_target": "trajectories", "noise_model": "forte-1", "shots_per_circuit": 150},
    ],
    ids=["exact", "shots", "trajectories", "trajectory shots"],
)
def test_a_run_learns_under_noise_and_repeats(tmp_path, options):
    weights, losses = fit(tmp_path, **options)
    assert losses[-1] < losses[0] - 0.05
    again, _ = fit(tmp_path, **options)
    np.testing.assert_array_equal(weights, again)


def test_ideal_noise_trains_like_the_simulator(tmp_path):
    weights, losses = fit(tmp_path, qpu_target="noisy_simulator")
    wanted, wanted_losses = fit(tmp_path, qpu_target="simulator")
    np.testing.assert_allclose(weights, wanted, atol=1e-9)
    np.testing.assert_allclose(losses, wanted_losses, atol=1e-9)
    noisy, _ = fit(tmp_path, qpu_target="noisy_simulator", noise_model="aria-2")
    assert np.abs(noisy - wanted).max() > 1e-4


def test_noise_seeds_give_other_runs(tmp_path):
    options = {"qpu_target": "trajectories", "noise_model": "aria-2", "trajectories": 20, "epochs": 1}
    first, other = (fit(tmp_path, noise_seed=seed, **options)[0] for seed in (1, 2))
    assert not np.array_equal(first, other)


def test_backpropagation_through_noise_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"'backprop' needs .*'noisy_simulator'; use 'parameter_shift'"):
        fit(tmp_path, qpu_target="noisy_simulator", gradient_method="backprop")
