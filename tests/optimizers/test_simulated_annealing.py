import numpy as np
import pytest
import torch

from quantum_db.errors import ConfigurationError, TrainingError
from quantum_db.optimizers import OPTIMIZERS
from quantum_db.optimizers.simulated_annealing import (
    Cooling,
    SimulatedAnnealing,
    accepts,
    proposed,
    simulated_annealing,
)
from tests.gradients.test_metric_tensor import STOKES, STOKES_AT
from tests.optimizers.problems import Energy, rastrigin

HOT = Cooling(temperature=10.0, final=0.1)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [2, 4])
def test_better_than_random_search_with_as_many_evaluations(seed, size):
    generator = np.random.default_rng(seed)
    start = generator.uniform(-5.12, 5.12, size)
    found = simulated_annealing(rastrigin, start, width=1.0, cooling=HOT, moves=20, seed=seed)
    assert found.evaluations == 1 + 20 * 90
    drawn = min(map(rastrigin, generator.uniform(-5.12, 5.12, (found.evaluations, size))))
    assert found.loss < drawn
    assert found.loss == rastrigin(found.parameters)


def test_the_best_seen_is_returned():
    seen = []

    def function(values):
        seen.append(rastrigin(values))
        return seen[-1]

    found = simulated_annealing(function, [3.0, -2.0], cooling=Cooling(50.0, 0.9, 20.0), seed=1)
    assert found.loss == min(seen)
    assert found.loss < seen[-1]
    assert len(seen) == found.evaluations


@pytest.mark.parametrize("budget", [1, 2, 37, 5000])
def test_the_budget_is_kept(budget):
    calls = []
    found = simulated_annealing(lambda x: calls.append(0) or rastrigin(x), [1.0, 2.0], evaluations=budget)
    assert found.evaluations == len(calls) == min(budget, 1 + 10 * 90)


def test_the_default_cooling_has_ninety_stages():
    cooling = Cooling()
    assert not cooling.over(89)
    assert cooling.over(90)


def test_the_seed_decides():
    first, again, other = (simulated_annealing(rastrigin, [2.0, 3.0], seed=seed).parameters for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_metropolis():
    generator = np.random.default_rng(0)
    assert all(accepts(generator, difference, 1e-9) for difference in (-1.0, 0.0))
    share = np.mean([accepts(generator, 0.7, 0.5) for _ in range(4000)])
    assert share == pytest.approx(np.exp(-1.4), abs=0.03)
    assert not accepts(generator, 1e6, 1e-3)


def test_neighbours_move_few_entries_and_sometimes_far():
    generator, live = np.random.default_rng(0), np.array([1.0, 0.0, 1.0, 1.0])
    moves = np.array([proposed(generator, np.zeros(4), live, 0.1) for _ in range(3000)])
    assert np.all(moves[:, 1] == 0)
    assert np.all((moves != 0).any(axis=1))
    assert np.median(np.abs(moves[moves != 0])) < 0.2
    assert np.abs(moves).max() > 3
    assert proposed(generator, np.ones(2), np.zeros(2), 1.0).tolist() == [1, 1]


def test_a_loss_that_is_no_number_is_told():
    with pytest.raises(TrainingError, match="annealing cannot go on: the loss is nan"):
        simulated_annealing(lambda _: float("nan"), [1.0])


class TestOptimizer:
    def test_both_names_are_one_thing(self):
        assert OPTIMIZERS.load("quantum_annealing") is OPTIMIZERS.load("simulated_annealing") is SimulatedAnnealing
        assert "classical simulated annealing" in SimulatedAnnealing.__doc__.lower()

    def test_it_ends_with_the_best_it_saw(self):
        objective, seen = Energy(STOKES, STOKES_AT), []
        inner = objective.value

        def value():
            evaluation = inner()
            seen.append((evaluation.loss, objective.weights.tolist()))
            return evaluation

        objective.value = value
        optimizer = SimulatedAnnealing([objective.weights], lr=1.0, temperature=5.0, final_temperature=1.0, seed=2)
        while not optimizer.finished:
            optimizer.step(objective)
        assert optimizer.stage == 32  # 5 * 0.95^32 < 1
        optimizer.finish()
        assert (inner().loss, objective.weights.tolist()) == min(seen)
        assert optimizer.spent == len(seen) == 32 * 11

    def test_the_budget_ends_it(self):
        objective = Energy(STOKES, STOKES_AT)
        optimizer = SimulatedAnnealing([objective.weights], evaluations=25)
        steps = 0
        while not optimizer.finished:
            optimizer.step(objective)
            steps += 1
        assert (objective.values, steps) == (25, 3)

    def test_a_restored_state_goes_on_bit_for_bit(self):
        objective = Energy(STOKES, STOKES_AT)
        optimizer = SimulatedAnnealing([objective.weights], seed=5)
        for _ in range(5):
            optimizer.step(objective)
        copy = Energy(STOKES, objective.weights.tolist())
        other = SimulatedAnnealing([copy.weights], seed=5)
        other.load_state_dict(optimizer.state_dict())
        for _ in range(5):
            optimizer.step(objective)
            other.step(copy)
        for each in (optimizer, other):
            each.finish()
        assert torch.equal(objective.weights, copy.weights)
        assert optimizer.best_loss == other.best_loss

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"temperature": 0}, "the temperature must be a number above 0, got 0"),
            ({"cooling": 1.0}, r"the cooling factor must be a number in \[0, 1\), got 1.0"),
            ({"final_temperature": 1.0}, r"the final temperature must be a number in \[0, 1\), got 1.0"),
            ({"moves": 0}, "the moves must be a positive integer, got 0"),
            ({"evaluations": -1}, "evaluations must be a positive integer, got -1"),
        ],
    )
    def test_impossible_options_are_refused(self, options, message):
        with pytest.raises(ConfigurationError, match=message):
            SimulatedAnnealing([Energy(STOKES, STOKES_AT).weights], **options)
