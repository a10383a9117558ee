import numpy as np
import pytest
import torch
from torch import nn

from quantum_db.errors import ConfigurationError, TrainingError
from quantum_db.layers.torch_layer import QuantumLayer
from quantum_db.losses import LOSSES
from quantum_db.optimizers import OPTIMIZERS
from quantum_db.training.step import evaluate, optimization_step, quantum_layers

VALUES = torch.tensor([[0.1, -0.5], [0.8, 0.3], [-0.4, 0.9]])
LABELS = torch.tensor([0, 1, 1])


def model():
    torch.manual_seed(0)
    return nn.Sequential(QuantumLayer(2, 2), nn.Linear(2, 2))


def test_one_step_of_plain_descent_by_hand():
    trained, reference = model(), model()
    loss = LOSSES.load("cross_entropy")
    step = optimization_step(trained, torch.optim.SGD(trained.parameters(), lr=0.1), loss, VALUES, LABELS)
    outputs = reference(VALUES)
    chosen = torch.log_softmax(outputs, dim=1)[torch.arange(3), LABELS]
    (-chosen.mean()).backward()
    grads = [parameter.grad for parameter in reference.parameters()]
    assert step.loss == pytest.approx(-chosen.mean().item(), rel=1e-6)
    assert step.grad_norm == pytest.approx(torch.cat([grad.ravel() for grad in grads]).norm().item(), rel=1e-5)
    assert step.correct == (outputs.argmax(dim=1) == LABELS).sum()
    assert step.circuit_seconds > 0
    for new, old, grad in zip(trained.parameters(), reference.parameters(), grads, strict=True):
        torch.testing.assert_close(new, old - 0.1 * grad)


def test_gradients_do_not_pile_up():
    trained = model()
    frozen = torch.optim.SGD(trained.parameters(), lr=1e-30)
    loss = LOSSES.load("cross_entropy")
    norms = [optimization_step(trained, frozen, loss, VALUES, LABELS).grad_norm for _ in range(2)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-6)


def test_evaluation_is_the_mean_over_all_rows():
    trained = model()
    values = torch.rand(1100, 2, generator=torch.Generator().manual_seed(1))
    labels = (values[:, 0] > values[:, 1]).long()
    loss, accuracy = evaluate(trained, LOSSES.load("cross_entropy"), values, labels)
    outputs = trained(values)
    assert loss == pytest.approx(nn.functional.cross_entropy(outputs, labels).item(), rel=1e-5)
    assert accuracy == pytest.approx((outputs.argmax(dim=1) == labels).float().mean().item())
    assert trained.training


def test_a_loss_that_is_no_number_stops_training_before_the_update():
    trained = model()
    before = [parameter.detach().clone() for parameter in trained.parameters()]
    with pytest.raises(TrainingError, match="training diverged: the loss is nan"):
        optimization_step(
            trained, torch.optim.SGD(trained.parameters()), lambda out, _: out.sum() * float("nan"), VALUES, LABELS
        )
    assert all(torch.equal(*pair) for pair in zip(trained.parameters(), before, strict=True))


def test_an_infinite_gradient_stops_training():
    trained = model()
    with pytest.raises(TrainingError, match=r"the gradient's norm (inf|nan)"):
        optimization_step(
            trained, torch.optim.SGD(trained.parameters()), lambda out, _: 1e30 * (1e30 * out).sum(), VALUES, LABELS
        )


def test_a_weight_that_becomes_infinite_stops_training():
    trained = model()
    far = torch.optim.SGD(trained.parameters(), lr=3e38)
    with pytest.raises(TrainingError, match="the update made a weight infinite or NaN; lower the learning rate"):
        optimization_step(trained, far, lambda out, _: 1e3 * out.sum(), VALUES, LABELS)


def test_a_loss_on_kept_rows_that_is_no_number_is_told():
    trained = model()
    with torch.no_grad():
        trained[1].weight.fill_(float("inf"))
    with pytest.raises(TrainingError, match="the loss on the rows kept aside is nan"):
        evaluate(trained, LOSSES.load("cross_entropy"), VALUES, LABELS)


def test_quantum_layers_are_found_at_any_depth():
    inner = nn.Sequential(nn.ModuleDict({"a": QuantumLayer(2, 1)}), QuantumLayer(3, 1))
    assert [layer.n_qubits for layer in quantum_layers(inner)] == [2, 3]
    assert quantum_layers(nn.Linear(2, 2)) == []


class TestLosses:
    outputs = torch.tensor([[0.5, -1.0, 2.0], [0.0, 1.0, 0.25]], requires_grad=True)
    labels = torch.tensor([2, 0])

    def test_mean_squared_error_against_one_hot_labels(self):
        loss = LOSSES.load("mse")(self.outputs, self.labels)
        wanted = np.mean([0.25, 1.0, 1.0, 1.0, 1.0, 0.0625])
        assert loss.item() == pytest.approx(wanted)
        (gradient,) = torch.autograd.grad(loss, self.outputs)
        torch.testing.assert_close(gradient[0], torch.tensor([0.5, -1.0, 1.0]) / 3)

    def test_cross_entropy(self):
        loss = LOSSES.load("cross_entropy")(self.outputs, self.labels)
        e = np.exp(self.outputs.detach().numpy())
        wanted = -np.mean(np.log([e[0, 2] / e[0].sum(), e[1, 0] / e[1].sum()]))
        assert loss.item() == pytest.approx(wanted, rel=1e-6)

    def test_squared_errors_of_sampled_values_are_biased_by_their_variance(self):
        layer = QuantumLayer(2, 1, gradient_method="parameter_shift", shots=20, dtype=torch.float64, seed=2)
        exact = QuantumLayer(2, 1, dtype=torch.float64, seed=2)
        values, labels = torch.tensor([[0.7, -0.6]], dtype=torch.float64), torch.tensor([0])
        loss = LOSSES.load("mse")
        with torch.no_grad():
            sampled = np.mean([loss(layer(values), labels).item() for _ in range(400)])
            expected = exact(values)
            bias = ((1 - expected**2) / 20).mean().item()
            true = loss(expected, labels).item()
        assert sampled - true == pytest.approx(bias, rel=0.35)

    def test_unknown_names_list_the_known_ones(self):
        with pytest.raises(ConfigurationError, match=r"unknown loss 'regret'; known: .*cross_entropy.* mse"):
            LOSSES.load("regret")
        with pytest.raises(ConfigurationError, match=r"unknown optimizer 'luck'; known: .*adam.* sgd"):
            OPTIMIZERS.load("luck")
        assert OPTIMIZERS.load("adam") is torch.optim.Adam
        assert OPTIMIZERS.load("sgd") is torch.optim.SGD
