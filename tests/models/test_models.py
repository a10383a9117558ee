import numpy as np
import pytest
import torch

from quantum_db.circuits.observables import PauliString
from quantum_db.errors import CircuitError, ConfigurationError, StageInputError, TrainingError
from quantum_db.models import MODELS
from quantum_db.models.hybrid import HybridQuantumModel, Squash
from quantum_db.models.quantum_model import QuantumModel
from quantum_db.models.saved_model import build_model, class_probabilities, parameter_count
from quantum_db.models.variational import VariationalModel
from quantum_db.training.step import quantum_layers

KINDS = ["hybrid", "quantum", "variational"]


def small(kind, **options):
    """A model of 3 features and 3 classes on 3 qubits."""
    return MODELS.load(kind)(3, 3, 3, 2, **options)


def rows(count=4, width=3, seed=0):
    return 2 * torch.rand(count, width, generator=torch.Generator().manual_seed(seed)) - 1


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_and_gradients(kind):
    model = small(kind)
    outputs = model(rows())
    assert outputs.shape == (4, 3)
    assert outputs.dtype == torch.float32
    torch.nn.functional.cross_entropy(outputs, torch.tensor([0, 1, 2, 0])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_one_model(kind):
    torch.manual_seed(1)
    first = small(kind, seed=5)
    torch.manual_seed(2)
    again, other = small(kind, seed=5), small(kind, seed=6)
    pairs = zip(first.state_dict().values(), again.state_dict().values(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)
    for (name, tensor), changed in zip(first.named_parameters(), other.parameters(), strict=True):
        assert not torch.equal(tensor, changed), name


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_the_loop_over_its_rows(kind):
    model = small(kind, dtype=torch.float64)
    features = rows().double()
    single = torch.cat([model(features[[number]]) for number in range(4)])
    torch.testing.assert_close(model(features), single, atol=1e-12, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("features", "message"), [(torch.zeros(2, 4), "shape"), (torch.zeros(3), "shape")])
def test_features_of_another_width_are_refused(kind, features, message):
    with pytest.raises(StageInputError, match=message):
        small(kind)(features)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_features_that_are_no_numbers_are_refused(kind, bad):
    features = rows()
    features[2, 1] = bad
    with pytest.raises(StageInputError, match=r"feature 1 of row 2 is (nan|inf)"):
        small(kind)(features)


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows_give_no_outputs(kind):
    assert small(kind)(torch.zeros(0, 3)).shape == (0, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_both_gradient_methods_agree(kind):
    found = []
    for method in ("backprop", "parameter_shift"):
        model = small(kind, dtype=torch.float64, gradient_method=method)
        model(rows().double()).square().sum().backward()
        found.append([parameter.grad for parameter in model.parameters()])
    for exact, shifted in zip(*found, strict=True):
        torch.testing.assert_close(shifted, exact, atol=1e-9, rtol=0)


class TestVariational:
    def test_nothing_but_angles_is_trained(self):
        model = VariationalModel(3, 3, 3, 2)
        assert parameter_count(model) == 3 * 3 * 2
        assert model.description == "3 features, angle encoding on 3 qubits, no classical layer"

    def test_more_classes_than_qubits_read_pairs(self):
        model = VariationalModel(2, 3, 5, encoder="reuploading")
        assert model(rows(width=2)).shape == (4, 5)
        (layer,) = quantum_layers(model)
        assert layer.circuit.observables[3:] == (PauliString.of("Z0 Z1"), PauliString.of("Z0 Z2"))

    def test_logits_are_the_expectation_values_times_the_scale(self):
        features = rows()
        one, seven = (VariationalModel(3, 3, 2, readout_scale=scale) for scale in (1.0, 7.0))
        torch.testing.assert_close(seven(features), 7 * one(features))
        assert one(features).abs().max() <= 1

    @pytest.mark.parametrize(
        ("arguments", "options", "error", "message"),
        [
            ((3, 3, 1), {}, ConfigurationError, "at least two classes, got 1"),
            ((3, 3, 7), {}, CircuitError, "7 classes need 7 observables"),
            ((3, 3, 2), {"readout_scale": 0}, ConfigurationError, "readout_scale must be above 0, got 0"),
            ((3, 3, 2), {"readout_scale": float("nan")}, ConfigurationError, "readout_scale must be above 0"),
            ((4, 3, 2), {}, ConfigurationError, r"holds 3 feature\(s\), but the data have 4"),
        ],
    )
    def test_what_cannot_be_built_is_refused(self, arguments, options, error, message):
        with pytest.raises(error, match=message):
            VariationalModel(*arguments, **options)


class TestHybrid:
    def test_the_layers_of_the_requirement(self):
        model = HybridQuantumModel(64, 8, 10)
        classical = 64 * 256 + 256 + 256 * 8 + 8 + 8 * 128 + 128 + 128 * 10 + 10
        assert parameter_count(model) == classical + 3 * 8 * 4
        assert model.description == (
            "64 features, trainable classical layers to 8 values, tanh, angle encoding on 8 qubits"
        )
        assert model(rows(5, 64)).shape == (5, 10)

    def test_any_finite_features_reach_the_qubits(self):
        model = HybridQuantumModel(3, 2, 2, 1)
        seen = []
        model.quantum.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        assert torch.isfinite(model(1e6 * rows())).all()
        assert seen[0].shape == (4, 2)
        assert seen[0].abs().max() <= 1

    def test_linear_layers_start_as_torch_draws_them(self):
        weight = HybridQuantumModel(64, 8, 10).classical_in[0].weight
        assert weight.abs().max() <= 1 / 8
        assert weight.std().item() == pytest.approx(1 / 8 / np.sqrt(3), rel=0.05)

    def test_weights_grown_beyond_bounds_are_told_from_bad_features(self):
        model = HybridQuantumModel(3, 2, 2, 1)
        with torch.no_grad():
            model.classical_in[2].weight.copy_(torch.tensor([[3e38, -3e38] * 128] * 2))
            model.classical_in[0].weight.fill_(1e3)
        with pytest.raises(TrainingError, match="their weights have grown beyond all bounds"):
            model(torch.ones(1, 3))

    def test_squash_keeps_the_domain(self):
        assert Squash()(torch.tensor([-1e9, 0.0, 1e9, float("inf")])).tolist() == [-1, 0, 1, 1]

    @pytest.mark.parametrize("encoder", ["basis", "amplitude"])
    def test_encoders_that_pass_no_gradient_are_refused(self, encoder):
        with pytest.raises(ConfigurationError, match=f"the {encoder} encoder cannot stand behind a trainable layer"):
            HybridQuantumModel(4, 2, 2, encoder=encoder)

    @pytest.mark.parametrize("name", ["input_dim", "output_dim", "hidden_in", "hidden_out"])
    def test_widths_below_one_are_refused(self, name):
        sizes = {"input_dim": 4, "n_qubits": 2, "output_dim": 2} | {name: 0}
        with pytest.raises(ConfigurationError, match="must be at least 1"):
            HybridQuantumModel(**sizes)


class TestQuantum:
    def test_wide_data_are_reduced_and_it_is_said(self):
        model = QuantumModel(784, 10, 10, 1)
        assert model.description == "784 features, trainable linear map to 10 values, tanh, angle encoding on 10 qubits"
        assert parameter_count(model) == 784 * 10 + 10 + 3 * 10 + 10 * 10 + 10
        assert model.description in repr(model)

    def test_amplitudes_take_wide_data_as_they_are(self):
        model = QuantumModel(784, 10, 10, 1, encoder="amplitude")
        assert model.description == "784 features, amplitude encoding on 10 qubits"
        assert model(rows(2, 784)).shape == (2, 10)
        assert parameter_count(model) == 3 * 10 + 10 * 10 + 10

    def test_what_fits_is_not_reduced(self):
        assert QuantumModel(3, 4, 2).reduction is None
        assert not QuantumModel(9, 2, 2, encoder="reuploading").reduces

    def test_basis_encoding_of_wide_data_is_refused(self):
        with pytest.raises(ConfigurationError, match="basis encoder on 2 qubit"):
            QuantumModel(4, 2, 2, encoder="basis")


def test_a_spec_makes_its_model():
    spec = {
        "kind": "variational",
        "arguments": {"input_dim": 2, "n_qubits": 2, "output_dim": 2, "circuit_depth": 3, "dtype": "float64"},
    }
    model = build_model(spec)
    assert isinstance(model, VariationalModel)
    assert model.quantum.weights.dtype == torch.float64
    assert model.quantum.parameter_count == 18
    with pytest.raises(ConfigurationError, match="unknown model 'oracle'; known: hybrid, quantum, variational"):
        build_model({**spec, "kind": "oracle"})


@pytest.mark.parametrize("kind", KINDS)
def test_class_probabilities_are_softmax_in_many_rows(kind):
    model, values = small(kind), rows(1100).double().numpy()
    found = class_probabilities(model, values)
    assert found.shape == (1100, 3)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    outputs = model(torch.as_tensor(values[600:603]).float()).detach().double().numpy()
    wanted = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found[600:603], wanted, atol=1e-6)
