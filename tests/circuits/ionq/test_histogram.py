"""The order of bits, with states that are different in every order."""

from __future__ import annotations

import numpy as np
import pytest

from quantum_db.circuits.ionq.histogram import from_histogram, histograms
from quantum_db.errors import CircuitError


def test_qubit_zero_is_most_significant_here_and_least_significant_there() -> None:
    for qubit, key in ((0, "1"), (1, "2"), (2, "4")):
        table = np.zeros((1, 8))
        table[0, 1 << (2 - qubit)] = 1.0
        assert histograms(table, (0, 1, 2)) == [{key: 1.0}]


def test_an_asymmetric_distribution_and_back() -> None:
    table = np.arange(1.0, 9.0)[None] / 36
    found = histograms(table, (0, 1, 2))[0]
    # index 1 = 001: qubit 2 is 1, key 4; index 3 = 011: key 6; index 4 = 100: key 1
    assert {key: round(value * 36) for key, value in found.items()} == {
        "0": 1, "4": 2, "2": 3, "6": 4, "1": 5, "5": 6, "3": 7, "7": 8,
    }  # fmt: skip
    np.testing.assert_array_equal(from_histogram(found, (0, 1, 2)), table[0])


def test_inactive_qubits_are_zero() -> None:
    table = np.array([[0.1, 0.2, 0.3, 0.4]])
    assert histograms(table, (1, 35)) == [{"0": 0.1, str(2**35): 0.2, "2": 0.3, str(2**35 + 2): 0.4}]
    np.testing.assert_array_equal(from_histogram(histograms(table, (1, 35))[0], (1, 35)), table[0])
    with pytest.raises(CircuitError, match="outside of the active qubits"):
        from_histogram({"1": 1.0}, (1, 35))
    with pytest.raises(CircuitError, match="decimal number"):
        from_histogram({"0b1": 1.0}, (0,))


def test_entries_that_are_zero_are_left_out_and_counts_stay_integers() -> None:
    assert histograms(np.array([[0, 3, 0, 5]]), (0, 1), smallest=0) == [{"2": 3, "3": 5}]
    assert histograms(np.array([[1 - 1e-13, 1e-13]]), (0,)) == [{"0": 1 - 1e-13}]
    assert histograms(np.ones((2, 1)), ()) == [{"0": 1.0}, {"0": 1.0}]


def test_wide_and_narrow_tables_agree() -> None:
    rng = np.random.default_rng(0)
    table = rng.dirichlet(np.ones(2**11)) * (rng.random(2**11) < 0.3)
    active = tuple(range(2, 24, 2))
    np.testing.assert_array_equal(from_histogram(histograms(table[None], active)[0], active), table)
    assert histograms(np.ones((1, 4)), (0, 1))[0].keys() == {"0", "1", "2", "3"}


def test_a_table_of_another_width_is_refused() -> None:
    with pytest.raises(CircuitError, match="have 4 columns"):
        histograms(np.ones((1, 8)), (0, 1))
