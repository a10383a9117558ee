"""Gates as tensors, one matrix per row, and their application to some axes of a batched state."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from quantum_db.circuits.circuit import Circuit, Operation, Slot
from quantum_db.circuits.gates import gate
from quantum_db.errors import CircuitError

COMPLEX_OF = {torch.float32: torch.complex64, torch.float64: torch.complex128}


def checked_slots(circuit: Circuit, weights: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor, int]:
    """Weights (1 or rows, n_weights), features (1 or rows, n_features) and the number of rows.

    Raises CircuitError when a shape does not fit, a number is not finite, or the dtype is not float32 or float64.
    """
    if weights.dtype not in COMPLEX_OF:
        raise CircuitError(f"weights must be float32 or float64, got {weights.dtype}")
    given = weights.new_zeros(1, 0) if features is None else features.to(weights.dtype)
    pair: list[Tensor] = []
    for name, values, width in (("weights", weights, circuit.n_weights), ("features", given, circuit.n_features)):
        table = values[None] if values.ndim == 1 else values
        if table.ndim != 2 or table.shape[1] != width:
            raise CircuitError(f"the circuit takes {width} {name}, got values of shape {tuple(values.shape)}")
        if not bool(torch.isfinite(table).all()):
            raise CircuitError(f"{name} hold NaN or infinite values; every slot needs a finite number")
        pair.append(table)
    counts = {len(pair[0]), len(pair[1])} - {1}
    if len(counts) > 1:
        raise CircuitError(f"{len(pair[0])} rows of weights do not match {len(pair[1])} rows of features")
    return pair[0], pair[1], counts.pop() if counts else 1


def constant(matrix: np.ndarray, like: Tensor) -> Tensor:
    """`matrix` as one row (1, d, d) of the complex dtype that goes with the real tensor `like`, on its device."""
    return torch.as_tensor(matrix, dtype=COMPLEX_OF[like.dtype], device=like.device)[None]


def gate_matrix(operation: Operation, weights: Tensor, features: Tensor) -> Tensor:
    """The unitary of `operation`, shape (1 or rows, 2^arity, 2^arity)."""
    kind, angle = gate(operation.gate), operation.angle
    if not isinstance(angle, Slot):
        return constant(kind.matrix(angle), weights)
    values = (weights if angle.kind == "weight" else features)[:, angle.index]
    turned = ((angle.scale * values + angle.offset) * kind.frequency)[:, None, None]
    fixed, cosine, sine = (constant(matrix, weights) for matrix in kind.terms)
    return fixed + torch.cos(turned) * cosine + torch.sin(turned) * sine


def apply_matrix(matrix: Tensor, state: Tensor, axes: tuple[int, ...], n_axes: int) -> Tensor:
    """Multiply `matrix` (1 or rows, 2^k, 2^k) onto the `axes` of `state` (rows, 2^n_axes); axis 0 is most significant.

    The order of `axes` is that of the matrix's index, first axis most significant.
    """
    size = 2 ** len(axes)
    places = tuple(axis + 1 for axis in axes)
    ends = tuple(range(n_axes + 1 - len(axes), n_axes + 1))
    moved = state.reshape(-1, *(2,) * n_axes).movedim(places, ends)
    result = moved.reshape(len(state), -1, size) @ matrix.transpose(1, 2)
    return result.reshape(moved.shape).movedim(ends, places).reshape(len(state), -1)


def pair_matrix(first: Tensor, second: Tensor) -> Tensor:
    """The Kronecker product row by row: (1 or rows, a, a) and (1 or rows, b, b) give (1 or rows, a b, a b)."""
    size = first.shape[-1] * second.shape[-1]
    return torch.einsum("rij,rkl->rikjl", *_same_rows(first, second)).reshape(-1, size, size)


def _same_rows(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    rows = max(len(first), len(second))
    return first.expand(rows, -1, -1), second.expand(rows, -1, -1)
