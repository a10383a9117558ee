"""How entangled simulated states are: entropy of a bipartition, and the Meyer-Wallach measure."""

from __future__ import annotations

import operator
from collections.abc import Iterable

import torch
from torch import Tensor

from quantum_db.errors import CircuitError

_TINY = 1e-30


def entanglement_entropy(states: Tensor, wires: Iterable[int]) -> Tensor:
    """Von Neumann entropy of `wires` against all others, natural logarithm, real (rows,).

    `states` is complex (rows, 2^n) or (2^n,), qubit 0 most significant; between 0 and min(k, n - k) ln 2 for k wires.
    Raises CircuitError for states without norm 1, or wires that are not a part (neither none nor all) of the qubits.
    """
    table, n_qubits = _checked(states)
    part = _part(wires, n_qubits)
    places = tuple(wire + 1 for wire in part)
    moved = table.reshape(-1, *(2,) * n_qubits).movedim(places, tuple(range(1, len(part) + 1)))
    schmidt = torch.linalg.svdvals(moved.reshape(len(table), 2 ** len(part), -1))
    # away from 0, where the entropy's slope is infinite, so that it can be differentiated
    entropy: Tensor = torch.special.entr(schmidt.square().clamp_min(_TINY)).sum(dim=1)
    return entropy.clamp_min(0)


def meyer_wallach(states: Tensor) -> Tensor:
    """The Meyer-Wallach measure 2 (1 - mean purity of the single qubits), real (rows,), from 0 (product) to 1.

    `states` is complex (rows, 2^n) or (2^n,). Sources: Meyer and Wallach, quant-ph/0108104; in this form Brennen,
    quant-ph/0305094. Raises CircuitError for states without norm 1.
    """
    table, n_qubits = _checked(states)
    tensor = table.reshape(-1, *(2,) * n_qubits)
    purities = []
    for wire in range(n_qubits):
        local = tensor.movedim(wire + 1, 1).reshape(len(table), 2, -1)
        rho = local @ local.conj().transpose(1, 2)
        purities.append((rho.real.square() + rho.imag.square()).sum(dim=(1, 2)))
    return 2 * (1 - torch.stack(purities).mean(dim=0))


def _checked(states: Tensor) -> tuple[Tensor, int]:
    table = states[None] if states.ndim == 1 else states
    n_qubits = table.shape[-1].bit_length() - 1
    if table.ndim != 2 or n_qubits < 1 or table.shape[1] != 2**n_qubits or not table.is_complex():
        raise CircuitError(
            f"states must be complex of shape (rows, 2^n), got {table.dtype} of shape {tuple(states.shape)}"
        )
    norms = torch.linalg.vector_norm(table.detach(), dim=1)
    off = ~((norms - 1).abs() < 1e-3)
    if bool(off.any()):
        row = int(off.nonzero()[0])
        raise CircuitError(f"row {row} of the states has norm {float(norms[row]):g}; a state has norm 1")
    return table, n_qubits


def _part(wires: Iterable[int], n_qubits: int) -> tuple[int, ...]:
    part = tuple(operator.index(wire) for wire in wires)
    inside = all(0 <= wire < n_qubits for wire in part)
    if not part or len(set(part)) != len(part) or len(part) >= n_qubits or not inside:
        raise CircuitError(
            f"the wires {part} are no part of {n_qubits} qubits: name at least one and not all of 0..{n_qubits - 1}, "
            f"each once"
        )
    return part
