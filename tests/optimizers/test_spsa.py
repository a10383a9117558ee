import numpy as np
import pytest
import torch
from torch import nn

from quantum_db.circuits import Circuit, op, weight
from quantum_db.errors import ConfigurationError, TrainingError
from quantum_db.gradients.metric_tensor import exact_metric
from quantum_db.optimizers.build import make_optimizer
from quantum_db.optimizers.parameter_vector import ParameterVector
from quantum_db.optimizers.perturbation import perturbed_gradient
from quantum_db.optimizers.qn_spsa import QuantumNaturalSPSA
from quantum_db.optimizers.spsa import SPSA
from tests.gradients.test_metric_tensor import STOKES, STOKES_AT
from tests.optimizers.problems import ONE_QUBIT, ONE_QUBIT_START, Energy

WITH_DEAD = Circuit(1, (op("RY", 0, angle=weight(0)), op("RZ", 0, angle=weight(1))), ("Z0",))


def test_the_mean_estimate_is_the_gradient():
    objective = Energy(STOKES, STOKES_AT)
    (wanted,) = torch.autograd.grad(objective.energy(), objective.weights)
    vector = ParameterVector([objective.weights])
    draws = [perturbed_gradient(objective, vector, 0.01, 1, np.random.default_rng(seed))[1] for seed in range(400)]
    error = np.std(draws, axis=0) / 20
    assert np.all(np.abs(np.mean(draws, axis=0) - wanted.numpy()) < 5 * error + 1e-4)


@pytest.mark.parametrize(("kind", "lr"), [(SPSA, 0.1), (QuantumNaturalSPSA, 0.02)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_minimum_is_found(kind, lr, seed):
    objective = Energy(ONE_QUBIT, ONE_QUBIT_START)
    optimizer = kind([objective.weights], lr=lr, seed=seed)
    for _ in range(300):
        optimizer.step(objective)
    assert objective.value().loss < -np.sqrt(2) + 0.01


def test_the_averaged_metric_of_qn_spsa_converges_to_the_exact_one():
    errors = {}
    for steps in (20, 700):
        objective = Energy(STOKES, STOKES_AT)
        optimizer = QuantumNaturalSPSA([objective.weights], lr=1e-12, perturbation=0.05, seed=4)
        for _ in range(steps):
            optimizer.step(objective)
        (part,) = objective.quantum_parts()
        found = ((steps + 1) * optimizer.metrics[0] - np.eye(len(part.live))) / steps  # without the start
        errors[steps] = np.abs(found - exact_metric(part.rows, part.live)[0]).max()
    assert errors[700] < 0.03
    assert errors[700] < errors[20]


def test_the_evaluations_are_as_many_as_were_said():
    for kind in (SPSA, QuantumNaturalSPSA):
        for draws in (1, 3):
            objective = Energy(STOKES, STOKES_AT)
            kind([objective.weights], draws=draws).step(objective)
            assert objective.values == 2 * draws


@pytest.mark.parametrize("kind", [SPSA, QuantumNaturalSPSA])
def test_dead_weights_stay(kind):
    objective = Energy(WITH_DEAD, [0.5, 0.7])
    optimizer = kind([objective.weights], lr=0.1)
    for _ in range(3):
        optimizer.step(objective)
    assert objective.weights[1] == 0.7
    assert objective.weights[0] != 0.5


@pytest.mark.parametrize("kind", [SPSA, QuantumNaturalSPSA])
def test_a_restored_state_goes_on_bit_for_bit(kind):
    objective = Energy(STOKES, STOKES_AT)
    optimizer = kind([objective.weights], lr=0.05, seed=9)
    for _ in range(4):
        optimizer.step(objective)
    copy = Energy(STOKES, objective.weights.tolist())
    other = kind([copy.weights], lr=0.05, seed=9)
    other.load_state_dict(optimizer.state_dict())
    for _ in range(4):
        optimizer.step(objective)
        other.step(copy)
    assert torch.equal(objective.weights, copy.weights)


def test_a_failed_evaluation_leaves_the_parameters():
    objective = Energy(STOKES, STOKES_AT)
    broken = objective.value

    def value():
        if objective.values == 1:
            raise TrainingError("the loss is nan")
        return broken()

    objective.value = value
    with pytest.raises(TrainingError):
        SPSA([objective.weights]).step(objective)
    assert objective.weights.tolist() == STOKES_AT


def test_gains_fall_as_asked():
    moved = []
    for decay in (0.0, 0.602):
        objective = Energy(WITH_DEAD, [0.5, 0.0])
        optimizer = SPSA([objective.weights], lr=1e-3, decay=decay)
        optimizer.steps = 99
        before = objective.weights[0].item()
        optimizer.step(objective)
        moved.append(abs(objective.weights[0].item() - before))
    assert moved[1] == pytest.approx(moved[0] / 100**0.602, rel=1e-9)


class TestParameterVector:
    def test_values_go_out_and_in(self):
        parameters = [nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0]])), nn.Parameter(torch.tensor(5.0))]
        vector = ParameterVector(parameters)
        assert vector.read().tolist() == [1, 2, 3, 4, 5]
        vector.write(np.arange(5.0))
        assert parameters[0].tolist() == [[0, 1], [2, 3]]
        assert parameters[1].item() == 4
        assert vector.live([(parameters[0], (1, 2)), (nn.Parameter(torch.zeros(9)), (8,))]).tolist() == [1, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("spsa", {"perturbation": 0}, "the perturbation must be a number above 0, got 0"),
        ("spsa", {"draws": 0}, "the draws must be a positive integer, got 0"),
        ("qn_spsa", {"ridge": -1}, "the ridge must be a number above 0, got -1"),
        ("qn_spsa", {"warmth": 1}, "unknown option 'warmth' of the optimizer 'qn_spsa'; known: draws, perturb"),
        ("adam", {"beta": 1}, "unknown option 'beta' of the optimizer 'adam'; known: .*betas"),
        ("sgd", {"lr": 0.1}, "unknown option 'lr' of the optimizer 'sgd'"),
        ("sgd", {"momentum": -1}, "the options of the optimizer 'sgd' do not fit: Invalid momentum"),
        ("nelder_mead", {}, "unknown optimizer 'nelder_mead'; known: adam, cobyla, qn_spsa, quantum_annealing"),
    ],
)  # fmt: skip
def test_impossible_optimizers_are_refused(name, options, message):
    with pytest.raises(ConfigurationError, match=message):
        make_optimizer(name, [nn.Parameter(torch.zeros(2))], 0.1, options=options)


def test_nothing_to_optimize():
    with pytest.raises(ConfigurationError, match="there is nothing to optimize"):
        SPSA([nn.Parameter(torch.zeros(2), requires_grad=False)])
