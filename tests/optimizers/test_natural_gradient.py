import numpy as np
import pytest
import torch

from quantum_db.circuits import Circuit, op, weight
from quantum_db.errors import ConfigurationError
from quantum_db.gradients.metric_tensor import exact_metric
from quantum_db.optimizers.natural_gradient import NaturalGradient
from quantum_db.optimizers.preconditioning import preconditioned
from tests.gradients.test_metric_tensor import STOKES, STOKES_AT, STOKES_BLOCKS
from tests.optimizers.problems import ONE_QUBIT, ONE_QUBIT_START, Energy, steps_until
from tests.suites.recording_executor import RecordingExecutor


class PlainDescent:
    """Torch's SGD behind the same step."""

    def __init__(self, parameters, lr):
        self.inner = torch.optim.SGD(parameters, lr=lr)

    def step(self, objective):
        objective.gradient()
        self.inner.step()


@pytest.mark.parametrize("lr", [0.01, 0.05])
def test_fewer_steps_than_gradient_descent_on_the_published_example(lr):
    level = -np.sqrt(2) + 1e-4
    steps = {}
    for kind in (PlainDescent, NaturalGradient):
        objective = Energy(ONE_QUBIT, ONE_QUBIT_START)
        steps[kind] = steps_until(objective, kind([objective.weights], lr=lr), level)
    assert steps[NaturalGradient] < 0.6 * steps[PlainDescent] < 2000


@pytest.mark.parametrize("options", [{}, {"blocks": True}, {"measured": True}])
def test_fewer_steps_on_the_circuit_of_stokes(options):
    start = [0.4, 2.6, 1.1, -2.0]
    found = {}
    for kind, given in ((PlainDescent, {}), (NaturalGradient, options)):
        objective = Energy(STOKES, start)
        optimizer = kind([objective.weights], lr=0.02, **given)
        for _ in range(60):
            optimizer.step(objective)
        found[kind] = objective.value().loss
    assert found[NaturalGradient] < found[PlainDescent] - 0.02


def test_one_step_by_hand():
    objective = Energy(STOKES, STOKES_AT)
    energy = objective.energy()
    (gradient,) = torch.autograd.grad(energy, objective.weights)
    live = [index for index in range(4) if index not in objective.dead]
    metric = exact_metric(objective.quantum_parts()[0].rows)[0][np.ix_(live, live)]
    evaluation = NaturalGradient([objective.weights], lr=0.1, ridge=0.02).step(objective)
    wanted = np.array(STOKES_AT)
    wanted[live] -= 0.1 * np.linalg.solve(metric + 0.02 * np.eye(len(live)), gradient.numpy()[live])
    np.testing.assert_allclose(objective.weights.detach().numpy(), wanted, atol=1e-12)
    assert evaluation.loss == pytest.approx(energy.item())
    assert evaluation.gradient_norm == pytest.approx(gradient.norm().item())


def test_dead_weights_stay():
    gates = (op("RY", 0, angle=weight(0)), op("RX", 1, angle=weight(1)), op("RZ", 0, angle=weight(2)))
    circuit = Circuit(2, gates, ("Z0",))
    objective = Energy(circuit, [0.4, 0.5, 0.6])
    NaturalGradient([objective.weights], lr=0.1).step(objective)
    assert objective.weights[1:].tolist() == [0.5, 0.6]
    assert objective.weights[0] != 0.4


def test_the_measured_metric_is_used_where_nothing_else_can_be():
    executor = RecordingExecutor()
    objective = Energy(STOKES, STOKES_AT, executor)
    optimizer = NaturalGradient([objective.weights])
    (part,) = objective.quantum_parts()
    live = list(part.live)
    np.testing.assert_allclose(optimizer.metric(part), STOKES_BLOCKS[np.ix_(live, live)], atol=1e-8)
    assert executor.n_circuits > 0
    assert optimizer.circuit_seconds > 0
    sampled = NaturalGradient([objective.weights]).metric(Energy(STOKES, STOKES_AT, shots=50).quantum_parts()[0])
    assert 1e-4 < np.abs(sampled - STOKES_BLOCKS[np.ix_(live, live)]).max() < 0.1


def test_a_ridge_stands_shot_noise_that_none_does_not():
    objective = Energy(STOKES, STOKES_AT, shots=30)
    (part,) = objective.quantum_parts()
    metric = NaturalGradient([objective.weights]).metric(part) - 0.13 * np.eye(len(part.live))  # as noise may do
    gradient = np.ones(len(part.live))
    assert np.linalg.norm(preconditioned(metric, gradient, 1e-2)) < np.linalg.norm(gradient) / 1e-2
    values = np.linalg.eigvalsh(metric)
    assert values.min() < 0
    natural = preconditioned(metric, gradient, 1e-2)
    assert natural @ gradient > 0  # never uphill


def test_pinv_leaves_flat_directions_out():
    metric, gradient = np.diag([0.25, 1e-9, 0.1]), np.array([1.0, 1.0, 1.0])
    np.testing.assert_allclose(preconditioned(metric, gradient, 1e-3, pinv=True), [4, 0, 10], atol=1e-9)
    np.testing.assert_allclose(preconditioned(metric, gradient, 1e-2), 1 / (np.diag(metric) + 1e-2), rtol=1e-9)


def test_momentum_keeps_a_share_of_the_last_metric():
    objective = Energy(STOKES, STOKES_AT)
    optimizer = NaturalGradient([objective.weights], lr=0.3, momentum=0.75)
    first = optimizer.metric(objective.quantum_parts()[0])
    optimizer.step(objective)
    second = optimizer.metric(objective.quantum_parts()[0])
    optimizer.step(objective)
    np.testing.assert_allclose(optimizer.metrics[0], 0.75 * first + 0.25 * second, atol=1e-12)


@pytest.mark.parametrize("options", [{"momentum": 0.5}, {"base": "adam"}, {"base_options": {"momentum": 0.9}}])
def test_a_restored_state_goes_on_bit_for_bit(options):
    objective = Energy(STOKES, STOKES_AT)
    optimizer = NaturalGradient([objective.weights], lr=0.1, **options)
    for _ in range(3):
        optimizer.step(objective)
    copy = Energy(STOKES, objective.weights.tolist())
    other = NaturalGradient([copy.weights], lr=0.1, **options)
    other.load_state_dict(optimizer.state_dict())
    for _ in range(3):
        optimizer.step(objective)
        other.step(copy)
    assert torch.equal(objective.weights, copy.weights)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ridge": 0}, "the ridge must be a number above 0, got 0"),
        ({"momentum": 1.0}, r"the momentum of the metric must be a number in \[0, 1\), got 1.0"),
        ({"base": "lbfgs"}, "unknown base 'lbfgs' of the natural gradient; known: sgd, adam"),
        ({"base_options": {"warmth": 1}}, "the options of the base 'sgd' do not fit: .*warmth"),
        ({"lr": float("nan")}, "the learning rate must be a number above 0, got nan"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        NaturalGradient([Energy(STOKES, STOKES_AT).weights], **options)
