import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from quantum_db.circuits import Circuit, op, weight
from quantum_db.circuits.observables import PauliString
from quantum_db.errors import ConfigurationError, TrainingError
from quantum_db.optimizers.build import make_optimizer
from quantum_db.optimizers.cobyla import MOST_PARAMETERS, Cobyla
from quantum_db.optimizers.objective import Evaluation
from tests.gradients.test_metric_tensor import STOKES, STOKES_AT
from tests.optimizers.problems import ONE_QUBIT, ONE_QUBIT_START, Energy

# H2 at 0.735 Angstrom on two qubits, in Hartree (parity mapping, STO-3G), as Qiskit's tutorials on VQE give it.
H2_IDENTITY = -1.052373245772859
H2 = {
    "Z0": -0.39793742484318045,
    "Z1": 0.39793742484318045,
    "Z0 Z1": -0.01128010425623538,
    "X0 X1": 0.18093119978423156,
}
H2_GROUND = -1.857275030202


def h2_circuit():
    gates = [op("RY", q, angle=weight(q)) for q in (0, 1)]
    gates += [op("CNOT", 0, 1)] + [op("RY", q, angle=weight(2 + q)) for q in (0, 1)]
    return Circuit(2, tuple(gates), tuple(PauliString.of(name, factor) for name, factor in H2.items()))


class Quadratic:
    """(x - c) H (x - c) of a vector parameter, with `dead` entries that do not count."""

    def __init__(self, size, seed=0, dead=()):
        generator = np.random.default_rng(seed)
        root = generator.normal(size=(size, size))
        self.hessian = root @ root.T / size + np.eye(size)
        self.centre = generator.normal(size=size)
        self.weights = nn.Parameter(torch.zeros(size, dtype=torch.float64))
        self.dead = dead
        self.seen = []

    def loss(self):
        off = self.weights.detach().numpy() - self.centre
        off[list(self.dead)] = 0.0
        return float(off @ self.hessian @ off)

    def value(self):
        self.seen.append((self.loss(), self.weights.tolist()))
        return Evaluation(self.seen[-1][0], torch.zeros(1, 1))

    def dead_weights(self):
        return [(self.weights, self.dead)]


def until_finished(objective, optimizer, at_most=300):
    """Step until the optimizer ends; the losses that the steps told."""
    told = []
    while not optimizer.finished:
        assert len(told) < at_most
        told.append(optimizer.step(objective).loss)
    return told


@pytest.mark.parametrize("max_evaluations", [None, 6, 40])
def test_the_ground_energy_of_hydrogen_is_found(max_evaluations):
    circuit = h2_circuit()
    matrix = sum(observable.matrix(2) for observable in circuit.observables)
    assert np.linalg.eigvalsh(matrix)[0] + H2_IDENTITY == pytest.approx(H2_GROUND, abs=1e-9)
    objective = Energy(circuit, [0.1, -0.2, 0.3, 0.1])
    until_finished(objective, Cobyla([objective.weights], lr=0.5, max_evaluations=max_evaluations))
    energy = objective.value().loss + H2_IDENTITY
    assert H2_GROUND - 1e-9 < energy < H2_GROUND + 1e-6


def test_the_minimum_of_the_published_example_is_found():
    objective = Energy(ONE_QUBIT, ONE_QUBIT_START)
    until_finished(objective, Cobyla([objective.weights], lr=0.5))
    assert objective.value().loss == pytest.approx(-np.sqrt(2), abs=1e-7)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_minimum_of_a_quadratic_is_found(size):
    objective = Quadratic(size)
    until_finished(objective, Cobyla([objective.weights], lr=0.5, final_radius=1e-5))
    np.testing.assert_allclose(objective.weights.detach().numpy(), objective.centre, atol=1e-4)


def test_a_step_leaves_the_best_it_saw_and_tells_the_start():
    objective = Quadratic(4)
    optimizer = Cobyla([objective.weights], lr=1.0, max_evaluations=9)
    for _ in range(6):
        objective.seen.clear()
        before = objective.loss()
        evaluation = optimizer.step(objective)
        assert evaluation.loss == before == objective.seen[0][0]
        assert (objective.loss(), objective.weights.tolist()) == min(objective.seen)
        assert evaluation.gradient_norm == 0


def test_it_never_gets_worse_on_one_batch():
    objective = Energy(STOKES, STOKES_AT)
    told = until_finished(objective, Cobyla([objective.weights], lr=2.0))
    assert told == sorted(told, reverse=True)
    assert told[0] > told[-1] + 0.1


def test_another_batch_is_judged_by_itself():
    objective = Quadratic(2)
    optimizer = Cobyla([objective.weights], lr=0.5)
    until_finished(objective, optimizer)
    objective.hessian = objective.hessian * 1e3  # every loss of this batch is above the best of the last one
    objective.centre = objective.centre + 1.0
    optimizer.share, before = 1.0, objective.loss()
    optimizer.step(objective)
    optimizer.finish()
    assert objective.loss() < before


@pytest.mark.parametrize("max_evaluations", [6, 7, 30])
def test_the_evaluations_of_a_step_are_bounded(max_evaluations):
    objective = Quadratic(4)
    optimizer = Cobyla([objective.weights], max_evaluations=max_evaluations)
    optimizer.step(objective)
    assert len(objective.seen) == optimizer.spent == max_evaluations


@pytest.mark.parametrize("budget", [4, 5, 23, 60])
def test_the_budget_ends_it(budget):
    objective = Quadratic(2)
    optimizer = Cobyla([objective.weights], evaluations=budget)
    assert not optimizer.finished
    until_finished(objective, optimizer)
    assert budget - 4 < len(objective.seen) == optimizer.spent <= budget


def test_the_radius_is_carried_over():
    objective = Quadratic(3)
    optimizer = Cobyla([objective.weights], lr=0.4, max_evaluations=5)
    for _ in range(8):
        start, radius = objective.weights.detach().clone(), optimizer.radius
        optimizer.step(objective)
        moved = (objective.weights - start).norm().item()
        assert optimizer.radius == pytest.approx(min(radius, max(radius / 2, moved)))
    assert 1e-4 < optimizer.radius < 0.4
    optimizer.param_groups[0]["lr"] *= 0.1  # as a schedule does
    assert optimizer.radius == pytest.approx(optimizer.share * 0.04)


def test_the_first_moves_are_as_long_as_the_radius():
    objective = Quadratic(3)
    Cobyla([objective.weights], lr=0.25).step(objective)
    points = np.array([weights for _, weights in objective.seen[:4]])
    assert np.all(points[0] == 0)
    assert np.abs(np.diff(points, axis=0)).max(axis=1) == pytest.approx([0.25] * 3)


def test_dead_weights_stay_and_cost_nothing():
    objective = Quadratic(4, dead=(1, 2))
    optimizer = Cobyla([objective.weights])
    until_finished(objective, optimizer)
    assert objective.weights[1:3].tolist() == [0, 0]
    assert optimizer.needed == 4
    assert objective.loss() < 1e-6
    nothing = Quadratic(2, dead=(0, 1))
    optimizer = Cobyla([nothing.weights])
    until_finished(nothing, optimizer)
    assert nothing.weights.tolist() == [0, 0]
    assert optimizer.spent == len(nothing.seen) < 20


@pytest.mark.parametrize("seed", [0, 9])
def test_nothing_is_random(seed):
    found = []
    for each in (0, seed):
        objective = Energy(STOKES, STOKES_AT)
        until_finished(objective, make_optimizer("cobyla", [objective.weights], 0.5, each))
        found.append(objective.weights.tolist())
    assert found[0] == found[1]


def test_a_restored_state_goes_on_bit_for_bit():
    objective = Energy(STOKES, STOKES_AT)
    options = {"lr": 0.5, "max_evaluations": 7, "evaluations": 50}
    optimizer = Cobyla([objective.weights], **options)
    for _ in range(3):
        optimizer.step(objective)
    copy = Energy(STOKES, objective.weights.tolist())
    other = Cobyla([copy.weights], **options)
    other.load_state_dict(optimizer.state_dict())
    assert other.radius < 0.5
    until_finished(objective, optimizer)
    until_finished(copy, other)
    assert torch.equal(objective.weights, copy.weights)
    assert (optimizer.spent, optimizer.radius) == (other.spent, other.radius)
    assert 43 < other.spent <= 50


@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_failed_evaluation_leaves_the_parameters(after):
    objective = Energy(STOKES, STOKES_AT)
    inner = objective.value

    def value():
        if objective.values == after:
            raise TrainingError("the loss is nan")
        return inner()

    objective.value = value
    with pytest.raises(TrainingError, match="the loss is nan"):
        Cobyla([objective.weights]).step(objective)
    assert objective.weights.tolist() == STOKES_AT


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_evaluations": 0}, "max_evaluations must be a positive integer, got 0"),
        ({"evaluations": 2.5}, "evaluations must be a positive integer, got 2.5"),
        ({"final_radius": 0}, "the final radius must be a number above 0, got 0"),
        ({"final_radius": 0.1}, "the final radius is 0.1, but the learning rate, .* is 0.1; make it larger"),
        ({"shrink": 1.0}, r"the shrink factor must be a number in \[0, 1\), got 1.0"),
        ({"shrink": 0}, "the shrink factor must be a number above 0, got 0"),
        ({"momentum": 0.9}, "unknown option 'momentum' of the optimizer 'cobyla'; known: evaluations, final_radius, m"),
        ({"constraints": []}, "unknown option 'constraints' of the optimizer 'cobyla'"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        make_optimizer("cobyla", [Quadratic(2).weights], 0.1, options=options)


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        (4, {"max_evaluations": 5}, "max_evaluations is 5, but a run of cobyla over 4 parameters takes at least 6"),
        (4, {"evaluations": 5}, "evaluations is 5, but a run of cobyla over 4 parameters takes at least 6"),
        (MOST_PARAMETERS + 1, {}, "would move 1001 parameters, and it is made for at most 1000: .* use spsa"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is(size, options, message):
    objective = Quadratic(size)
    with pytest.raises(ConfigurationError, match=message):
        Cobyla([objective.weights], **options).step(objective)
    assert objective.seen == []
    assert not objective.weights.any()


def test_scipy_is_only_loaded_for_it():
    code = "import sys, quantum_db.optimizers.build, quantum_db.optimizers.cobyla; sys.exit('scipy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
