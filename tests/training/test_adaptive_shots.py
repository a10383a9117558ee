"""Adaptive shots are only had where a rehearsal shows that they are cheaper than fixed ones."""

from __future__ import annotations

from decimal import Decimal
from math import inf

import numpy as np
import pytest
import torch

from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.errors import ConfigurationError
from quantum_db.models.saved_model import build_model
from quantum_db.pricing import CircuitSize, load_price_table
from quantum_db.training import adaptive_shots
from quantum_db.training.adaptive_shots import Rehearsal, ShotsComparison, compare_shots, priced
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.model_spec import model_spec
from quantum_db.training.schedules import needed_shots, shots_at
from tests.training.iris_run import iris_samples

ROWS, CLASSES = iris_samples(5)
VALUES, LABELS = ROWS[:20, 2:], CLASSES[:20]  # two classes that two features tell apart
SETTINGS = {
    "model": "variational", "encoder": "angle", "n_qubits": 2, "circuit_depth": 1, "batch_size": 10, "epochs": 6,
    "learning_rate": 0.2, "seed": 1, "gradient_method": "parameter_shift", "shots_per_circuit": 2000,
    "qpu_target": "qpu.forte-1",
}  # fmt: skip


def config(**changes):
    return QuantumTrainingConfig(**SETTINGS | changes)


@pytest.fixture(scope="module")
def by_shots():
    return compare_shots(config(), VALUES, LABELS, seeds=2)


def test_where_shots_are_what_is_paid_for_fewer_at_first_are_cheaper(by_shots):
    assert by_shots.adaptive_is_cheaper
    assert by_shots.sentence.startswith("Adaptive shots are cheaper: to a loss of")
    chosen = by_shots.chosen()
    assert chosen.shots_schedule == "linear"
    assert chosen.qpu_target == "qpu.forte-1"
    plan = [shots_at(chosen, epoch) for epoch in range(6)]
    assert plan == sorted(plan)
    assert tuple(plan) == by_shots.adaptive.shots
    assert plan[-1] < 2000
    # what was counted: each step 10 rows, and of each two shifts for each of the live angles, all with their shots
    live = 6 - 2
    assert by_shots.fixed.costs[0] <= 2 * 10 * (1 + 2 * live) * 2000
    assert by_shots.fixed.costs[0] > 10 * 2000


def test_where_the_minimum_of_a_job_is_paid_adaptive_shots_are_refused():
    # 20 shots of such circuits cost far less than the least that a job costs
    small = config(shots_per_circuit=20, epochs=3)
    found = compare_shots(
        small, VALUES, LABELS, charge=lambda sizes, shots: Decimal("25.79"), seeds=1, signal_to_noise=3.0
    )
    assert found.fixed.costs == tuple(Decimal("25.79") * 4 * epoch for epoch in (1, 2, 3))
    assert found.adaptive.costs == found.fixed.costs
    equal = ShotsComparison(small, small, found.fixed, found.fixed, (1.0,) * 3, "USD")
    assert not equal.adaptive_is_cheaper
    with pytest.raises(ConfigurationError, match=r"adaptive shots are refused\. Fixed shots are the better choice"):
        equal.chosen()


def test_cheap_shots_that_do_not_learn_are_no_saving():
    fixed = Rehearsal((100, 100), (0.5, 0.2), (Decimal(10), Decimal(20)))
    poor = Rehearsal((5, 10), (0.6, 0.5), (Decimal(1), Decimal(2)))
    found = ShotsComparison(config(), config(), fixed, poor, (1.0, 1.0), "shots")
    assert found.loss == 0.5
    assert found.costs == (10, 2)
    assert not found.adaptive_is_cheaper


def test_the_ratio_grows_with_the_root_of_the_shots():
    settings = config(qpu_target="simulator")
    spec = model_spec(settings, 2, 2)
    ratios = []
    for shots in (50, 5000):
        model = build_model({**spec, "arguments": {**spec["arguments"], "shots": shots}}, StatevectorExecutor())
        rows, labels = torch.as_tensor(VALUES, dtype=torch.float32), torch.as_tensor(LABELS)
        draws = []
        for start in range(5):
            model.quantum.sampled_batches += 1000 * start
            draws.append(adaptive_shots._signal_to_noise(model, settings, rows, labels))
        ratios.append(np.sqrt(1 / np.mean(1 / np.square(draws))))
        assert model.quantum.shots == shots
    # thirty gradients of four live angles: the root mean square noise is known to about a tenth
    assert ratios[1] / ratios[0] == pytest.approx(10, rel=0.35)


@pytest.mark.parametrize(
    ("ratio", "expected"), [(1.0, 400), (2.0, 100), (0.5, 1600), (0.0, 5000), (1e-200, 5000), (inf, 1)]
)
def test_needed_shots(ratio, expected):
    assert needed_shots(100, ratio, 2.0, 5000) == expected


def test_the_price_of_a_job_has_its_minimum():
    charge = priced(load_price_table(), "qpu.forte-1")
    assert charge((CircuitSize(10, 2),), 1) == charge((CircuitSize(10, 2),) * 2, 100) == Decimal("25.7899")
    assert charge((CircuitSize(10, 2),) * 100, 1000) > 300


@pytest.mark.parametrize(("changes", "match"), [
    ({"shots_per_circuit": None, "qpu_target": "simulator"}, "set shots_per_circuit"),
    ({"shots_schedule": "linear", "shots_final": 3000}, "leave shots_schedule constant"),
    ({"n_qubits": 20}, "not rehearsed"),
    ({"epochs": 1}, "at least 2 epochs"),
])  # fmt: skip
def test_what_cannot_be_rehearsed_is_refused(changes, match):
    with pytest.raises(ConfigurationError, match=match):
        compare_shots(config(**changes), VALUES, LABELS)


def test_a_loss_that_was_not_reached_has_no_cost():
    with pytest.raises(ValueError, match="never reached"):
        Rehearsal((1,), (0.5,), (Decimal(1),)).cost_to(0.4)
