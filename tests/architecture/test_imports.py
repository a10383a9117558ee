"""What importing costs, and who imports whom at module level (the rest is import-linter's: `make lint`)."""

from __future__ import annotations

import ast
import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "cirq", "mlflow", "sklearn", "pandas", "matplotlib", "kfp", "scipy", "fastapi", "boto3")
MEASURE = """
import json, sys, time
start = time.perf_counter()
import {module}
seconds = time.perf_counter() - start
print(json.dumps({{"seconds": seconds, "loaded": sorted(sys.modules)}}))
"""


def measured(module: str) -> dict:
    code = MEASURE.format(module=module)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "module", ["quantum_db", "quantum_db.cli", "quantum_db.stages", "quantum_db.commands.pipeline"]
)
def test_importing_is_quick_and_loads_nothing_heavy(module: str) -> None:
    runs = [measured(module) for _ in range(5)]
    assert statistics.median(run["seconds"] for run in runs) < 0.3
    assert [name for name in HEAVY if name in runs[0]["loaded"]] == []


def module_level_imports(file: Path) -> list[str]:
    """The modules that importing `file` imports: everything outside functions and outside TYPE_CHECKING."""
    names: list[str] = []
    waiting: list[ast.AST] = [ast.parse(file.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
        waiting.extend(ast.iter_child_nodes(node))
    return names


@pytest.mark.parametrize("folder", ["components", "pipelines"])
def test_components_and_pipelines_do_not_import_the_wheel_at_module_level(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    for file in files:
        found = [name for name in module_level_imports(file) if name.split(".")[0] == "quantum_db"]
        assert not found, f"{file.relative_to(ROOT)} imports {found}; import the stage inside the component's body"


def test_component_bodies_import_only_what_the_stage_image_has() -> None:
    allowed = {"quantum_db.stages", "pathlib", "json", "logging"}
    for file in sorted((ROOT / "components").glob("*/component.py")):
        (function,) = (node for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef))
        modules = {node.module for node in ast.walk(function) if isinstance(node, ast.ImportFrom)}
        modules |= {alias.name for node in ast.walk(function) if isinstance(node, ast.Import) for alias in node.names}
        stages = {name for name in modules if name and name.startswith("quantum_db.stages.")}
        assert len(stages) == 1, (
            f"{file.relative_to(ROOT)} calls {sorted(stages)}; a component is one call into one stage"
        )
        assert modules - stages <= allowed, f"{file.relative_to(ROOT)} imports {sorted(modules - stages - allowed)}"
