"""What every executor promises, as tests."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from quantum_db.backends.protocols import Batch, CircuitRows, Executor, RowResults
from quantum_db.circuits.circuit import Circuit, feature, op, weight
from quantum_db.circuits.observables import as_observables
from quantum_db.errors import CircuitError

FloatArray = npt.NDArray[np.float64]

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
    as_observables(("Z0", "X1 Z2", "Y2")),
)
COUNTED = Circuit(2, (op("RY", 0, angle=feature(0)), op("CRX", 0, 1, angle=weight(0))))


def rows_of(circuit: Circuit, count: int, seed: int = 1) -> CircuitRows:
    """`count` rows of `circuit` with random values of its slots."""
    generator = np.random.default_rng(seed)
    return CircuitRows(
        circuit,
        generator.uniform(-2, 2, (count, circuit.n_weights)),
        generator.uniform(-2, 2, (count, circuit.n_features)),
    )


def row(rows: CircuitRows, number: int) -> CircuitRows:
    """One row of `rows` by itself."""
    return CircuitRows(rows.circuit, rows.weights[[number]], rows.features[[number]])


def _errors(result: RowResults) -> FloatArray:
    assert result.standard_errors is not None, "sampled values come with their standard errors"
    return result.standard_errors


class ExecutorContract:
    """Subclass it as `Test...` and give it a fixture `executor`.

    `has_exact_values` says whether values without shots are exact (to `tolerance`); where it is False the tests take
    `many_shots` and allow five standard errors. `duplicates_once` says that equal circuits of a batch are run once
    and share their sample; `counts` that sampled values are plain shares of the shots, which mitigated values are not.
    `reference` gives the true values; without noise the one here is right.
    """

    tolerance: float = 1e-12
    has_exact_values: bool = True
    many_shots: int = 20000
    duplicates_once: bool = False
    counts: bool = True

    def reference(self, circuit: Circuit, weights: FloatArray, features: FloatArray) -> npt.ArrayLike:
        """The values that the executor should give for one row without shots."""
        state = circuit.bind(weights.tolist(), features.tolist()).unitary()[:, 0]
        if not circuit.observables:
            return np.abs(state) ** 2
        return [float((state.conj() @ o.matrix(circuit.n_qubits) @ state).real) for o in circuit.observables]

    def exact(self, rows: CircuitRows) -> FloatArray:
        """The reference values of all rows."""
        pairs = zip(rows.weights, rows.features, strict=True)
        return np.array([self.reference(rows.circuit, *pair) for pair in pairs])

    def run(self, executor: Executor, *parts: CircuitRows) -> tuple[RowResults, ...]:
        """Run `parts` as exactly as the executor can."""
        return executor.run(Batch(parts, None if self.has_exact_values else self.many_shots, seed=11))

    def check(self, rows: CircuitRows, result: RowResults) -> None:
        """Compare a result of `run` with the reference."""
        assert result.values.dtype == np.float64
        allowed: FloatArray | float = self.tolerance
        if not self.has_exact_values:
            allowed = 5 * _errors(result) + 2 / self.many_shots
        wanted = self.exact(rows)
        assert result.values.shape == wanted.shape
        difference = np.abs(result.values - wanted)
        assert np.all(difference <= allowed), f"values off by up to {difference.max()}"

    def test_the_name_is_a_text(self, executor: Executor) -> None:
        """An executor says what it is, and whether backpropagation works."""
        assert isinstance(executor.name, str)
        assert executor.name
        assert isinstance(executor.differentiable, bool)

    def test_expectation_values_of_every_row_in_order(self, executor: Executor) -> None:
        """Rows, wires and observables keep their order."""
        rows = rows_of(MEASURED, 5)
        (result,) = self.run(executor, rows)
        self.check(rows, result)
        assert (result.standard_errors is None) == self.has_exact_values

    def test_probabilities_of_a_circuit_without_observables(self, executor: Executor) -> None:
        """Basis states are in order (qubit 0 most significant) and their probabilities sum to 1."""
        rows = rows_of(COUNTED, 3)
        (result,) = self.run(executor, rows)
        self.check(rows, result)
        np.testing.assert_allclose(result.values.sum(axis=1), 1, atol=max(self.tolerance, 1e-9))

    def test_a_batch_is_the_loop_over_its_rows(self, executor: Executor) -> None:
        """A row's value does not depend on what it is batched with."""
        rows = rows_of(MEASURED, 4)
        (together,) = self.run(executor, rows)
        self.check(rows, together)
        for number in range(4):
            one = row(rows, number)
            (alone,) = self.run(executor, one)
            self.check(one, alone)
            if self.has_exact_values:
                np.testing.assert_allclose(alone.values[0], together.values[number], atol=self.tolerance)

    def test_parts_come_back_complete_and_in_order(self, executor: Executor) -> None:
        """One result per part and one line per row, whatever else is in the batch."""
        parts = (rows_of(MEASURED, 2, 3), rows_of(COUNTED, 4, 4), rows_of(MEASURED, 1, 5))
        results = self.run(executor, *parts)
        assert [result.values.shape for result in results] == [(2, 3), (4, 4), (1, 3)]
        for part, result in zip(parts, results, strict=True):
            self.check(part, result)

    def test_nothing_asked_gives_nothing(self, executor: Executor) -> None:
        """No parts give no results, no rows give no lines."""
        assert executor.run(Batch(())) == ()
        for shots in (None, 70):
            (result,) = executor.run(Batch((rows_of(MEASURED, 0),), shots))
            assert result.values.shape == (0, 3)
            assert (result.standard_errors is None) == (shots is None)

    def test_a_circuit_without_gates_reads_zero(self, executor: Executor) -> None:
        """|0...0> needs no gate."""
        (values, states) = self.run(
            executor, CircuitRows.of(Circuit(2, (), as_observables(("Z0", "Z0 Z1")))), CircuitRows.of(Circuit(2))
        )
        if self.has_exact_values and self.counts:
            empty = Circuit(2, (), as_observables(("Z0", "Z0 Z1")))
            wanted = np.asarray(self.reference(empty, np.zeros(0), np.zeros(0)), dtype=np.float64)
            np.testing.assert_allclose(values.values[0], wanted, atol=self.tolerance)
        assert values.values.shape == (1, 2)
        assert states.values.shape == (1, 4)
        assert np.argmax(states.values[0]) == 0

    def test_shots_give_possible_counts_and_their_errors(self, executor: Executor) -> None:
        """Shares of the shots sum to 1, and standard errors are those of one sample, taken once."""
        shots = 60
        counted, measured = executor.run(Batch((rows_of(COUNTED, 3), rows_of(MEASURED, 3)), shots, seed=4))
        assert _errors(measured).shape == measured.values.shape
        assert _errors(counted).shape == counted.values.shape
        np.testing.assert_allclose(counted.values.sum(axis=1), 1, atol=1e-9)
        assert np.all(counted.values >= 0)
        if self.counts:
            counts = counted.values * shots
            np.testing.assert_allclose(counts, np.round(counts), atol=1e-9)
            parity = (measured.values + 1) / 2 * shots
            np.testing.assert_allclose(parity, np.round(parity), atol=1e-9)
            wanted = np.sqrt((1 - measured.values**2) / (shots - 1))
            np.testing.assert_allclose(_errors(measured), wanted, atol=1e-12)

    def test_the_seed_decides_the_samples(self, executor: Executor) -> None:
        """Equal seeds give equal samples, other seeds others."""
        rows = rows_of(MEASURED, 4)
        first, again, other = (executor.run(Batch((rows,), 60, seed))[0].values for seed in (3, 3, 4))
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_equal_rows_and_parts_are_sampled_as_promised(self, executor: Executor) -> None:
        """Equal circuits get independent samples, or share one where `duplicates_once`."""
        rows = rows_of(MEASURED, 1)
        many = CircuitRows.of(MEASURED, rows.weights, np.repeat(rows.features, 200, axis=0))
        first, second = (result.values[:, 0] for result in executor.run(Batch((many, many), 30, seed=1)))
        if self.duplicates_once:
            assert len(np.unique(np.concatenate([first, second]))) == 1
            return
        assert len(np.unique(first)) > 5
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.35
        assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.35

    def test_different_circuits_are_sampled_independently(self, executor: Executor) -> None:
        """The noise of one circuit says nothing about that of another, however alike they are."""
        rows = rows_of(MEASURED, 1)
        near = rows.features + np.linspace(0, 1e-6, 400)[:, None]
        (result,) = executor.run(Batch((CircuitRows.of(MEASURED, rows.weights, near),), 30, seed=2))
        values = result.values[:, 0]
        assert len(np.unique(values)) > 5
        assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.25
        assert abs(np.corrcoef(values[:200], values[200:])[0, 1]) < 0.35

    def test_the_variance_is_that_of_one_sampling(self, executor: Executor) -> None:
        """Samples of alike circuits scatter as their standard errors say: nothing is sampled again from a sample."""
        rows = rows_of(MEASURED, 1)
        near = rows.features + np.linspace(0, 1e-6, 400)[:, None]
        (result,) = executor.run(Batch((CircuitRows.of(MEASURED, rows.weights, near),), 120, seed=3))
        spread = np.var(result.values, axis=0, ddof=1)
        stated = np.mean(np.square(_errors(result)), axis=0)
        # the relative error of a variance of 400 values is sqrt(2 / 399) = 0.071; four of these
        np.testing.assert_allclose(spread, stated, rtol=0.29)

    def test_samples_scatter_around_the_true_values(self, executor: Executor) -> None:
        """Sampling adds no bias."""
        rows = rows_of(MEASURED, 6)
        (result,) = executor.run(Batch((rows,), 4000, seed=8))
        deviation = (result.values - self.exact(rows)) / _errors(result)
        assert np.abs(deviation).max() < 5
        assert np.abs(deviation).max() > 0.1

    def test_the_batch_is_not_changed(self, executor: Executor) -> None:
        """What was asked stays as it is."""
        rows = rows_of(MEASURED, 2)
        kept = rows.weights.copy(), rows.features.copy()
        executor.run(Batch((rows,), 60))
        np.testing.assert_array_equal(rows.weights, kept[0])
        np.testing.assert_array_equal(rows.features, kept[1])

    @pytest.mark.parametrize("shots", [0, -1, 2.5, True, "100"])
    def test_impossible_shots_are_refused(self, executor: Executor, shots: object) -> None:
        """Shots are a positive integer."""
        with pytest.raises(CircuitError, match="shots must be a positive integer"):
            executor.run(Batch((rows_of(MEASURED, 1),), shots))  # type: ignore[arg-type]
