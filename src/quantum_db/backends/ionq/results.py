"""IonQ's results as histograms of ours: complete, in the order of the job, keys in our order of bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np

from quantum_db.backends.remote import Histogram
from quantum_db.circuits.ionq.histogram import keys_of
from quantum_db.errors import BackendError

_TOLERANCE = 1e-4
"""How far a sum of probabilities may be from 1; IonQ promises 1e-5."""


def single_histogram(answer: Any, n_qubits: int) -> Histogram:
    """The histogram of a job with one circuit."""
    if not isinstance(answer, Mapping):
        raise _incomplete("is no JSON object")
    return _histogram(answer, n_qubits, 0)


def many_histograms(answer: Any, n_qubits: Sequence[int], children: Sequence[str]) -> tuple[Histogram, ...]:
    """The histograms of a job with several circuits, in their order.

    `children` are the ids of the circuits' own jobs as the job lists them; where it lists none, the order of the
    answer counts. Raises BackendError when a circuit's result is missing.
    """
    if not isinstance(answer, Mapping):
        raise _incomplete("is no JSON object")
    if len(answer) != len(n_qubits):
        raise _incomplete(f"has results of {len(answer)} circuits, and {len(n_qubits)} were submitted")
    names = list(children) if len(children) == len(n_qubits) else list(answer)
    missing = [name for name in names if name not in answer]
    if missing:
        raise _incomplete(f"has no result of {len(missing)} of the circuits, first {missing[0]}")
    pairs = enumerate(zip(names, n_qubits, strict=True))
    return tuple(_histogram(answer[name], size, number) for number, (name, size) in pairs)


def _histogram(content: Any, n_qubits: int, number: int) -> Histogram:
    if not isinstance(content, Mapping) or not content:
        raise _incomplete(f"holds no probabilities for circuit {number}")
    for value in content.values():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value) or value < 0:
            raise _incomplete(f"holds {str(value)[:40]!r} as a probability of circuit {number}")
    total = sum(content.values())
    if abs(total - 1) > _TOLERANCE:
        raise _incomplete(f"holds probabilities of circuit {number} that sum to {total:g}")
    if not all(key.isascii() and key.isdigit() and int(key) < 2**n_qubits for key in content):
        raise _incomplete(f"names a basis state that circuit {number} of {n_qubits} qubits does not have")
    # turning the bits over twice gives them back, so that one function serves both directions
    turned = keys_of(np.array([int(key) for key in content], dtype=np.int64), tuple(range(n_qubits)))
    return {int(key): float(value) for key, value in zip(turned, content.values(), strict=True)}


def _incomplete(what: str) -> BackendError:
    return BackendError(
        f"the answer with a job's results {what}; none of it is used. The job itself is kept in the journal: start "
        f"again to ask for its results once more"
    )
