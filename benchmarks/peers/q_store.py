"""Q-Store: its torch module, with the number of threads that its trainer would set."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.measuring.work import SCALE, Case, Numbers, Prepared
from quantum_db.layers.torch_layer import QuantumLayer
from quantum_db.simulation.threads import threads_for


def prepare(case: Case, numbers: Numbers, dtype: torch.dtype = torch.float32) -> Prepared:
    """Build the layer; float64 gives the reference that everybody's rounding errors are measured against."""
    layer = QuantumLayer(case.n, case.layers, encoder_options={"scale": SCALE}, dtype=dtype)
    with torch.no_grad():
        layer.weights.copy_(torch.from_numpy(numbers.weights).flatten())
    features = torch.from_numpy(numbers.features).to(dtype).requires_grad_()
    targets = torch.from_numpy(numbers.targets).to(dtype)

    def step() -> tuple[Tensor, Tensor | None, Tensor | None]:
        layer.weights.grad = features.grad = None
        loss = (layer(features) - targets).square().mean()
        loss.backward()
        return loss.detach(), layer.weights.grad, features.grad

    return Prepared(step, lambda: threads_for(case.n, case.batch))
