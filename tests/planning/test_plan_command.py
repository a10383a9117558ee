"""`qstore plan` on the command line."""

from __future__ import annotations

import json

import pytest

from quantum_db import cli

CONFIG = {"model": "hybrid", "n_qubits": 3, "circuit_depth": 1, "hidden_in": 4, "hidden_out": 4, "epochs": 2,
          "batch_size": 8, "gradient_method": "parameter_shift", "shots_per_circuit": 100}  # fmt: skip
NUMBERS = ["--rows", "16", "--features", "4", "--classes", "2"]
KEYS = {"circuits_per_step", "circuits_total", "jobs", "shots", "one_qubit_gates", "two_qubit_gates", "usd_low",
        "usd_high", "qpu_seconds", "wall_seconds", "dead_parameters", "alternatives", "strategies", "trainability",
        "warnings", "assumptions"}  # fmt: skip


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    return str(path)


def planned(capsys, *arguments: str) -> dict:
    assert cli.main(["plan", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_json_has_the_numbers(file, capsys):
    content = planned(capsys, "--config", file, *NUMBERS, "--qpu-target", "qpu.forte-1")
    assert set(content) >= KEYS
    assert content["circuits_total"] == 2 * 2 * content["circuits_per_step"]
    assert 0 < content["usd_low"] < content["usd_high"]


def test_the_file_may_be_written_with_at_or_be_the_json_itself(file, capsys):
    wanted = planned(capsys, "--config", file, *NUMBERS)
    assert planned(capsys, "--config", f"@{file}", *NUMBERS) == wanted
    assert planned(capsys, "--config", json.dumps(CONFIG), *NUMBERS) == wanted


def test_data_and_target_may_stand_in_the_file(tmp_path, capsys):
    path = tmp_path / "config.json"
    beside = {"rows": 16, "features": 4, "classes": 2}
    path.write_text(json.dumps({**CONFIG, "qpu_target": "qpu.forte-1", "dataset": beside}))
    content = planned(capsys, "--config", str(path))
    assert content["target"] == "qpu.forte-1"
    assert content["dataset"]["rows"] == 16
    path.write_text(json.dumps({**CONFIG, "dataset": "builtin:iris"}))
    content = planned(capsys, "--config", str(path))
    assert content["dataset"] == {"name": "builtin:iris", "rows": 120, "features": 4, "classes": 3, "rows_known": True}
    assert planned(capsys, "--config", str(path), *NUMBERS)["dataset"]["rows"] == 16


def test_without_data_those_of_the_pipeline_are_planned(file, capsys):
    content = planned(capsys, "--config", file)
    assert content["dataset"]["name"] == "builtin:digits"
    assert content["dataset"]["rows"] == 1438


def test_text_and_page(file, capsys, tmp_path):
    page = tmp_path / "plan.html"
    assert cli.main(["plan", "--config", file, *NUMBERS, "--html", str(page)]) == 0
    assert "adam with parameter_shift *" in capsys.readouterr().out
    assert "<h1>Plan" in page.read_text()


def test_over_budget_ends_with_1_and_one_clear_line(file, capsys):
    asked = ["plan", "--config", file, *NUMBERS, "--qpu-target", "qpu.forte-1", "--json"]
    assert cli.main([*asked, "--budget-usd", "5000"]) == 1
    told = capsys.readouterr()
    content = json.loads(told.out)
    assert content["fits_budget"] is False
    (line,) = told.err.splitlines()
    assert line.startswith("over budget: The plan may cost")
    assert "what would fit: spsa" in line
    assert cli.main([*asked, "--budget-usd", "1000000"]) == 0
    assert capsys.readouterr().err == ""
    assert cli.main([*asked, "--budget-usd", "0"]) == 1


def test_an_own_price_table_is_used(file, capsys, tmp_path):
    table = {"version": "mine", "unit": "usd", "targets": {"qpu.forte-1": {
        "model": "gate_shot", "gate_1q_shot": "0", "gate_2q_shot": "0", "minimum": "2", "source": "contract",
        "date": "2026-01-01"}}}  # fmt: skip
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(table))
    asked = ("--config", file, *NUMBERS, "--qpu-target", "qpu.forte-1", "--price-table", str(path))
    content = planned(capsys, *asked)
    assert content["usd_low"] == 2 * content["jobs"]
    assert content["usd_high"] == 2 * content["circuits_total"]
    assert content["prices"] == {"table": "mine", "source": "contract", "date": "2026-01-01"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rows", "16"], "data by numbers need rows, features and classes"),
        ([*NUMBERS, "--dataset", "builtin:iris"], "exclude each other"),
        ([*NUMBERS, "--budget-usd", "much"], "--budget-usd is 'much'"),
        ([*NUMBERS, "--budget-usd", "-1"], "--budget-usd is '-1'"),
        ([*NUMBERS, "--queue-seconds", "-5"], "--queue-seconds"),
        ([*NUMBERS, "--qpu-target", "qpu.nowhere"], "unknown target 'qpu.nowhere'"),
        ([*NUMBERS, "--shots", "0"], "shots_per_circuit"),
    ],
)
def test_bad_options_are_refused(arguments, message, file, capsys):
    assert cli.main(["plan", "--config", file, *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "holds no JSON"), ("[1]", "JSON object"), ('{"qubits": 3}', "unknown setting 'qubits'"),
     ('{"dataset": 5}', "the dataset beside the settings"), ('{"epochs": 1, "epochs": 2}', "twice")],
)  # fmt: skip
def test_bad_files_are_refused(content, message, tmp_path, capsys):
    path = tmp_path / "config.json"
    path.write_text(content)
    assert cli.main(["plan", "--config", str(path)]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_file_is_named(capsys):
    assert cli.main(["plan", "--config", "nowhere.json"]) == 2
    assert "nowhere.json" in capsys.readouterr().err
