"""Run a compiled pipeline on this machine, with KFP's local runner and this Python's packages.

    python -m pipelines.local_run --output FOLDER --parameters JSON [--pipeline training] [--end-with-parent]

`qstore pipeline run` starts this program, which ends when that one is gone. Progress goes to standard error, everything
the runner and the stages say to FOLDER/pipeline.log, the artifacts to FOLDER/artifacts, and what happened to
FOLDER/run.json:

    {"status": "succeeded" | "failed", "seconds": x, "folder": the run's artifacts,
     "tasks": [{"name", "seconds", "succeeded"}], "failed_task": name | null,
     "error": {"type": "quantum_db.errors.StageInputError", "message": "..."} | null, "last_lines": [...]}
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from kfp import components, local

from pipelines.parent import end_with_parent, kill_group, parent_gone
from pipelines.progress import Progress

COMPILED = Path(__file__).resolve().parent / "compiled"


def main(arguments: Sequence[str]) -> int:
    """Run one pipeline; return 0 when every task succeeded, 1 when one failed, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.local_run", description="Run a compiled pipeline here.")
    parser.add_argument("--pipeline", default="training", help="name of a file in pipelines/compiled")
    parser.add_argument("--output", type=Path, required=True, help="folder for log and artifacts")
    parser.add_argument("--parameters", type=json.loads, default={}, help="the pipeline's parameters as JSON")
    parser.add_argument(
        "--end-with-parent", action="store_true", help="end, with all tasks, as soon as standard input ends"
    )
    given = parser.parse_args(arguments)
    if given.end_with_parent:
        end_with_parent()
    try:
        report = run_pipeline(given.pipeline, given.output.resolve(), given.parameters)
    except KeyboardInterrupt:
        return 130
    finally:
        if parent_gone.is_set():
            kill_group()  # a task that did not heed the interruption must not go on alone
    return 0 if report["status"] == "succeeded" else 1


def run_pipeline(name: str, output: Path, parameters: dict[str, Any]) -> dict[str, Any]:
    """Run the compiled pipeline `name` and return what is also written to `output`/run.json."""
    output.mkdir(parents=True, exist_ok=True)
    root = output / "artifacts"
    earlier = set(root.glob("*"))
    compiled = _for_this_machine((COMPILED / f"{name}.yaml").read_text())
    pipeline = components.load_component_from_text(yaml.safe_dump(compiled))
    _use_this_python()
    started = time.monotonic()
    with (output / "pipeline.log").open("w") as log, _scratch_folder(), warnings.catch_warnings():
        _leave_out_irrelevant_warnings()
        local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(root), raise_on_error=True)
        progress = Progress(log, sys.stderr)
        with contextlib.redirect_stdout(progress):
            succeeded = _run(pipeline, parameters, progress)
    if succeeded:
        for task in _task_names(compiled) - {task["name"] for task in progress.tasks}:
            progress.skipped(task)
    report = {
        "status": "succeeded" if succeeded else "failed",
        "seconds": time.monotonic() - started,
        "folder": str(next(iter(set(root.glob("*")) - earlier), root)),
        "tasks": progress.tasks,
        "failed_task": progress.failed_task,
        "error": progress.error,
        "last_lines": [] if succeeded else progress.last_lines,
    }
    partial = output / ".run.json.partial"
    partial.write_text(json.dumps(report, indent=2) + "\n")
    partial.replace(output / "run.json")
    return report


def _run(pipeline: Any, parameters: dict[str, Any], progress: Progress) -> bool:
    try:
        pipeline(**parameters)
    except RuntimeError:
        if progress.failed_task is None:
            raise
        return False
    return True


def _for_this_machine(text: str) -> dict[str, Any]:
    """The compiled pipeline without its retries: what fails in a process here fails again, after a wait."""
    compiled: dict[str, Any] = next(iter(yaml.safe_load_all(text)))
    for graph in [compiled["root"], *compiled["components"].values()]:
        for task in graph.get("dag", {}).get("tasks", {}).values():
            task.pop("retryPolicy", None)
    return compiled


def _task_names(compiled: dict[str, Any]) -> set[str]:
    """The names under which the runner executes the components."""
    known = compiled["components"].items()
    return {name.removeprefix("comp-") for name, component in known if "executorLabel" in component}


@contextlib.contextmanager
def _scratch_folder() -> Iterator[None]:
    """Let everything temporary be made in one folder that goes away: the runner leaves a folder behind per task."""
    earlier = os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory(prefix="qstore-run-") as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = None
            os.environ.pop("TMPDIR")
            if earlier is not None:
                os.environ["TMPDIR"] = earlier


def _use_this_python() -> None:
    """Let the runner find this interpreter by the name python3.

    The runner replaces every "python3" in a task's command, its arguments included, by sys.executable. A folder or
    data set with "python3" in its path would be changed, and an interpreter with a space in its path not be found.
    With sys.executable set to the same word, the replacement changes nothing, and PATH leads to this interpreter.
    """
    folder = Path(sys.executable).parent
    if not (folder / "python3").exists():
        return
    os.environ["PATH"] = os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)])
    sys.executable = "python3"


def _leave_out_irrelevant_warnings() -> None:
    """Hide two warnings that are always given here: stage images, and cluster resources, mean nothing to a process."""
    warnings.filterwarnings("ignore", "You may be attemping to run a task that uses custom", RuntimeWarning)
    warnings.filterwarnings("ignore", r"Task '[^']+': settings \[.*\] have no effect in the current local runner")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
