"""What is planned is what runs: circuits, jobs, shots, gates and dollars of real trainings on a machine that counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantum_db.backends.remote import TargetLimits
from quantum_db.planning import PlannedData, PlanQuestion, count_training
from quantum_db.planning import plan as plan_module
from quantum_db.planning.targets import planned_target
from quantum_db.planning.walk import EVALUATED_AT_ONCE
from quantum_db.training import step
from quantum_db.training.config import QuantumTrainingConfig
from tests.planning.counting_machine import Counted, counted_training

TARGET = "qpu.forte-1"
SMALL = {"n_qubits": 3, "circuit_depth": 1, "epochs": 2, "batch_size": 4, "shots_per_circuit": 50, "seed": 3}
HYBRID = {**SMALL, "model": "hybrid", "hidden_in": 4, "hidden_out": 4, "gradient_method": "parameter_shift"}
PURE = {**SMALL, "model": "variational", "encoder": "reuploading", "gradient_method": "parameter_shift"}


def samples(rows: int, features: int, classes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    values = np.random.default_rng(seed).uniform(-0.9, 0.9, (rows, features))
    return values, np.arange(rows, dtype=np.int64) % classes


@pytest.fixture
def limits(request, monkeypatch) -> TargetLimits:
    """Limits of jobs, the same for the plan and for the machine."""
    found = getattr(request, "param", planned_target(TARGET, (TARGET,)).limits)

    def target(name, priced):
        return replace(planned_target(name, priced), limits=found)

    monkeypatch.setattr(plan_module, "planned_target", target)
    return found


def planned(config: QuantumTrainingConfig, data: PlannedData) -> Counted:
    total = count_training(config, data, PlanQuestion(qpu_target=TARGET)).total
    return Counted(
        total.circuits,
        total.jobs,
        total.shots,
        total.one_qubit_gates,
        total.two_qubit_gates,
        total.usd_low,
        total.usd_high,
    )


def both(settings: dict, values: np.ndarray, labels: np.ndarray, limits: TargetLimits) -> tuple[Counted, Counted]:
    config = QuantumTrainingConfig(**settings)
    data = PlannedData.of_rows("samples", values, labels, int(labels.max()) + 1)
    return planned(config, data), counted_training(config, values, labels, limits)


@pytest.mark.parametrize(
    "settings",
    [
        HYBRID,
        {**HYBRID, "validation_fraction": 0.3},
        {**HYBRID, "gradient_method": "finite_diff"},
        {**HYBRID, "gradient_method": "finite_diff", "gradient_options": {"scheme": "forward"}},
        {**HYBRID, "gradient_method": "spsa"},
        {**HYBRID, "measurement_basis": "X", "ansatz": "strongly_entangling", "circuit_depth": 2},
        {**HYBRID, "shots_schedule": "linear", "shots_final": 350, "epochs": 3},
        {**HYBRID, "optimizer": "quantum_natural_gradient"},
        {**HYBRID, "optimizer": "spsa", "optimizer_options": {"draws": 2}},
        {**HYBRID, "optimizer": "qn_spsa"},
        {**HYBRID, "optimizer": "simulated_annealing", "optimizer_options": {"moves": 3, "evaluations": 13}},
        {**HYBRID, "optimizer": "quantum_annealing", "optimizer_options": {"moves": 2, "cooling": 0.1}},
        PURE,
        {**PURE, "gradient_method": "spsa", "circuit_depth": 1},
        {**PURE, "gradient_method": "spsa", "gradient_options": {"draws": 3, "seed": 9}},
        {**PURE, "encoder": "amplitude", "validation_fraction": 0.2},
        {**PURE, "encoder": "iqp"},
        {**PURE, "optimizer": "quantum_natural_gradient", "circuit_depth": 2},
        {**PURE, "optimizer": "qn_spsa", "optimizer_options": {"draws": 2}},
    ],
    ids=lambda settings: "-".join(
        str(settings.get(name)) for name in ("model", "encoder", "optimizer", "gradient_method") if name in settings
    ),
)
def test_a_training_takes_what_was_planned(settings, limits):
    values, labels = samples(11, 3)
    plan, run = both(settings, values, labels, limits)
    assert run.circuits > 0
    assert plan == run


@pytest.mark.parametrize(
    "limits", [TargetLimits(max_circuits=7), TargetLimits(max_gates=400), TargetLimits(max_body_bytes=40_000)],
    indirect=True,
)  # fmt: skip
@pytest.mark.parametrize("settings", [HYBRID, {**PURE, "optimizer": "quantum_natural_gradient"}], ids=["hybrid", "qng"])
def test_jobs_are_split_as_planned(settings, limits):
    values, labels = samples(10, 3)
    plan, run = both(settings, values, labels, limits)
    assert run.jobs > 15
    assert plan == run


@pytest.mark.parametrize("encoder", ["reuploading", "angle", "iqp", "amplitude"])
@pytest.mark.parametrize(
    "way",
    [
        {"gradient_method": "parameter_shift"},
        {"gradient_method": "finite_diff"},
        {"gradient_method": "spsa"},
        {"optimizer": "quantum_natural_gradient", "circuit_depth": 2},
        {"optimizer": "qn_spsa"},
    ],
    ids=lambda way: "-".join(map(str, way.values())),
)
def test_rows_with_zeros_and_equal_rows_are_planned_as_they_run(encoder, way, limits):
    values, labels = samples(14, 3)
    values[2, 1] = values[5, 0] = values[5, 2] = values[9, 1] = 0.0
    values[7] = values[3]
    values[11] = values[12] = values[5]
    plan, run = both({**PURE, "encoder": encoder, **way, "batch_size": 6}, values, labels, limits)
    assert plan == run
    ordinary, _ = samples(14, 3)
    most = planned(
        QuantumTrainingConfig(**{**PURE, "encoder": encoder, **way, "batch_size": 6}),
        PlannedData.of_rows("samples", ordinary, labels, 2),
    )
    assert plan.one_qubit_gates < most.one_qubit_gates
    assert plan.circuits < most.circuits


def test_bits_are_planned_as_they_run(limits):
    bits = np.array([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in [0, 1, 2, 3, 4, 5, 6, 7, 3, 3]], dtype=np.float64)
    plan, run = both({**PURE, "encoder": "basis"}, bits, np.arange(10) % 2, limits)
    assert plan == run


def test_the_numbers_alone_give_the_plan_of_ordinary_rows(limits):
    values, labels = samples(13, 3)
    config = QuantumTrainingConfig(**{**PURE, "validation_fraction": 0.3})
    assert planned(config, PlannedData.of_numbers(13, 3, 2)) == counted_training(config, values, labels, limits)


def test_cobyla_takes_no_more_than_planned(limits):
    values, labels = samples(6, 3)
    settings = {**PURE, "optimizer": "cobyla", "learning_rate": 0.5, "batch_size": 6, "epochs": 1}
    plan, run = both(settings, values, labels, limits)
    assert 0 < run.circuits <= plan.circuits
    assert run.usd_high <= plan.usd_high
    data = PlannedData.of_rows("samples", values, labels, 2)
    assert count_training(QuantumTrainingConfig(**settings), data, PlanQuestion(qpu_target=TARGET)).at_most


def test_a_step_is_the_run_of_one_batch(limits):
    values, labels = samples(4, 3)
    config = QuantumTrainingConfig(**{**HYBRID, "epochs": 1})
    data = PlannedData.of_rows("samples", values, labels, 2)
    plan = count_training(config, data, PlanQuestion(qpu_target=TARGET))
    run = counted_training(config, values, labels, limits)
    assert plan.step.circuits == run.circuits
    assert plan.step.jobs == run.jobs == 2


def test_rows_are_held_out_in_the_portions_of_the_trainer():
    assert EVALUATED_AT_ONCE == step._CHUNK
