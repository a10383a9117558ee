"""Mean squared error against one-hot labels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def one_hot_mean_squared_error(outputs: Tensor, labels: Tensor) -> Tensor:
    """The mean over rows and classes of (output - one-hot label)^2; a scalar.

    On sampled outputs this is biased upwards by their variance: E[(f_hat - y)^2] = (f - y)^2 + Var(f_hat).
    """
    wanted = functional.one_hot(labels, outputs.shape[1]).to(outputs.dtype)
    return functional.mse_loss(outputs, wanted)
