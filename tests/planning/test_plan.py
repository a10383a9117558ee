"""What a plan says: targets, choices, budget, strategies, outlook, warnings, and its page."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache

import numpy as np
import pytest

from quantum_db.errors import ConfigurationError, RejectedJobError
from quantum_db.planning import Plan, PlannedData, PlanQuestion, plan_training
from quantum_db.planning.page import as_page
from quantum_db.planning.text import as_text
from quantum_db.training.config import QuantumTrainingConfig

BASE = {"model": "hybrid", "n_qubits": 4, "circuit_depth": 2, "hidden_in": 4, "hidden_out": 4, "epochs": 4,
        "batch_size": 8, "gradient_method": "parameter_shift", "shots_per_circuit": 100}  # fmt: skip
DATA = PlannedData.of_numbers(32, 6, 2)
FORTE = "qpu.forte-1"


@cache
def plan(target: str = FORTE, budget: str | None = None, debiasing: bool = False, **settings) -> Plan:
    question = PlanQuestion(
        qpu_target=target, budget_usd=None if budget is None else Decimal(budget), debiasing=debiasing
    )
    return plan_training(QuantumTrainingConfig(**{**BASE, **settings}), DATA, question)


def test_the_counts_are_those_of_the_shift_rule():
    """4 qubits, 2 layers: 24 angles, 4 of them dead (RZ in front of Z), and 4 features behind trained layers."""
    found = plan()
    per_row = 1 + 2 * (24 - 4) + 2 * 4
    assert found.dead == (14, 17, 20, 23)
    assert found.chosen.step.circuits == 8 * per_row
    assert found.chosen.total.circuits == 4 * 32 * per_row
    assert found.chosen.total.jobs == 4 * 4 * 2
    assert found.chosen.total.shots == 100 * found.chosen.total.circuits
    assert found.chosen.total.one_qubit_gates == found.chosen.total.circuits * (4 + 24)
    assert found.chosen.total.two_qubit_gates == found.chosen.total.circuits * 6


def test_dollars_are_the_two_readings_of_the_minimum():
    total = plan().chosen.total
    gates = 100 * (28 * Decimal("0.000164") + 6 * Decimal("0.001121"))
    minimum = Decimal("25.7899")
    assert gates < minimum < 8 * 48 * gates
    assert total.usd_low == 16 * minimum + 16 * 8 * 48 * gates
    assert total.usd_high == total.circuits * minimum


def test_seconds_follow_from_gates_and_queue():
    found = plan()
    total = found.chosen.total
    assert total.qpu_seconds == pytest.approx(total.shots * (28 * 130e-6 + 6 * 950e-6 + 125e-6))
    assert found.chosen.wall_seconds == pytest.approx(2 * 16 * 305 + total.qpu_seconds)


def test_the_simulator_is_free_and_runs_in_one_job_what_is_asked_at_once():
    found = plan("simulator")
    total = found.chosen.total
    assert (total.usd_low, total.usd_high, total.qpu_seconds) == (0, 0, 0)
    assert found.chosen.wall_seconds is None
    assert total.jobs == 2 * 16


def test_adjoint_simulates_each_row_once_and_runs_nothing_for_the_gradient():
    found = plan("simulator", gradient_method="adjoint", shots_per_circuit=None)
    assert found.chosen.total.circuits == 4 * 32
    assert found.chosen.total.shots == 0
    assert "gradient" not in found.phases
    assert any(choice.name == "adam with parameter_shift" for choice in found.alternatives)


def test_a_machine_is_planned_with_circuits_and_shots_and_says_so():
    found = plan(gradient_method="adjoint", shots_per_circuit=None)
    assert found.config.gradient_method == "parameter_shift"
    assert found.config.shots_per_circuit == 100
    assert found.chosen.total == plan().chosen.total
    assert "adjoint" in found.warnings[0]
    assert "shots_per_circuit" in found.warnings[1]


def test_every_choice_is_priced_and_none_twice():
    found = plan()
    names = [choice.name for choice in found.alternatives]
    assert names == [
        "adam with finite_diff",
        "adam with spsa",
        "quantum_natural_gradient with parameter_shift",
        "spsa",
        "qn_spsa",
        "cobyla",
        "simulated_annealing",
    ]
    assert found.chosen.name not in names
    by_name = {choice.name: choice for choice in found.alternatives}
    assert by_name["spsa"].step.circuits == 16
    assert by_name["adam with spsa"].step.circuits == 8 * (1 + 2 * 8)
    assert by_name["qn_spsa"].step.circuits == 8 * (2 + 4)
    assert by_name["simulated_annealing"].step.circuits == 8 * 11
    assert by_name["cobyla"].at_most
    assert plan(optimizer="spsa").chosen.total == by_name["spsa"].total


def test_a_choice_that_cannot_be_run_says_why():
    cobyla = next(c for c in plan(hidden_in=256, hidden_out=256).alternatives if c.name == "cobyla")
    assert not cobyla.possible
    assert "1000" in cobyla.reason
    assert "wall_seconds" not in cobyla.to_dict()


def test_the_budget_is_held_against_the_high_reading_and_what_fits_is_named():
    total = plan().chosen.total
    assert plan(budget=str(total.usd_high)).fits_budget is True
    tight = plan(budget=str(total.usd_high - Decimal("0.0001")))
    assert tight.fits_budget is False
    assert tight.advice is not None
    assert tight.advice.epochs == 3
    assert tight.advice.choices[0][0] == "spsa"
    assert all(amount <= tight.advice.budget for _, amount in tight.advice.choices)
    nothing = plan(budget="10").advice
    assert nothing is not None
    assert nothing.choices == ()
    assert "no choice fits" in nothing.sentence
    assert "simulator" in nothing.sentence


def test_the_epochs_that_are_said_to_fit_do_fit():
    budget = plan().chosen.total.usd_high / 2
    advice = plan(budget=str(budget)).advice
    assert advice is not None
    assert plan(epochs=advice.epochs).chosen.total.usd_high <= budget
    assert plan(epochs=advice.epochs + 1).chosen.total.usd_high > budget


def test_the_five_strategies_have_dollars_before_and_after():
    found = plan()
    by_name = {strategy.name: strategy for strategy in found.strategies}
    total = found.chosen.total
    assert list(by_name) == [
        "simulator_first",
        "batching",
        "caching_and_reuse",
        "critical_layers_only",
        "progressive_training",
    ]
    assert by_name["simulator_first"].saves == (total.usd_low, total.usd_high)
    single = by_name["batching"].before
    assert single.jobs == single.circuits == total.circuits
    assert single.usd_low == single.usd_high == total.usd_high
    # nobody skips dead angles, and each of 4 observables is measured by itself
    naive = by_name["caching_and_reuse"].before
    assert naive.circuits == 4 * 4 * 32 * (1 + 2 * 24 + 2 * 4)
    # the last layer: 12 angles, 4 of them dead; the layers in front are kept
    last = by_name["critical_layers_only"].after
    assert last.circuits == 4 * 32 * (1 + 2 * 8)
    assert by_name["progressive_training"].after.circuits == 32 * 49
    assert all(strategy.saves[0] >= 0 for strategy in found.strategies)


def test_batching_saves_no_dollars_where_every_circuit_is_a_task():
    found = plan("braket.forte-1")
    assert found.chosen.total.jobs == found.chosen.total.circuits
    batching = next(strategy for strategy in found.strategies if strategy.name == "batching")
    assert batching.saves == (0, 0)
    task = Decimal("0.30") + 100 * Decimal("0.08")
    assert found.chosen.total.usd_low == found.chosen.total.usd_high == found.chosen.total.circuits * task


def test_500_shots_warn_of_debiasing_and_its_price():
    assert not any("debiasing" in line for line in plan(shots_per_circuit=499).warnings)
    found = plan(shots_per_circuit=500)
    (line,) = (line for line in found.warnings if "debiasing" in line)
    asked = plan(shots_per_circuit=500, debiasing=True).chosen.total
    assert f"{asked.usd_high:,.2f}" in line
    assert asked.usd_high == asked.circuits * Decimal("168.195")
    assert plan(shots_per_circuit=499, debiasing=True).chosen.total == plan(shots_per_circuit=499).chosen.total


def test_shots_too_few_for_the_gradient_are_warned_of():
    assert not any("too few" in line for line in plan().warnings)
    found = plan(shots_per_circuit=2)
    (line,) = (line for line in found.warnings if "too few" in line)
    assert found.outlook.shots_needed is not None
    assert f"{found.outlook.shots_needed:,}" in line
    assert not any("too few" in line for line in plan(shots_per_circuit=found.outlook.shots_needed + 1).warnings)


def test_finite_differences_are_said_to_drown_in_noise():
    found = plan(gradient_method="finite_diff")
    assert found.outlook.noise_factor == 100
    assert found.outlook.signal_to_noise == pytest.approx(plan().outlook.signal_to_noise / 100)
    assert any("too few" in line and "finite_diff" in line for line in found.warnings)


def test_a_circuit_too_large_to_simulate_is_planned_without_a_forecast():
    found = plan(n_qubits=20)
    assert found.outlook.start is None
    assert "20 qubits" in found.outlook.sentence
    assert found.chosen.total.circuits > 0


def test_bad_targets_and_circuits_are_refused():
    with pytest.raises(ConfigurationError, match=r"unknown target 'qpu\.forte-9'.*qpu\.forte-1"):
        plan("qpu.forte-9")
    with pytest.raises(RejectedJobError, match="37 qubits, but the target takes 36"):
        plan(n_qubits=37)
    assert any("switched off" in line for line in plan("qpu.aria-1").warnings)


@pytest.mark.parametrize("numbers", [(0, 1, 2), (5, 0, 2), (5, 1, 1), (2, 1, 3), (True, 1, 2)])
def test_bad_sizes_of_data_are_refused(numbers):
    with pytest.raises(ConfigurationError):
        PlannedData.of_numbers(*numbers)


def test_known_rows_are_said_to_be_known():
    values = np.random.default_rng(0).uniform(-1, 1, (32, 6))
    known = PlannedData.of_rows("samples", values, np.arange(32) % 2, 2)
    config = QuantumTrainingConfig(**{**BASE, "model": "variational", "encoder": "reuploading"})
    assert plan_training(config, known, PlanQuestion(qpu_target=FORTE)).chosen.at_most is False
    found = plan_training(config, DATA, PlanQuestion(qpu_target=FORTE))
    assert found.chosen.at_most is True
    assert any("Only the size" in line for line in found.assumptions)


def test_the_plan_is_json_text_and_page():
    found = plan(budget="1000")
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    total = found.chosen.total
    assert content["circuits_total"] == total.circuits
    assert content["usd_high"] == float(total.usd_high)
    assert content["dead_parameters"] == 4
    assert content["fits_budget"] is False
    assert sum(phase["circuits"] for phase in content["phases"].values()) == total.circuits
    assert sum(phase["usd_high"] for phase in content["phases"].values()) == pytest.approx(float(total.usd_high))
    text = as_text(found)
    html = as_page(found)
    for shown in (f"{total.circuits:,}", f"{total.usd_high:,.2f}", "qn_spsa", "Debiasing is sent as false."):
        assert shown in text
        assert shown in html
    assert max(map(len, text.splitlines())) < 130
    assert "<script" not in html
