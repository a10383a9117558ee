import json

import numpy as np
import pytest

from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.gradients.finite_difference import FiniteDifference
from quantum_db.gradients.spsa import SimultaneousPerturbation
from quantum_db.models.saved_model import build_model
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.model_spec import executor_for, model_spec, plan_circuit
from quantum_db.training.step import quantum_layers

CONFIGS = [
    {"model": "hybrid", "n_qubits": 3, "hidden_in": 5, "hidden_out": 4},
    {"model": "quantum", "n_qubits": 3, "encoder": "iqp", "measurement_basis": "Y"},
    {"model": "quantum", "n_qubits": 3, "encoder": "amplitude"},
    {"model": "quantum", "n_qubits": 7, "encoder": "angle", "encoder_options": {"axis": "Z"}},
    {"model": "variational", "n_qubits": 3, "encoder": "reuploading", "ansatz": "strongly_entangling"},
    {"model": "variational", "n_qubits": 6, "entanglement_pattern": "full", "measurement_basis": "X"},
]


@pytest.mark.parametrize("settings", CONFIGS)
def test_the_planned_circuit_is_the_one_that_is_trained(settings):
    config = QuantumTrainingConfig(circuit_depth=2, **settings)
    plan = plan_circuit(config, 6, 4)
    model = build_model(json.loads(json.dumps(model_spec(config, 6, 4))))
    (layer,) = quantum_layers(model)
    assert layer.circuit == plan.circuit
    assert layer.encoder == plan.encoder
    direct = layer.n_features == 6 and config.model != "hybrid"
    assert plan.trained_front is not direct
    assert model(np_rows(model)).shape == (2, 4)


def np_rows(model):
    parameter = next(model.parameters())
    return parameter.new_tensor(np.random.default_rng(0).uniform(-1, 1, (2, 6)))


def test_every_setting_reaches_the_model():
    config = QuantumTrainingConfig(
        model="variational", n_qubits=2, circuit_depth=3, readout_scale=2.5, precision="complex128", seed=4,
        gradient_method="parameter_shift", shots_per_circuit=50,
    )  # fmt: skip
    model = build_model(model_spec(config, 2, 2))
    (layer,) = quantum_layers(model)
    assert model.readout_scale == 2.5
    assert (layer.ansatz.depth, layer.seed, layer.shots, str(layer.weights.dtype)) == (3, 4, 50, "torch.float64")
    hybrid = build_model(model_spec(QuantumTrainingConfig(n_qubits=2, hidden_in=7, hidden_out=9), 3, 2))
    assert (hybrid.classical_in[0].out_features, hybrid.classical_out[0].out_features) == (7, 9)


def test_options_of_the_gradient_method_reach_the_layer():
    options = {"perturbation": 0.2, "draws": 3, "seed": 9}
    config = QuantumTrainingConfig(model="quantum", n_qubits=2, gradient_method="spsa", gradient_options=options)
    (layer,) = quantum_layers(build_model(json.loads(json.dumps(model_spec(config, 2, 2)))))
    assert layer.method == SimultaneousPerturbation(**options)
    config = config.replace(gradient_method="finite_diff", gradient_options={"scheme": "forward"})
    (layer,) = quantum_layers(build_model(model_spec(config, 2, 2)))
    assert layer.method == FiniteDifference(0.01, "forward")


def test_the_executor_is_that_of_the_configuration():
    config = QuantumTrainingConfig(max_concurrent_circuits=5, precision="complex128")
    assert executor_for(config) == StatevectorExecutor("complex128", 5, "cpu")
