"""`HybridQuantumModel`: classical layers around a quantum layer, trained together."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from quantum_db.errors import ConfigurationError, StageInputError, TrainingError
from quantum_db.layers.torch_layer import QuantumLayer
from quantum_db.models.layout import encoder_width
from quantum_db.seeding import torch_generator


class Squash(nn.Module):
    """tanh, so that an unbounded classical output lies in the encoder's domain [-1, 1] and never wraps around."""

    def forward(self, values: Tensor) -> Tensor:
        """The values in [-1, 1], same shape; TrainingError where the layers before have lost all numbers."""
        squashed = torch.tanh(values)
        if bool(torch.isnan(squashed).any()):
            raise TrainingError(
                "the classical layers in front of the circuit give NaN: their weights have grown beyond all bounds; "
                "lower the learning rate, and resume from the last checkpoint"
            )
        return squashed


def checked_inputs(features: Tensor, input_dim: int) -> Tensor:
    """Return `features` if they are finite numbers of shape (rows, input_dim); raise StageInputError otherwise."""
    if features.ndim != 2 or features.shape[1] != input_dim:
        raise StageInputError(f"the model takes features of shape (rows, {input_dim}), got {tuple(features.shape)}")
    finite = torch.isfinite(features)
    if not bool(finite.all()):
        row, column = (~finite).nonzero()[0].tolist()
        raise StageInputError(
            f"feature {column} of row {row} is {features[row, column].item()}; remove or fill it first"
        )
    return features


class HybridQuantumModel(nn.Module):
    """Linear(hidden_in) ReLU Linear(n_qubits) tanh -> quantum layer -> Linear(hidden_out) ReLU Linear(output_dim).

    The quantum layer has one feature per qubit. The same seed makes the same initial weights, classical and quantum.
    """

    kind: ClassVar[str] = "hybrid"

    def __init__(
        self,
        input_dim: int,
        n_qubits: int,
        output_dim: int,
        circuit_depth: int = 4,
        *,
        hidden_in: int = 256,
        hidden_out: int = 128,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
        **layer_options: Any,
    ) -> None:
        super().__init__()
        if min(input_dim, output_dim, hidden_in, hidden_out) < 1:
            raise ConfigurationError(
                f"input_dim, output_dim, hidden_in and hidden_out must be at least 1, got {input_dim}, {output_dim}, "
                f"{hidden_in} and {hidden_out}"
            )
        self.input_dim = input_dim
        self.classical_in = nn.Sequential(
            nn.Linear(input_dim, hidden_in, dtype=dtype),
            nn.ReLU(),
            nn.Linear(hidden_in, n_qubits, dtype=dtype),
            Squash(),
        )
        self.quantum = QuantumLayer(
            n_qubits,
            circuit_depth,
            encoder_width(self.kind, "", input_dim, n_qubits),
            seed=seed,
            dtype=dtype,
            **layer_options,
        )
        refuse_undifferentiable(self.quantum)
        self.classical_out = nn.Sequential(
            nn.Linear(len(self.quantum.circuit.observables), hidden_out, dtype=dtype),
            nn.ReLU(),
            nn.Linear(hidden_out, output_dim, dtype=dtype),
        )
        reset_linear_layers(self, seed)

    @property
    def description(self) -> str:
        """How the features reach the qubits, in one line."""
        layer = self.quantum
        return (
            f"{self.input_dim} features, trainable classical layers to {layer.n_features} values, tanh, "
            f"{layer.encoder.name} encoding on {layer.n_qubits} qubits"
        )

    def forward(self, features: Tensor) -> Tensor:
        """Logits (rows, output_dim) of `features` (rows, input_dim)."""
        inputs = checked_inputs(features, self.input_dim)
        logits: Tensor = self.classical_out(self.quantum(self.classical_in(inputs)))
        return logits


def refuse_undifferentiable(layer: QuantumLayer) -> None:
    """Raise ConfigurationError for encoders that pass no gradient to a classical layer in front of them."""
    if layer.encoder.domain != (-1.0, 1.0):
        raise ConfigurationError(
            f"the {layer.encoder.name} encoder cannot stand behind a trainable layer: a value squashed to [-1, 1] does "
            f"not fit its domain; use angle, iqp or reuploading, or the variational model"
        )


def reset_linear_layers(model: nn.Module, seed: int) -> None:
    """Draw all linear layers of `model` anew (torch's default distribution) from the seed, in the order of names."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            generator = torch_generator(seed, "linear", name)
            bound = module.in_features**-0.5
            with torch.no_grad():
                for tensor in (module.weight, module.bias):
                    tensor.copy_((2 * torch.rand(tensor.shape, generator=generator) - 1) * bound)
