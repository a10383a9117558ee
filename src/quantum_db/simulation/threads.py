"""How many threads a simulation should use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALL_WORK = 2**18
"""Amplitudes per step below which a second thread saves little, and costs much when the machine is busy otherwise."""


def thread_count(n_qubits: int, rows: int) -> int:
    """One thread for small work, torch's number of threads otherwise."""
    return 1 if rows * 2**n_qubits < SMALL_WORK else torch.get_num_threads()


INSIDE_QUBITS, ALWAYS_INSIDE_QUBITS = 12, 14
"""From the first on the threads can share the blocks of a state; from the second on nothing is lost by it."""


def shares_blocks(n_qubits: int, tiles: int, threads: int) -> bool:
    """Whether threads share the blocks of one tile at a time instead of the tiles; that takes less memory."""
    if threads == 1 or n_qubits < INSIDE_QUBITS:
        return False
    return n_qubits >= ALWAYS_INSIDE_QUBITS or tiles % threads != 0


@contextmanager
def threads_for(n_qubits: int, rows: int) -> Iterator[None]:
    """Use one torch thread in the block if `rows` states of `n_qubits` qubits are small work; restore it after.

    Torch's number of threads belongs to the whole process, so nest this around a run, not around a step.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(thread_count(n_qubits, rows))
    try:
        yield
    finally:
        torch.set_num_threads(before)
