"""How many threads a simulation should use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALL_WORK = 2**14
"""Amplitudes per step below which a second thread costs more in waking up than it saves in computing."""


@contextmanager
def threads_for(n_qubits: int, rows: int) -> Iterator[None]:
    """Use one torch thread in the block if `rows` states of `n_qubits` qubits are small work; restore it after.

    Torch's number of threads belongs to the whole process, so nest this around a run, not around a step.
    """
    before = torch.get_num_threads()
    if rows * 2**n_qubits < SMALL_WORK:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
