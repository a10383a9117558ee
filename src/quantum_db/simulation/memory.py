"""Refuses a simulation that cannot fit into memory, before anything is allocated."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch

from quantum_db.errors import ConfigurationError

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_CGROUP_USE = Path("/sys/fs/cgroup/memory.current")
_CGROUP_STAT = Path("/sys/fs/cgroup/memory.stat")


def available_bytes(device: torch.device) -> int:
    """Memory that can still be taken on `device`: the machine's, or the container's limit if that is lower."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free: int = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free = int(fields["MemAvailable"].split()[0]) * 1024
    if _CGROUP_LIMIT.exists() and _CGROUP_USE.exists():
        limit = _CGROUP_LIMIT.read_text().strip()
        if limit != "max":
            free = min(free, int(limit) - int(_CGROUP_USE.read_text()) + _reclaimable())
    return free


def _reclaimable() -> int:
    # files the kernel holds in memory count as used but are given up on demand
    lines = _CGROUP_STAT.read_text().splitlines() if _CGROUP_STAT.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))


def needed_bytes(n_qubits: int, rows: int, amplitude_bytes: int, saved_states: int, index_arrays: int = 0) -> int:
    """Bytes of one simulation: its states, of which `saved_states` are kept for the gradient, and its index arrays."""
    return (1 << n_qubits) * (rows * amplitude_bytes * (saved_states + 3) + 8 * index_arrays)


def check_memory(
    n_qubits: int, rows: int, amplitude_bytes: int, saved_states: int, device: torch.device, index_arrays: int = 0
) -> None:
    """Raise ConfigurationError with the GiB needed and the largest circuit that fits, if this one does not.

    `index_arrays` is how many arrays of 2^n integers the prepared circuit holds.
    """

    def needed(qubits: int) -> int:
        return needed_bytes(qubits, rows, amplitude_bytes, saved_states, index_arrays)

    _refuse_unless_it_fits(needed, n_qubits, rows, device)


def check_kernel_memory(n_qubits: int, rows: int, padded_rows: int, amplitude_bytes: int) -> None:
    """Raise ConfigurationError unless two states per padded row fit, one forward, one back: the compiled kernel's most.

    Where one tile at a time is gone back through, the kernel needs less: one state per row, and one tile.
    """

    def needed(qubits: int) -> int:
        return 2 * (1 << qubits) * padded_rows * amplitude_bytes

    _refuse_unless_it_fits(needed, n_qubits, rows, torch.device("cpu"))


def _refuse_unless_it_fits(needed: Callable[[int], int], n_qubits: int, rows: int, device: torch.device) -> None:
    if needed(n_qubits) < 2**26:  # reading the machine's state costs more than such a small simulation
        return
    free = available_bytes(device)
    if needed(n_qubits) <= free:
        return
    fits = n_qubits
    while fits > 1 and needed(fits) > free:
        fits -= 1
    raise ConfigurationError(
        f"simulating {n_qubits} qubits with {rows} row(s) at once needs {needed(n_qubits) / 2**30:,.1f} GiB, and "
        f"{free / 2**30:,.1f} GiB are free; {fits} qubits fit. Use fewer qubits, a smaller batch size or "
        f"max_concurrent_circuits, or complex64"
    )
