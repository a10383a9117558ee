import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from quantum_db.backends.protocols import CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.circuits import Circuit
from quantum_db.errors import CircuitError, ConfigurationError, QStoreError, StageInputError
from quantum_db.gradients.finite_difference import FiniteDifference
from quantum_db.gradients.spsa import SimultaneousPerturbation
from quantum_db.layers.torch_layer import QuantumLayer
from tests.suites.gradient_methods import cirq_values
from tests.suites.recording_executor import RecordingExecutor

DOUBLE = {"dtype": torch.float64}
SHIFTED = {"gradient_method": "parameter_shift"}

# name -> (arguments, options); every encoder whose features may be trained through
DIFFERENTIABLE = {
    "angle": ((3, 2), {}),
    "angle X, two features": ((3, 2, 2), {"encoder_options": {"axis": "X", "scale": 2.5}}),
    "angle Z": ((2, 2), {"encoder_options": {"axis": "Z"}}),
    "iqp": ((2, 2), {"encoder": "iqp"}),
    "iqp, three features": ((3, 1), {"encoder": "iqp", "encoder_options": {"entanglement": "linear"}}),
    "reuploading": ((2, 2, 5), {"encoder": "reuploading"}),
}
AMPLITUDE = {
    "amplitude": ((2, 2, 3), {"encoder": "amplitude"}),
    "complex amplitude": ((2, 1, 6), {"encoder": "amplitude", "encoder_options": {"complex_amplitudes": True}}),
}


def layer_of(name, **options):
    arguments, own = (DIFFERENTIABLE | AMPLITUDE)[name]
    mixed = ["Z0", "X1", "Y0 Z1"]
    return QuantumLayer(*arguments, **{"observables": mixed, "entanglement_pattern": "full", **own, **options})


def rows(layer, count=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    unit = torch.rand(count, layer.n_features, generator=generator, dtype=torch.float64)
    return (1.6 * unit - 0.8).to(layer.weights.dtype)


def as_function(layer):
    return lambda weights, features: torch.func.functional_call(layer, {"weights": weights}, (features,))


@pytest.mark.parametrize("name", [*DIFFERENTIABLE, *AMPLITUDE])
def test_gradcheck_by_backpropagation(name):
    layer = layer_of(name, **DOUBLE)
    inputs = (layer.weights.detach().clone().requires_grad_(), rows(layer).requires_grad_())
    assert torch.autograd.gradcheck(as_function(layer), inputs)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradcheck_by_parameter_shift(name):
    layer = layer_of(name, **DOUBLE, **SHIFTED)
    inputs = (layer.weights.detach().clone().requires_grad_(), rows(layer).requires_grad_())
    assert torch.autograd.gradcheck(as_function(layer), inputs)


@pytest.mark.parametrize("name", AMPLITUDE)
def test_gradcheck_of_the_weights_behind_prepared_amplitudes(name):
    layer = layer_of(name, **DOUBLE, **SHIFTED)
    features = rows(layer)
    weights = layer.weights.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: as_function(layer)(values, features), (weights,))


@pytest.mark.parametrize("name", [*DIFFERENTIABLE, *AMPLITUDE])
def test_the_values_are_those_of_cirq_by_either_method(name):
    exact, shifted = layer_of(name, **DOUBLE), layer_of(name, **DOUBLE, **SHIFTED)
    with torch.no_grad():
        exact.weights.copy_(torch.linspace(-2, 2, exact.parameter_count))
        shifted.weights.copy_(exact.weights)
    features = rows(exact)
    slots = exact.encoder.slot_values(features.numpy())
    wanted = [cirq_values(exact.circuit, exact.weights.detach().numpy(), row) for row in slots]
    for layer in (exact, shifted):
        values = layer(features)
        assert values.dtype == torch.float64
        np.testing.assert_allclose(values.detach().numpy(), wanted, atol=1e-12)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_either_method_fills_the_same_gradients(name):
    found = []
    for options in ({}, SHIFTED):
        layer = layer_of(name, **DOUBLE, **options)
        features = rows(layer).requires_grad_()
        layer(features).square().sum().backward()
        found.append((layer.weights.grad, features.grad))
    for exact, shifted in zip(*found, strict=True):
        assert exact.abs().max() > 1e-3
        torch.testing.assert_close(shifted, exact, atol=1e-10, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("options", [{}, SHIFTED])
def test_whole_numbers_mean_the_same_as_reals(dtype, options):
    for encoder, features in (("amplitude", [[1, 2, 3, 4], [0, 1, 0, 5]]), ("angle", [[1, 0], [-1, 1]])):
        layer = QuantumLayer(2, 1, len(features[0]), encoder=encoder, dtype=dtype, **options)
        torch.testing.assert_close(layer(torch.tensor(features)), layer(torch.tensor(features, dtype=dtype)))


@pytest.mark.parametrize(("n_qubits", "depth"), [(1, 1), (2, 3), (4, 2)])
@pytest.mark.parametrize("ansatz", ["hardware_efficient", "strongly_entangling"])
def test_parameter_count(n_qubits, depth, ansatz):
    layer = QuantumLayer(n_qubits, depth, ansatz=ansatz)
    assert layer.parameter_count == 3 * n_qubits * depth
    assert [tuple(parameter.shape) for parameter in layer.parameters()] == [(3 * n_qubits * depth,)]
    assert layer(torch.zeros(5, n_qubits)).shape == (5, n_qubits)


def test_the_last_rotations_about_z_are_dead_and_said_to_be():
    layer = QuantumLayer(4, 2, **DOUBLE)
    assert {14, 17, 20, 23} <= set(layer.dead_weights)
    layer(rows(layer)).square().sum().backward()
    alive = [index for index in range(24) if index not in layer.dead_weights]
    assert layer.weights.grad[list(layer.dead_weights)].abs().max() == 0
    assert layer.weights.grad[alive].abs().min() > 1e-9
    assert f"24 angles, {len(layer.dead_weights)} of them dead" in repr(layer)
    assert "dead" not in repr(QuantumLayer(2, 1, observables=["X0 Y1", "Y0", "X1"]))


def test_one_seed_one_layer():
    first, again, other = (QuantumLayer(3, 2, seed=seed).weights for seed in (4, 4, 5))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert 0.02 < QuantumLayer(8, 8, seed=1).weights.std() < 0.3


def test_making_a_layer_leaves_torch_randomness_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    QuantumLayer(2, 1, seed=9)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("options", [{}, {**SHIFTED, "shots": 20}])
def test_state_dict_round_trip(options):
    layer = QuantumLayer(3, 2, seed=1, **options)
    features = rows(layer)
    layer(features)
    other = QuantumLayer(3, 2, seed=1, **options)
    with torch.no_grad():
        other.weights.add_(1)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(layer(features), other(features))


def test_deepcopy_is_independent():
    layer = QuantumLayer(2, 2)
    features = rows(layer)
    twin = copy.deepcopy(layer)
    assert torch.equal(layer(features), twin(features))
    with torch.no_grad():
        twin.weights.add_(1)
    assert not torch.equal(layer(features), twin(features))
    assert layer.circuit == twin.circuit


def test_in_a_sequential_every_gradient_is_filled():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 3), nn.Tanh(), QuantumLayer(3, 2, measurement_basis="X"), nn.Linear(3, 2))
    model(torch.randn(4, 5)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_layer_learns():
    layer = QuantumLayer(2, 2, observables=["Z0"], seed=1)
    features = rows(layer, 20)
    wanted = torch.sign(features[:, :1] * features[:, 1:])
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = (layer(features) - wanted).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_frozen_weights_cost_no_circuits():
    executor = RecordingExecutor()
    layer = QuantumLayer(2, 1, executor=executor, **SHIFTED)
    layer.weights.requires_grad_(False)
    features = rows(layer)
    layer(features)
    assert executor.n_circuits == 3
    layer(features.requires_grad_()).sum().backward()
    assert executor.n_circuits == 3 + 3 + 3 * 2 * 2  # forward, forward, two features
    assert layer.weights.grad is None
    assert features.grad.abs().sum() > 0


def test_a_step_runs_the_circuits_that_were_known_before():
    executor = RecordingExecutor()
    layer = QuantumLayer(4, 2, executor=executor, **SHIFTED)
    layer(rows(layer, 5)).sum().backward()
    live = 24 - len(layer.dead_weights)
    assert executor.n_circuits == 5 + 5 * 2 * live
    assert len(executor.batches) == 2


def test_circuit_time_is_measured():
    layer = QuantumLayer(2, 1, **SHIFTED)
    values = layer(rows(layer))
    forward = layer.circuit_seconds
    values.sum().backward()
    assert 0 < forward < layer.circuit_seconds


class TestShots:
    options = SHIFTED | DOUBLE

    def layer(self, shots=64, seed=3, **options):
        return QuantumLayer(2, 1, shots=shots, seed=seed, **self.options, **options)

    def test_the_seed_decides_and_calls_differ(self):
        features = rows(self.layer())
        first, again, other = (self.layer(seed=seed) for seed in (3, 3, 4))
        with torch.no_grad():
            other.weights.copy_(first.weights)
        calls = [first(features), first(features)]
        assert not torch.equal(*calls)
        assert torch.equal(again(features), calls[0])
        assert torch.equal(again(features), calls[1])
        assert not torch.equal(other(features), calls[0])

    def test_values_are_shares_of_the_shots(self):
        values = (self.layer()(rows(self.layer())) + 1) / 2 * 64
        torch.testing.assert_close(values, values.round())

    def test_resumable_through_the_state_dict(self):
        layer = self.layer()
        features = rows(layer)
        for _ in range(3):
            layer(features)
        kept = {name: value.clone() for name, value in layer.state_dict().items()}
        expected = [layer(features) for _ in range(2)]
        resumed = self.layer()
        resumed.load_state_dict(kept)
        for wanted in expected:
            assert torch.equal(resumed(features), wanted)

    def test_gradients_are_seeded_too(self):
        found = []
        for _ in range(2):
            layer = self.layer()
            layer(rows(layer)).sum().backward()
            found.append(layer.weights.grad)
        assert torch.equal(*found)

    def test_the_mean_converges_to_the_exact_values(self):
        layer, count = self.layer(shots=100), 60
        features = rows(layer, 2)
        exact = QuantumLayer(2, 1, seed=3, **DOUBLE)(features).detach()
        sampled = torch.stack([layer(features).detach() for _ in range(count)])
        sigma = ((1 - exact**2) / (100 * count)).sqrt()
        deviation = (sampled.mean(dim=0) - exact) / sigma
        assert deviation.abs().max() < 5
        spread = sampled.std(dim=0) / ((1 - exact**2) / 100).sqrt()
        assert (spread - 1).abs().max() < 0.5

    def test_the_mean_gradient_converges_to_the_exact_one(self):
        layer, count, shots = self.layer(shots=100), 80, 100
        features = rows(layer, 1)
        exact = QuantumLayer(2, 1, seed=3, **DOUBLE)
        exact(features)[0, 0].backward()
        found = []
        for _ in range(count):
            layer.weights.grad = None
            layer(features)[0, 0].backward()
            found.append(layer.weights.grad.clone())
        sigma = math.sqrt(1 / (2 * shots * count))  # at most, see Var of a two-term rule
        assert (torch.stack(found).mean(dim=0) - exact.weights.grad).abs().max() < 5 * sigma

    def test_forward_and_gradient_draw_from_different_streams(self):
        executor = RecordingExecutor()
        layer = self.layer(executor=executor)
        for _ in range(3):
            layer(rows(layer)).sum().backward()
        seeds = [batch.seed for batch in executor.batches]
        assert len(set(seeds)) == 6
        assert {batch.shots for batch in executor.batches} == {64}


@pytest.mark.parametrize("limit", [1, 2, 5])
@pytest.mark.parametrize("options", [{}, SHIFTED, {**SHIFTED, "shots": 30}])
def test_chunks_do_not_change_numbers(limit, options):
    results = []
    for executor in (StatevectorExecutor(), StatevectorExecutor(max_concurrent_circuits=limit)):
        layer = QuantumLayer(3, 2, encoder="iqp", executor=executor, **DOUBLE, **options)
        features = rows(layer, 5).requires_grad_()
        values = layer(features)
        values.square().sum().backward()
        results.append((values.detach(), layer.weights.grad, features.grad))
    for whole, chunked in zip(*results, strict=True):
        torch.testing.assert_close(chunked, whole, atol=1e-13, rtol=0)


@pytest.mark.parametrize("options", [{}, SHIFTED, {"encoder": "amplitude", "n_features": 4}])
def test_no_rows_give_no_values(options):
    layer = QuantumLayer(2, 1, **options)
    values = layer(torch.zeros(0, layer.n_features))
    assert values.shape == (0, 2)
    values.sum().backward()
    assert layer.weights.grad.abs().sum() == 0


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (torch.zeros(2, 3), r"features of shape \(rows, 2\), got \(2, 3\)"),
        (torch.zeros(2), r"features of shape \(rows, 2\), got \(2,\)"),
        (torch.tensor([[0.0, 0.0], [0.1, float("nan")]]), "feature 1 of row 1 is nan"),
        (torch.tensor([[float("inf"), 0.0]]), "feature 0 of row 0 is inf"),
        (torch.tensor([[0.5, -1.2]]), r"feature 1 of row 0 is -1\.2\d*, outside the domain \[-1, 1\]"),
    ],
)
@pytest.mark.parametrize("options", [{}, SHIFTED])
def test_features_that_do_not_fit_are_refused(features, message, options):
    with pytest.raises(StageInputError, match=message):
        QuantumLayer(2, 1, **options)(features)


def test_a_zero_vector_is_no_amplitude():
    with pytest.raises(StageInputError, match="row 1 is all zero"):
        QuantumLayer(2, 1, 4, encoder="amplitude")(torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 0]]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "qram"}, "unknown encoder 'qram'; known: amplitude, angle, basis, iqp, reuploading"),
        ({"ansatz": "magic"}, "unknown ansatz 'magic'; known: hardware_efficient, strongly_entangling"),
        ({"entanglement_pattern": "web"}, "unknown entanglement pattern 'web'; known: circular, full, linear"),
        ({"gradient_method": "guess"}, "unknown gradient method 'guess'; known: adjoint, backprop,.* parameter_shift"),
        ({"gradient_options": {"step": 0.1}}, "the gradient method 'adjoint' has no option 'step'; it has none"),
        ({"encoder_options": {"colour": 1}}, "wrong options for the angle encoder .*; it knows: .*axis, scale"),
        ({"encoder_options": {"axis": "Q"}}, "axis of the angle encoder is X, Y or Z, got 'Q'"),
        ({"n_features": 3}, r"angle encoder on 2 qubit\(s\) holds 2 feature\(s\), but the data have 3"),
        ({"measurement_basis": "Q"}, "letters X, Y and Z only"),
        ({"observables": ["Z7"]}, "Z7 is outside a circuit of 2 qubits"),
        ({"observables": []}, "at least one observable"),
        ({"circuit_depth": 0}, "depth must be at least 1"),
        ({"dtype": torch.float16}, "torch.float32 or torch.float64, got torch.float16"),
        ({"seed": -1}, "seed must be an integer from 0"),
        ({"shots": 100}, "'adjoint' needs exact values, but shots_per_circuit is 100; use 'parameter_shift'"),
        ({"shots": 0, **SHIFTED}, "shots must be a positive integer, got 0"),
        ({"executor": RecordingExecutor()}, "needs a simulator, but the target is 'recording'"),
    ],
)
def test_what_cannot_be_built_is_refused(options, message):
    with pytest.raises(QStoreError, match=message) as caught:
        QuantumLayer(2, **options)
    assert isinstance(caught.value, ConfigurationError | CircuitError)


@pytest.mark.parametrize(
    ("method", "options", "wanted"),
    [
        ("finite_diff", None, FiniteDifference()),
        ("finite_diff", {"step": 0.5, "scheme": "forward"}, FiniteDifference(0.5, "forward")),
        ("spsa", {}, SimultaneousPerturbation()),
        ("spsa", {"perturbation": 0.3, "draws": 2, "seed": 7}, SimultaneousPerturbation(0.3, 2, 7)),
    ],
)
def test_options_of_the_gradient_method_decide_the_gradient(method, options, wanted):
    layer = QuantumLayer(2, 1, gradient_method=method, gradient_options=options, dtype=torch.float64)
    assert layer.method == wanted
    grads = []
    for tried in (layer, QuantumLayer(2, 1, gradient_method=method, dtype=torch.float64)):
        tried(torch.tensor([[0.3, -0.4]], dtype=torch.float64)).sum().backward()
        grads.append(tried.weights.grad)
    assert torch.equal(*grads) is (not options)


def test_amplitude_features_cannot_be_trained_through_on_a_machine():
    layer = QuantumLayer(2, 1, 4, encoder="amplitude", **SHIFTED)
    with pytest.raises(ConfigurationError, match="amplitude encoding on a machine has no gradient in the features"):
        layer(torch.rand(2, 4, requires_grad=True))


def test_a_weight_that_is_no_number_is_refused():
    for options in ({}, SHIFTED):
        layer = QuantumLayer(2, 1, **options)
        with torch.no_grad():
            layer.weights[1] = float("nan")
        with pytest.raises(CircuitError, match="weights"):
            layer(torch.zeros(1, 2))


def test_the_circuit_is_the_ansatz_behind_the_encoder():
    layer = QuantumLayer(3, 2, entanglement_pattern="circular")
    assert layer.circuit.gate_counts() == {"CNOT": 6, "RX": 6, "RY": 3 + 6, "RZ": 6}
    assert isinstance(layer.circuit, Circuit)
    assert CircuitRows.of(layer.circuit, np.zeros(18), np.zeros((4, 3))).n_rows == 4
