import pytest

from quantum_db.circuits.entanglement import PATTERNS, edges
from quantum_db.errors import ConfigurationError

COUNTS = {
    "linear": {1: 0, 2: 1, 3: 2, 8: 7},
    "circular": {1: 0, 2: 1, 3: 3, 8: 8},
    "full": {1: 0, 2: 1, 3: 3, 8: 28},
    "pairwise": {1: 0, 2: 1, 3: 2, 8: 7},
    "star": {1: 0, 2: 1, 3: 2, 8: 7},
}


def test_every_pattern_is_counted():
    assert set(COUNTS) == set(PATTERNS)


@pytest.mark.parametrize("pattern", COUNTS)
@pytest.mark.parametrize("n_qubits", [1, 2, 3, 8])
def test_edges(pattern, n_qubits):
    pairs = edges(pattern, n_qubits)
    assert len(pairs) == COUNTS[pattern][n_qubits]
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)
    assert all(a != b and {a, b} <= set(range(n_qubits)) for a, b in pairs)


def test_order():
    assert edges("circular", 4) == ((0, 1), (1, 2), (2, 3), (3, 0))
    assert edges("pairwise", 5) == ((0, 1), (2, 3), (1, 2), (3, 4))
    assert edges("star", 3) == ((0, 1), (0, 2))


def test_errors():
    with pytest.raises(ConfigurationError, match=r"unknown entanglement pattern 'ring'; known: circular, full, linear"):
        edges("ring", 3)
    with pytest.raises(ConfigurationError, match="at least one qubit, got 0"):
        edges("linear", 0)
