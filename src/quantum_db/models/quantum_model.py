"""`QuantumModel(input_dim, n_qubits, output_dim)`: the shortest way from wide data to a quantum classifier."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from quantum_db.layers.torch_layer import QuantumLayer
from quantum_db.models.hybrid import Squash, checked_inputs, refuse_undifferentiable, reset_linear_layers
from quantum_db.models.layout import encoder_width


class QuantumModel(nn.Module):
    """A reduction to the qubits, a quantum layer, and one linear layer to the outputs.

    The encoder decides how `input_dim` features reach `n_qubits` qubits, and `description` says so: with the angle or
    iqp encoder one trainable linear map with tanh reduces them if there are more features than qubits; the amplitude
    and reuploading encoders take them as they are.
    """

    kind: ClassVar[str] = "quantum"

    def __init__(
        self,
        input_dim: int,
        n_qubits: int,
        output_dim: int,
        circuit_depth: int = 4,
        *,
        encoder: str = "angle",
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
        **layer_options: Any,
    ) -> None:
        super().__init__()
        self.input_dim = input_dim
        width = encoder_width(self.kind, encoder, input_dim, n_qubits)
        self.reduces = width < input_dim
        self.quantum = QuantumLayer(
            n_qubits, circuit_depth, width, encoder=encoder, seed=seed, dtype=dtype, **layer_options
        )
        self.reduction = nn.Sequential(nn.Linear(input_dim, n_qubits, dtype=dtype), Squash()) if self.reduces else None
        if self.reduces:
            refuse_undifferentiable(self.quantum)
        self.readout = nn.Linear(len(self.quantum.circuit.observables), output_dim, dtype=dtype)
        reset_linear_layers(self, seed)

    @property
    def description(self) -> str:
        """How the features reach the qubits, in one line."""
        layer = self.quantum
        path = f"trainable linear map to {layer.n_features} values, tanh, " if self.reduces else ""
        return f"{self.input_dim} features, {path}{layer.encoder.name} encoding on {layer.n_qubits} qubits"

    def extra_repr(self) -> str:
        """The description, for `print(model)`."""
        return self.description

    def forward(self, features: Tensor) -> Tensor:
        """Outputs (rows, output_dim) of `features` (rows, input_dim)."""
        inputs = checked_inputs(features, self.input_dim)
        reduced = inputs if self.reduction is None else self.reduction(inputs)
        outputs: Tensor = self.readout(self.quantum(reduced))
        return outputs
