"""Each component is the signature of its stage: same arguments, same defaults, the stage's own image."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import tomllib
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from kfp.dsl import HTML, Dataset, Metrics

from components.images import stage_image
from quantum_db.commands.stage import load_stage
from quantum_db.stages import STAGES

ROOT = Path(__file__).resolve().parents[2]
SHOWN_BY_KFP = {"metrics", "classification_metrics"}


def component(stage: str) -> Any:
    name = stage.replace("-", "_")
    return getattr(importlib.import_module(f"components.{name}.component"), name)


@pytest.mark.parametrize("stage", STAGES.rows)
def test_arguments_and_defaults_are_those_of_the_stage(stage: str) -> None:
    _, spec_class = load_stage(stage)
    arguments = inspect.signature(component(stage).python_func).parameters
    fields = {field.name: field for field in dataclasses.fields(spec_class)}
    assert set(arguments) - SHOWN_BY_KFP == set(fields)
    for name, field in fields.items():
        if arguments[name].default is not inspect.Parameter.empty:
            expected = "" if field.default is None else field.default
            assert arguments[name].default == expected, name
        elif get_type_hints(spec_class)[name] is str:
            assert field.default is dataclasses.MISSING, name


@pytest.mark.parametrize("stage", [*STAGES.rows, "gate"])
def test_the_compiled_component_runs_the_stage_image_and_installs_nothing(stage: str) -> None:
    container = component(stage).component_spec.implementation.container
    assert container.image == stage_image({"gate": "evaluate", "plan": "train"}.get(stage, stage))
    assert "pip install" not in " ".join(map(str, container.command))


@pytest.mark.parametrize("stage", [*STAGES.rows, "gate"])
def test_every_argument_is_described(stage: str) -> None:
    spec = component(stage).component_spec
    assert spec.description
    described = {**(spec.inputs or {}), **(spec.outputs or {})}
    assert [name for name, item in described.items() if not item.description] == []


def test_the_gate_has_one_output_and_it_is_a_boolean() -> None:
    (output,) = component("gate").component_spec.outputs.items()
    assert output[0] == "Output"
    assert output[1].type == "Boolean"


def test_the_default_image_is_the_version_of_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QSTORE_IMAGE_REGISTRY", raising=False)
    monkeypatch.delenv("QSTORE_IMAGE_TAG", raising=False)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert stage_image("train") == f"q-store-train:{version}"


def test_registry_and_tag_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QSTORE_IMAGE_REGISTRY", "registry.example/team/")
    monkeypatch.setenv("QSTORE_IMAGE_TAG", "1.2.3")
    assert stage_image("deploy") == "registry.example/team/q-store-deploy:1.2.3"


def test_a_moving_tag_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QSTORE_IMAGE_TAG", "latest")
    with pytest.raises(ValueError, match="moves"):
        stage_image("train")


def test_the_body_of_a_component_runs_its_stage(tmp_path: Path) -> None:
    made = {
        name: kind(name=name, uri=str(tmp_path / name))
        for name, kind in {
            "train_data": Dataset,
            "test_data": Dataset,
            "metrics": Metrics,
            "report_html": HTML,
        }.items()
    }
    component("preprocess").python_func(dataset="builtin:iris", **made)
    assert made["metrics"].metadata == {"train_samples": 120, "test_samples": 30, "features": 4, "classes": 3}
    assert made["train_data"].metadata["samples"] == 120
    assert (tmp_path / "train_data" / "samples.safetensors").is_file()
    assert (tmp_path / "report_html").read_text().startswith("<!DOCTYPE html>")
