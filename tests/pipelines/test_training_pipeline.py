"""The compiled training pipeline: up to date, and with the properties that keep it honest and safe."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.images import stage_image
from pipelines.compile import COMPILED, PIPELINES, compile_all, main

EXECUTORS = {"preprocess", "quantum-encode", "plan", "train", "evaluate", "gate", "deploy"}


@pytest.fixture(scope="module")
def compiled() -> dict[str, Any]:
    return next(yaml.safe_load_all((COMPILED / "training.yaml").read_text()))


def tasks_of(compiled: dict[str, Any]) -> dict[str, dict[str, Any]]:
    graphs = [compiled["root"], *compiled["components"].values()]
    return {name: task for graph in graphs for name, task in graph.get("dag", {}).get("tasks", {}).items()}


@pytest.mark.parametrize("name", PIPELINES)
def test_the_compiled_file_is_up_to_date(name: str, tmp_path: Path) -> None:
    compile_all(tmp_path)
    fresh, kept = ((folder / f"{name}.yaml").read_text() for folder in (tmp_path, COMPILED))
    assert fresh == kept, "the pipeline or a component has changed; write the compiled file with: make pipelines"


def test_compiling_twice_gives_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "first")]) == 0
    assert main([str(tmp_path / "second")]) == 0
    assert (tmp_path / "first/training.yaml").read_bytes() == (tmp_path / "second/training.yaml").read_bytes()
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / f"{n}/training.yaml") for n in ("first", "second")]


def test_parameters_and_their_defaults(compiled: dict[str, Any]) -> None:
    parameters = compiled["root"]["inputDefinitions"]["parameters"]
    assert {name: value["defaultValue"] for name, value in parameters.items()} == {
        "dataset": "builtin:digits",
        "model_config": "{}",
        "qpu_target": "simulator",
        "budget_usd": "",
        "threshold": 0.95,
        "seed": 0,
        "label_column": "label",
        "test_fraction": 0.2,
        "missing": "refuse",
        "duplicates": "keep",
        "constant_features": "drop",
        "scaling": "minmax",
        "n_components": 0,
        "require_better": False,
        "registered_name": "q-store",
        "tracking_uri": "",
        "checkpoints": "",
    }
    assert all(value["description"] for value in parameters.values())
    assert set(parameters) == set(inspect.signature(PIPELINES["training"].pipeline_func).parameters)


def test_deploy_runs_only_behind_the_gate(compiled: dict[str, Any]) -> None:
    outer = compiled["root"]["dag"]["tasks"]
    assert set(outer) == EXECUTORS - {"deploy"} | {"condition-1"}
    condition = outer["condition-1"]["triggerPolicy"]["condition"]
    # Any other output than "Output" would be read as False by the local runner, without an error.
    assert condition == "inputs.parameter_values['pipelinechannel--gate-Output'] == true"
    assert set(compiled["components"]["comp-condition-1"]["dag"]["tasks"]) == {"deploy"}


def test_nothing_is_cached(compiled: dict[str, Any]) -> None:
    tasks = tasks_of(compiled)
    assert [name for name, task in tasks.items() if task.get("cachingOptions", {}).get("enableCache")] == []


def test_only_what_can_be_repeated_is_retried(compiled: dict[str, Any]) -> None:
    policies = {name: task["retryPolicy"] for name, task in tasks_of(compiled).items() if "retryPolicy" in task}
    assert set(policies) == EXECUTORS - {"train"}
    assert {policy["maxRetryCount"] for policy in policies.values()} == {2}


def test_every_container_has_a_pinned_image_resources_and_no_installation(compiled: dict[str, Any]) -> None:
    executors = compiled["deploymentSpec"]["executors"]
    assert {name.removeprefix("exec-") for name in executors} == EXECUTORS
    for name, executor in executors.items():
        container = executor["container"]
        stage = name.removeprefix("exec-")
        assert container["image"] == stage_image({"gate": "evaluate", "plan": "train"}.get(stage, stage))
        assert {"cpuLimit", "cpuRequest", "memoryLimit", "memoryRequest"} <= set(container["resources"])
        assert "pip install" not in " ".join(container["command"])


def test_every_task_has_a_name_for_people(compiled: dict[str, Any]) -> None:
    names = {name: task["taskInfo"]["name"] for name, task in tasks_of(compiled).items()}
    assert names == {
        "preprocess": "Preprocess",
        "quantum-encode": "Quantum encode",
        "plan": "Plan",
        "train": "Train",
        "evaluate": "Evaluate",
        "gate": "Gate",
        "deploy": "Deploy",
        "condition-1": "passed the gate",
    }


def test_train_finds_the_checkpoints_of_the_same_training_again(compiled: dict[str, Any]) -> None:
    inputs = compiled["root"]["dag"]["tasks"]["train"]["inputs"]["parameters"]
    assert inputs["checkpoints"] == {"componentInputParameter": "checkpoints"}
    assert "run_id" not in inputs  # so that it is made from data and settings


def test_training_waits_for_the_plan_with_the_same_budget(compiled: dict[str, Any]) -> None:
    tasks = compiled["root"]["dag"]["tasks"]
    assert "plan" in tasks["train"]["dependentTasks"]
    for name in ("plan", "train"):
        assert tasks[name]["inputs"]["parameters"]["budget_usd"] == {"componentInputParameter": "budget_usd"}


def test_keys_come_from_a_secret_and_only_to_the_training() -> None:
    _, platform = yaml.safe_load_all((COMPILED / "training.yaml").read_text())
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert list(executors) == ["exec-train"]
    (secret,) = executors["exec-train"]["secretAsEnv"]
    assert secret["secretName"] == "q-store-ionq"
    assert secret["optional"] is True, "simulators need no key"
    assert {pair["envVar"] for pair in secret["keyToEnv"]} == {"IONQ_API_KEY", "IONQ_API_URL"}
