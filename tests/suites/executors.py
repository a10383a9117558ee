"""What every executor promises, as tests; a test file subclasses `ExecutorSuite` and gives its executor."""

import numpy as np
import pytest

from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.circuits import Circuit, feature, op, weight
from quantum_db.errors import CircuitError

# Asymmetric in its wires, so that results in another order of rows, wires or observables are seen.
MEASURED = Circuit(
    3,
    (
        op("RY", 0, angle=feature(0)),
        op("RX", 1, angle=weight(0) * 1.3 + 0.2),
        op("CNOT", 0, 1),
        op("CRY", 1, 2, angle=feature(1) * 0.5),
        op("RZ", 2, angle=weight(1)),
        op("RXX", 0, 2, angle=weight(0)),
    ),
    ("Z0", "X1 Z2", "Y2"),
)
COUNTED = Circuit(2, (op("RY", 0, angle=feature(0)), op("CRX", 0, 1, angle=weight(0))))


def rows_of(circuit, count, seed=1):
    generator = np.random.default_rng(seed)
    return CircuitRows(
        circuit,
        generator.uniform(-2, 2, (count, circuit.n_weights)),
        generator.uniform(-2, 2, (count, circuit.n_features)),
    )


def row(rows, number):
    return CircuitRows(rows.circuit, rows.weights[[number]], rows.features[[number]])


class ExecutorSuite:
    """Subclass it as `Test...` with a fixture `executor`; `reference(circuit, weights, features)` gives exact values.

    `tolerance` is the error allowed for exact values.
    """

    tolerance = 1e-12

    def reference(self, circuit, weights, features):
        raise NotImplementedError

    def exact(self, rows):
        pairs = zip(rows.weights, rows.features, strict=True)
        return np.array([self.reference(rows.circuit, *pair) for pair in pairs])

    def test_the_name_is_a_text(self, executor):
        assert isinstance(executor.name, str)
        assert executor.name
        assert isinstance(executor.differentiable, bool)

    def test_expectation_values_of_every_row_in_order(self, executor):
        rows = rows_of(MEASURED, 5)
        (result,) = executor.run(Batch((rows,)))
        assert result.standard_errors is None
        assert result.values.dtype == np.float64
        np.testing.assert_allclose(result.values, self.exact(rows), atol=self.tolerance)

    def test_probabilities_of_a_circuit_without_observables(self, executor):
        rows = rows_of(COUNTED, 3)
        (result,) = executor.run(Batch((rows,)))
        np.testing.assert_allclose(result.values, self.exact(rows), atol=self.tolerance)
        np.testing.assert_allclose(result.values.sum(axis=1), 1, atol=self.tolerance)

    def test_a_batch_is_the_loop_over_its_rows(self, executor):
        rows = rows_of(MEASURED, 4)
        (together,) = executor.run(Batch((rows,)))
        single = [executor.run(Batch((row(rows, number),)))[0].values for number in range(4)]
        np.testing.assert_allclose(together.values, np.concatenate(single), atol=self.tolerance)

    def test_parts_come_back_complete_and_in_order(self, executor):
        parts = (rows_of(MEASURED, 2, 3), rows_of(COUNTED, 4, 4), rows_of(MEASURED, 1, 5))
        results = executor.run(Batch(parts))
        assert [result.values.shape for result in results] == [(2, 3), (4, 4), (1, 3)]
        for part, result in zip(parts, results, strict=True):
            np.testing.assert_allclose(result.values, self.exact(part), atol=self.tolerance)

    def test_nothing_asked_gives_nothing(self, executor):
        assert executor.run(Batch(())) == ()
        for shots in (None, 7):
            (result,) = executor.run(Batch((rows_of(MEASURED, 0),), shots))
            assert result.values.shape == (0, 3)
            assert (result.standard_errors is None) == (shots is None)

    def test_shots_give_possible_counts_and_their_errors(self, executor):
        shots = 50
        counted, measured = executor.run(Batch((rows_of(COUNTED, 3), rows_of(MEASURED, 3)), shots, seed=4))
        counts = counted.values * shots
        np.testing.assert_allclose(counts, np.round(counts), atol=1e-9)
        np.testing.assert_allclose(counts.sum(axis=1), shots, atol=1e-9)
        parity = (measured.values + 1) / 2 * shots
        np.testing.assert_allclose(parity, np.round(parity), atol=1e-9)
        assert measured.standard_errors.shape == measured.values.shape
        wanted = np.sqrt((1 - measured.values**2) / (shots - 1))
        np.testing.assert_allclose(measured.standard_errors, wanted, atol=1e-12)

    def test_the_seed_decides_the_samples(self, executor):
        rows = rows_of(MEASURED, 4)
        first, again, other = (executor.run(Batch((rows,), 40, seed))[0].values for seed in (3, 3, 4))
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_equal_rows_and_parts_are_sampled_independently(self, executor):
        rows = rows_of(MEASURED, 1)
        many = CircuitRows.of(MEASURED, rows.weights, np.repeat(rows.features, 200, axis=0))
        first, second = (result.values[:, 0] for result in executor.run(Batch((many, many), 30, seed=1)))
        assert len(np.unique(first)) > 5
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.35
        assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.35

    def test_samples_scatter_around_the_exact_values(self, executor):
        rows = rows_of(MEASURED, 6)
        (result,) = executor.run(Batch((rows,), 4000, seed=8))
        deviation = (result.values - self.exact(rows)) / result.standard_errors
        assert np.abs(deviation).max() < 5
        assert np.abs(deviation).max() > 0.1

    def test_the_batch_is_not_changed(self, executor):
        rows = rows_of(MEASURED, 2)
        kept = rows.weights.copy(), rows.features.copy()
        executor.run(Batch((rows,), 10))
        np.testing.assert_array_equal(rows.weights, kept[0])
        np.testing.assert_array_equal(rows.features, kept[1])

    @pytest.mark.parametrize("shots", [0, -1, 2.5, True, "100"])
    def test_impossible_shots_are_refused(self, executor, shots):
        with pytest.raises(CircuitError, match="shots must be a positive integer"):
            executor.run(Batch((rows_of(MEASURED, 1),), shots))
