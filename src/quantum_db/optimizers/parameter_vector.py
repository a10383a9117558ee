"""All trainable numbers of a model as one vector."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

FloatArray = npt.NDArray[np.float64]


class ParameterVector:
    """Reads and writes parameters as one float64 vector, in the order of the parameters."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        ends = np.cumsum([0, *(parameter.numel() for parameter in self.parameters)])
        self._places = [slice(int(a), int(b)) for a, b in pairwise(ends)]
        self.size = int(ends[-1])

    def read(self) -> FloatArray:
        """The present values, (size,)."""
        return np.concatenate([_array(parameter) for parameter in self.parameters])

    def write(self, values: FloatArray) -> None:
        """Set the parameters to `values` (size,), rounded to their own precision."""
        with torch.no_grad():
            for parameter, place in zip(self.parameters, self._places, strict=True):
                parameter.copy_(torch.as_tensor(values[place]).reshape(parameter.shape))

    def place(self, parameter: nn.Parameter) -> slice:
        """Where `parameter` stands in the vector."""
        return next(place for known, place in zip(self.parameters, self._places, strict=True) if known is parameter)

    def live(self, dead: Sequence[tuple[nn.Parameter, tuple[int, ...]]]) -> FloatArray:
        """1 for each number that may be moved and 0 for the `dead` entries, (size,)."""
        mask = np.ones(self.size)
        for parameter, entries in dead:
            if any(known is parameter for known in self.parameters):
                mask[self.place(parameter)][list(entries)] = 0.0
        return mask


def _array(tensor: Tensor) -> FloatArray:
    return tensor.detach().cpu().to(torch.float64).numpy().ravel()
