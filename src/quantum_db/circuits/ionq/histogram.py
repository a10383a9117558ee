"""From our arrays to IonQ's histograms and back: the one place where the order of bits is turned over.

In our arrays qubit 0 is the most significant bit of the index; in IonQ's keys, decimal strings, it is the least
significant. The arrays are over the active qubits of a circuit only; the others are 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from quantum_db.errors import CircuitError

SMALLEST = 1e-12
"""Probabilities up to this are rounding of zero and left out."""
_CACHED_QUBITS = 10


def keys_of(places: npt.NDArray[np.int64], active: tuple[int, ...]) -> list[str]:
    """IonQ's key of each index into an array over the `active` qubits (ascending, at most 63 of them and below 63)."""
    states = np.zeros_like(places)
    for wire, qubit in enumerate(active):
        states |= ((places >> (len(active) - 1 - wire)) & 1) << qubit
    return [str(state) for state in states.tolist()]


def histograms(table: npt.NDArray[Any], active: tuple[int, ...], smallest: float = SMALLEST) -> list[dict[str, Any]]:
    """One histogram {key: value} for each row of `table` (rows, 2^len(active)), of the entries above `smallest`.

    Values keep their kind: floats for probabilities, ints for counts. Keys ascend with our index.
    """
    if table.ndim != 2 or table.shape[1] != 2 ** len(active):
        raise CircuitError(
            f"values over {len(active)} active qubits have {2 ** len(active)} columns, got {table.shape}"
        )
    if len(active) > _CACHED_QUBITS:
        return [_large(row, active, smallest) for row in table]
    keys = _all_keys(active)
    full = [bool(whole) for whole in np.all(table > smallest, axis=1)]
    rows: list[list[Any]] = table.tolist()
    return [
        dict(zip(keys, row, strict=True))
        if whole
        else {key: value for key, value in zip(keys, row, strict=True) if value > smallest}
        for whole, row in zip(full, rows, strict=True)
    ]


def from_histogram(histogram: Mapping[str, float], active: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """The array (2^len(active),) of a histogram, qubit 0 most significant; outcomes left out are 0.

    Raises CircuitError for a key that is no decimal number or has a 1 on a qubit that is not active.
    """
    table = np.zeros(2 ** len(active))
    for key, value in histogram.items():
        if not (key.isascii() and key.isdigit()):
            raise CircuitError(f"a key of a histogram is a decimal number, got {key[:40]!r}")
        state, place = int(key), 0
        for wire, qubit in enumerate(active):
            place |= ((state >> qubit) & 1) << (len(active) - 1 - wire)
            state &= ~(1 << qubit)
        if state:
            raise CircuitError(f"the key {key[:40]!r} has a 1 on a qubit outside of the active qubits {active}")
        table[place] += value
    return table


def _large(row: npt.NDArray[Any], active: tuple[int, ...], smallest: float) -> dict[str, Any]:
    places = np.flatnonzero(row > smallest)
    return dict(zip(keys_of(places, active), row[places].tolist(), strict=True))


@lru_cache(maxsize=256)
def _all_keys(active: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(keys_of(np.arange(2 ** len(active)), active))
