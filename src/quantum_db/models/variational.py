"""`VariationalModel`: a purely quantum classifier; nothing is trained but the circuit's angles."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from quantum_db.errors import ConfigurationError
from quantum_db.layers.torch_layer import QuantumLayer
from quantum_db.models.layout import measured_observables


class VariationalModel(nn.Module):
    """Features -> encoder -> ansatz -> one observable per class, times a fixed `readout_scale`, as logits.

    Classes are read from single qubits first, then from pairs of qubits. Expectation values lie in [-1, 1], so
    without a scale the most certain softmax over two classes would be 0.88.
    """

    kind: ClassVar[str] = "variational"

    def __init__(
        self,
        input_dim: int,
        n_qubits: int,
        output_dim: int,
        circuit_depth: int = 4,
        *,
        readout_scale: float = 5.0,
        measurement_basis: str = "Z",
        **layer_options: Any,
    ) -> None:
        super().__init__()
        if output_dim < 2:
            raise ConfigurationError(f"a classifier needs at least two classes, got {output_dim}")
        if not readout_scale > 0:
            raise ConfigurationError(f"readout_scale must be above 0, got {readout_scale}")
        self.readout_scale = float(readout_scale)
        self.quantum = QuantumLayer(
            n_qubits,
            circuit_depth,
            input_dim,
            observables=measured_observables(self.kind, n_qubits, output_dim, measurement_basis),
            **layer_options,
        )

    @property
    def description(self) -> str:
        """How the features reach the qubits, in one line."""
        layer = self.quantum
        return (
            f"{layer.n_features} features, {layer.encoder.name} encoding on {layer.n_qubits} qubits, no classical layer"
        )

    def forward(self, features: Tensor) -> Tensor:
        """Logits (rows, classes) of `features` (rows, input_dim) in the encoder's domain."""
        logits: Tensor = self.readout_scale * self.quantum(features)
        return logits
