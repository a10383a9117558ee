"""`qstore pipeline compile` and `qstore pipeline run`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from quantum_db.commands.checkout import find_checkout, run_module
from quantum_db.errors import ConfigurationError
from quantum_db.stages.arguments import ArgumentParser

HELP = """\
usage: qstore pipeline compile ...
       qstore pipeline run ...

  compile  write the pipelines as YAML for Kubeflow
  run      run the whole training pipeline on this machine

see: qstore pipeline run --help"""

COMPILE_DESCRIPTION = """\
Write the pipelines as YAML for Kubeflow. The images of the stages are named here: QSTORE_IMAGE_REGISTRY puts a
registry in front of them, QSTORE_IMAGE_TAG replaces the tag, which otherwise is the version."""

COMPILE_EXAMPLES = """\
examples:
  qstore pipeline compile
  qstore pipeline compile --output yaml
  QSTORE_IMAGE_REGISTRY=registry.example.org/ml QSTORE_IMAGE_TAG=1.2.0 qstore pipeline compile --output yaml"""


def main(arguments: Sequence[str]) -> int:
    """Run the sub-command that is named first."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP, file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    name, *rest = arguments
    if name == "compile":
        return _compile(rest)
    if name == "run":
        from quantum_db.commands.pipeline_run import main as run

        return run(rest)
    raise ConfigurationError(f"unknown command 'pipeline {name}'; known: pipeline compile, pipeline run")


def _compile(arguments: Sequence[str]) -> int:
    parser = ArgumentParser(prog="qstore pipeline compile", description=COMPILE_DESCRIPTION, epilog=COMPILE_EXAMPLES)
    parser.add_argument("--output", type=Path, help="folder to write to (default: pipelines/compiled in the checkout)")
    parser.add_argument("--project", type=Path, help="root of the checkout (default: the one around here)")
    given = parser.parse_args(arguments)
    output = [] if given.output is None else [str(given.output.resolve())]
    code = run_module(find_checkout(given.project), "pipelines.compile", output)
    return 0 if code == 0 else 1
