"""From a configuration and the shape of the data to a model and its circuit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quantum_db.backends.protocols import Executor
from quantum_db.circuits.ansatz import ANSAETZE, Ansatz
from quantum_db.circuits.circuit import Circuit
from quantum_db.circuits.encoders import Encoder, encoder_from_spec
from quantum_db.circuits.variational import variational_circuit
from quantum_db.execution import assemble
from quantum_db.models.layout import encoder_width, has_trained_front, measured_observables
from quantum_db.training.config import QuantumTrainingConfig


@dataclass(frozen=True)
class CircuitPlan:
    """The circuit of a model, known without building the model (and without torch)."""

    encoder: Encoder
    ansatz: Ansatz
    circuit: Circuit
    trained_front: bool
    """Whether trained classical layers, not the data alone, decide the feature slots."""


def plan_circuit(config: QuantumTrainingConfig, input_dim: int, n_classes: int) -> CircuitPlan:
    """The circuit that `model_spec(config, input_dim, n_classes)` will train."""
    kind = config.model
    width = encoder_width(kind, config.encoder, input_dim, config.n_qubits)
    options = {"n_qubits": config.n_qubits, "n_features": width, **config.encoder_options}
    encoder = encoder_from_spec({"name": config.encoder, **options})
    ansatz: Ansatz = ANSAETZE.load(config.ansatz)(config.n_qubits, config.circuit_depth, config.entanglement_pattern)
    observables = measured_observables(kind, config.n_qubits, n_classes, config.measurement_basis)
    return CircuitPlan(
        encoder=encoder,
        ansatz=ansatz,
        circuit=variational_circuit(encoder, ansatz, observables),
        trained_front=has_trained_front(kind, config.encoder, input_dim, config.n_qubits),
    )


def model_spec(config: QuantumTrainingConfig, input_dim: int, n_classes: int) -> dict[str, Any]:
    """What `models.saved_model.build_model` needs, as JSON."""
    arguments: dict[str, Any] = {
        "input_dim": input_dim,
        "n_qubits": config.n_qubits,
        "output_dim": n_classes,
        "circuit_depth": config.circuit_depth,
        "entanglement_pattern": config.entanglement_pattern,
        "encoder": config.encoder,
        "encoder_options": dict(config.encoder_options),
        "ansatz": config.ansatz,
        "measurement_basis": config.measurement_basis,
        "gradient_method": config.gradient_method,
        "gradient_options": dict(config.gradient_options),
        "shots": config.shots_per_circuit,
        "seed": config.seed,
        "dtype": config.dtype,
    }
    if config.model == "hybrid":
        arguments |= {"hidden_in": config.hidden_in, "hidden_out": config.hidden_out}
    if config.model == "variational":
        arguments |= {"readout_scale": config.readout_scale}
    return {"kind": config.model, "arguments": arguments}


def executor_for(config: QuantumTrainingConfig) -> Executor:
    """The executor that the configuration asks for, of targets that need no connection."""
    return assemble(config.execution)
