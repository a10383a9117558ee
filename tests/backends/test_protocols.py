import numpy as np
import pytest

from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.circuits import Circuit, feature, op, weight
from quantum_db.errors import CircuitError

CIRCUIT = Circuit(2, (op("RX", 0, angle=weight(1)), op("RY", 1, angle=feature(0))), ("Z0",))


def test_one_row_of_weights_serves_all_rows_of_features():
    rows = CircuitRows.of(CIRCUIT, [0.1, 0.2], [[1.0], [2.0], [3.0]])
    assert rows.n_rows == 3
    np.testing.assert_array_equal(rows.weights, [[0.1, 0.2]] * 3)
    rows = CircuitRows.of(CIRCUIT, [[0.1, 0.2], [0.3, 0.4]], [1.0])
    np.testing.assert_array_equal(rows.features, [[1.0], [1.0]])


def test_a_circuit_without_slots_is_one_row():
    assert CircuitRows.of(Circuit(1, (op("X", 0),))).n_rows == 1


def test_no_features_rows_are_no_rows():
    assert CircuitRows.of(CIRCUIT, [0.1, 0.2], np.zeros((0, 1))).n_rows == 0


@pytest.mark.parametrize(
    ("weights", "features", "message"),
    [
        ([0.1], [[1.0]], r"takes weights of shape \(rows, 2\), got \(1, 1\)"),
        ([0.1, 0.2], [[1.0, 2.0]], r"takes features of shape \(rows, 1\), got \(1, 2\)"),
        ([0.1, np.nan], [[1.0]], r"weights\[0, 1\] is nan"),
        ([0.1, 0.2], [[1.0], [np.inf]], r"features\[1, 0\] is inf"),
        (np.zeros((2, 2)), np.zeros((3, 1)), "2 rows of weights, but 3 rows of features"),
    ],
)
def test_values_that_do_not_fit_are_refused(weights, features, message):
    with pytest.raises(CircuitError, match=message):
        CircuitRows.of(CIRCUIT, weights, features)


def test_a_batch_counts_its_circuits():
    rows = CircuitRows.of(CIRCUIT, [0.1, 0.2], np.zeros((3, 1)))
    assert Batch((rows, rows)).n_circuits == 6
    assert Batch(()).n_circuits == 0
