"""The loss of one batch as the optimizers see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

import torch
from torch import Tensor, nn

from quantum_db.backends.protocols import CircuitRows
from quantum_db.circuits.circuit import Circuit
from quantum_db.circuits.light_cone import dead_weights
from quantum_db.errors import TrainingError
from quantum_db.layers.torch_layer import QuantumLayer
from quantum_db.optimizers.objective import Evaluation, QuantumPart
from quantum_db.seeding import numpy_generator

Loss = Callable[[Tensor, Tensor], Tensor]
_ADVICE = "lower the learning rate, and resume from the last checkpoint"


def quantum_layers(model: nn.Module) -> list[QuantumLayer]:
    """All quantum layers of a model."""
    return [module for module in model.modules() if isinstance(module, QuantumLayer)]


@dataclass(frozen=True, eq=False)
class BatchObjective:
    """The loss of `model` on `values` (rows, inputs) and `labels` (rows,), at the model's present parameters."""

    model: nn.Module
    loss_function: Loss
    values: Tensor
    labels: Tensor
    _inputs: dict[QuantumLayer, list[Tensor]] = field(default_factory=dict)

    def value(self) -> Evaluation:
        """The loss without a gradient; TrainingError when it is no number."""
        with torch.no_grad():
            outputs = self._outputs()
            loss = self.loss_function(outputs, self.labels)
        if not bool(torch.isfinite(loss)):
            raise TrainingError(f"training diverged: the loss is {loss.item()}; {_ADVICE}")
        return Evaluation(float(loss.item()), outputs)

    def gradient(self) -> Evaluation:
        """The loss, with its gradient in the parameters; TrainingError when one of them is no number."""
        self.model.zero_grad(set_to_none=True)
        outputs = self._outputs()
        loss = self.loss_function(outputs, self.labels)
        loss.backward()  # type: ignore[no-untyped-call]
        norms = [torch.linalg.vector_norm(p.grad) for p in self.model.parameters() if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(norms))
        if not bool(torch.isfinite(loss)) or not bool(torch.isfinite(norm)):
            raise TrainingError(
                f"training diverged: the loss is {loss.item()} and the gradient's norm {norm.item()}; {_ADVICE}"
            )
        return Evaluation(float(loss.item()), outputs.detach(), float(norm.item()))

    def quantum_parts(self) -> list[QuantumPart]:
        """The circuits with the features that reached them in the last evaluation."""
        return [_part(layer, torch.cat(inputs)) for layer, inputs in self._inputs.items()]

    def dead_weights(self) -> list[tuple[nn.Parameter, tuple[int, ...]]]:
        """The angles of each circuit that no observable depends on."""
        return [(layer.weights, _dead(layer.circuit)) for layer in quantum_layers(self.model)]

    def _outputs(self) -> Tensor:
        """The model's outputs; what reaches its circuits on the way is remembered."""
        self._inputs.clear()

        def remember(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
            self._inputs.setdefault(cast(QuantumLayer, layer), []).append(given[0].detach())

        hooks = [layer.register_forward_pre_hook(remember) for layer in quantum_layers(self.model)]
        try:
            outputs: Tensor = self.model(self.values)
        finally:
            for hook in hooks:
                hook.remove()
        return outputs


def _part(layer: QuantumLayer, features: Tensor) -> QuantumPart:
    slots = layer.encoder.slot_values(features.cpu().to(torch.float64).numpy())
    weights = layer.weights.detach().cpu().to(torch.float64).numpy()
    dead = set(_dead(layer.circuit))
    # drawn anew with every sampled batch, which the checkpoints count
    seed = int(numpy_generator(layer.seed, "metric", int(layer.sampled_batches)).integers(2**32))
    return QuantumPart(
        parameter=layer.weights,
        live=tuple(index for index in range(layer.parameter_count) if index not in dead),
        rows=CircuitRows.of(layer.circuit, weights, slots),
        executor=layer.executor,
        shots=layer.shots,
        seed=seed,
    )


@lru_cache(maxsize=64)
def _dead(circuit: Circuit) -> tuple[int, ...]:
    return dead_weights(circuit)
