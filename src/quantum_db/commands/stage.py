"""`qstore stage <name> ...`: one stage with the options of its spec."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints

from quantum_db.commands.model_config import read_model_config
from quantum_db.errors import ConfigurationError
from quantum_db.stages import STAGES
from quantum_db.stages.arguments import parser_for, spec_from

EXAMPLES = {
    "preprocess": ("--dataset builtin:digits --train-data work/train --test-data work/test --seed 0",),
    "quantum-encode": ("--train-data work/train --test-data work/test --encoded-data work/encoded",),
    "plan": ("--encoded-data work/encoded --plan work/plan --qpu-target qpu.forte-1 --budget-usd 250",),
    "train": ("--encoded-data work/encoded --model work/model --tracking-uri sqlite:///work/mlflow.db",),
    "evaluate": ("--model work/model --encoded-data work/encoded --evaluation work/evaluation",),
    "deploy": ("--model work/model --evaluation work/evaluation --deployment work/deployment --threshold 0.9",),
}


def main(arguments: Sequence[str]) -> int:
    """Run the stage that is named first and print its report as JSON."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"usage: qstore stage NAME ...\n\nstages: {', '.join(STAGES.rows)}\n\nsee: qstore stage NAME --help")
        return 0 if arguments else 2
    name, *options = arguments
    run, spec_class = load_stage(name)
    examples = [f"qstore stage {name} {line}" for line in EXAMPLES.get(name, ())]
    description = inspect.getdoc(sys.modules[run.__module__]) or ""
    parser = parser_for(spec_class, f"qstore stage {name}", description, examples)
    given = parser.parse_args(options)
    if hasattr(given, "model_config"):
        given.model_config = read_model_config(given.model_config)
    report = run(spec_from(given, spec_class))
    print(json.dumps(report.to_dict(), indent=2))
    return 0


def load_stage(name: str) -> tuple[Callable[[Any], Any], type]:
    """Return the `run` function of a stage and the class of its spec; ConfigurationError for an unknown name."""
    run = STAGES.load(name)
    hints = [hint for parameter, hint in get_type_hints(run).items() if parameter != "return"]
    if len(hints) != 1:
        raise ConfigurationError(
            f"stage {name!r} has a run function with {len(hints)} annotated arguments; it must take its spec alone"
        )
    return run, hints[0]
