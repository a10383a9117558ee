"""Entanglement patterns: which pairs of qubits a layer of two-qubit gates joins."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

from quantum_db.errors import ConfigurationError

Edges = tuple[tuple[int, int], ...]


def linear(n_qubits: int) -> Edges:
    """Neighbours on a line: n - 1 pairs."""
    return tuple((wire, wire + 1) for wire in range(n_qubits - 1))


def circular(n_qubits: int) -> Edges:
    """Neighbours on a ring: n pairs for n >= 3; two qubits have one neighbour, so one pair, and one qubit none."""
    return linear(n_qubits) if n_qubits < 3 else (*linear(n_qubits), (n_qubits - 1, 0))


def full(n_qubits: int) -> Edges:
    """Every pair once: n (n - 1) / 2."""
    return tuple(combinations(range(n_qubits), 2))


def pairwise(n_qubits: int) -> Edges:
    """Neighbours on a line in two sweeps, (0,1) (2,3) ... then (1,2) (3,4) ...: n - 1 pairs in two moments."""
    return linear(n_qubits)[::2] + linear(n_qubits)[1::2]


def star(n_qubits: int) -> Edges:
    """Qubit 0 with every other: n - 1 pairs."""
    return tuple((0, wire) for wire in range(1, n_qubits))


PATTERNS: dict[str, Callable[[int], Edges]] = {
    "linear": linear,
    "circular": circular,
    "full": full,
    "pairwise": pairwise,
    "star": star,
}
"""Every pattern by name."""


def edges(pattern: str, n_qubits: int) -> Edges:
    """Return the pairs (control, target) of `pattern`; raise ConfigurationError if it is unknown."""
    if pattern not in PATTERNS:
        raise ConfigurationError(f"unknown entanglement pattern {pattern!r}; known: {', '.join(sorted(PATTERNS))}")
    if n_qubits < 1:
        raise ConfigurationError(f"an entanglement pattern needs at least one qubit, got {n_qubits}")
    return PATTERNS[pattern](n_qubits)
