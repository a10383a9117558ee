"""`qstore plan`: what a training run will take, before anything is submitted."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantum_db.commands.model_config import read_model_config
from quantum_db.errors import ConfigurationError
from quantum_db.stages.arguments import parser_for, spec_from

if TYPE_CHECKING:
    from quantum_db.planning import PlannedData
    from quantum_db.training.config import QuantumTrainingConfig

DESCRIPTION = """\
Say what training a configuration on a data set will take, without submitting anything: circuits,
jobs, shots, gates, dollars (both readings of the minimum price), time on the machine and in the
queue; for the configured choice and for the others, with what would save money and what may go wrong.
Without --dataset and --rows the data are those of `qstore pipeline run`, builtin:digits."""

EXAMPLES = (
    "qstore plan --config config.json",
    "qstore plan --config config.json --dataset builtin:iris --qpu-target qpu.forte-1 --budget-usd 500",
    "qstore plan --config config.json --rows 200 --features 8 --classes 2 --qpu-target qpu.forte-1 --json",
)
DATASET = "builtin:digits"


@dataclass(frozen=True)
class PlanOptions:
    """The options of `qstore plan`."""

    config: str = field(metadata={"help": "file with the training configuration as JSON, or the JSON itself"})
    dataset: str = field(default="", metadata={"help": f"source of the data as for the pipeline, such as {DATASET}"})
    rows: int | None = field(default=None, metadata={"help": "instead of a data set: the number of training rows"})
    features: int | None = field(default=None, metadata={"help": "the number of features of a row, with --rows"})
    classes: int | None = field(default=None, metadata={"help": "the number of classes, with --rows"})
    label_column: str = field(default="label", metadata={"help": "column with the classes (CSV and Parquet)"})
    test_fraction: float = field(default=0.2, metadata={"help": "share of the data set's rows kept for testing"})
    missing: str = field(default="refuse", metadata={"help": "rows with missing values: refuse, drop"})
    duplicates: str = field(default="keep", metadata={"help": "rows that occur twice: keep, drop"})
    constant_features: str = field(default="drop", metadata={"help": "features that never change: drop, refuse"})
    scaling: str = field(default="minmax", metadata={"help": "scaling of the features: minmax, standard, none"})
    n_components: int = field(default=0, metadata={"help": "principal components to keep; 0 keeps all features"})
    qpu_target: str = field(default="", metadata={"help": "plan for this target; none means the configuration's"})
    shots: int | None = field(default=None, metadata={"help": "plan with these shots instead of the configuration's"})
    debiasing: bool = field(default=False, metadata={"help": "plan with IonQ's debiasing, which costs more"})
    queue_seconds: float = field(default=300.0, metadata={"help": "time that a job waits in the queue, an assumption"})
    price_table: Path | None = field(default=None, metadata={"help": "prices of your contract (JSON)"})
    budget_usd: str = field(default="", metadata={"help": "end with exit code 1 if it may cost more dollars than this"})
    html: Path | None = field(default=None, metadata={"help": "write the plan as a page, too"})
    json: bool = field(default=False, metadata={"help": "print the plan as JSON"})


def main(arguments: Sequence[str]) -> int:
    """Print the plan; 1 when it may cost more than the budget."""
    parser = parser_for(PlanOptions, "qstore plan", DESCRIPTION, EXAMPLES)
    options = spec_from(parser.parse_args(arguments), PlanOptions)
    budget = _budget(options.budget_usd)
    values, dataset = _read_config(options.config)
    from quantum_db.planning import PlanQuestion, plan_training
    from quantum_db.planning.text import as_text
    from quantum_db.pricing import load_price_table

    if not 0 <= options.queue_seconds < float("inf"):
        raise ConfigurationError(f"--queue-seconds is {options.queue_seconds}; give seconds from 0 on")
    config, target = _config(values, options.qpu_target)
    question = PlanQuestion(
        qpu_target=target,
        shots=options.shots,
        debiasing=options.debiasing,
        queue_s=options.queue_seconds,
        budget_usd=budget,
    )
    prices = load_price_table(options.price_table)
    plan = plan_training(config, _data(options, dataset, config.seed), question, prices)
    if options.html is not None:
        from quantum_db.files import write_text
        from quantum_db.planning.page import as_page

        write_text(options.html, as_page(plan))
    print(json.dumps(plan.to_dict()) if options.json else as_text(plan))
    advice = plan.advice
    if advice is not None and not advice.fits:
        print(f"over budget: {advice.sentence}", file=sys.stderr)
        return 1
    return 0


def _read_config(given: str) -> tuple[dict[str, Any], Any]:
    """The settings, and the data set that stands beside them in the file, if one does."""
    text = given if given.lstrip().startswith("{") else read_model_config(given if given[:1] == "@" else f"@{given}")
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"--config {given[:100]!r} holds no JSON: {error}") from error
    if not isinstance(values, dict):
        raise ConfigurationError(f"--config must hold a JSON object of settings, got {type(values).__name__}")
    return values, values.pop("dataset", None)


def _config(values: dict[str, Any], wanted: str) -> tuple[QuantumTrainingConfig, str]:
    """The configuration, and the target to plan for; a machine may stand in it that can only be planned for.

    What a machine needs and the configuration lacks (shots, a gradient method) is added by the plan, and said.
    """
    from quantum_db.training.config import QuantumTrainingConfig

    own = values.get("qpu_target", "simulator")
    try:
        return QuantumTrainingConfig.from_dict(values), wanted or own
    except ConfigurationError:
        if own == "simulator" or not isinstance(own, str):
            raise
    values = {name: value for name, value in values.items() if name != "qpu_target"}
    return QuantumTrainingConfig.from_dict(values), wanted or own


def _data(options: PlanOptions, beside: Any, seed: int) -> PlannedData:
    """The data: from the command line, else from beside the configuration, else the pipeline's own."""
    from quantum_db.planning import PlannedData
    from quantum_db.planning.data import DataOptions, read_data

    numbers = {"rows": options.rows, "features": options.features, "classes": options.classes}
    given = {name: value for name, value in numbers.items() if value is not None}
    if options.dataset and given:
        raise ConfigurationError(f"--dataset and --{next(iter(given))} exclude each other; give one of them")
    if not options.dataset and not given and isinstance(beside, dict):
        given = beside
    if given:
        if set(given) != set(numbers):
            raise ConfigurationError(f"data by numbers need rows, features and classes; got {', '.join(sorted(given))}")
        return PlannedData.of_numbers(**given)
    source = options.dataset or beside or DATASET
    if not isinstance(source, str):
        raise ConfigurationError(f"the dataset beside the settings is a source or numbers, got {source!r}")
    preparation = DataOptions(
        label_column=options.label_column,
        test_fraction=options.test_fraction,
        missing=options.missing,
        duplicates=options.duplicates,
        constant_features=options.constant_features,
        scaling=options.scaling,
        n_components=options.n_components,
    )
    return read_data(source, preparation, seed)


def _budget(text: str) -> Decimal | None:
    if not text:
        return None
    try:
        budget = Decimal(text)
    except InvalidOperation:
        budget = Decimal("NaN")
    if not budget.is_finite() or budget < 0:
        raise ConfigurationError(f"--budget-usd is {text!r}; give dollars from 0 on, such as 250 or 99.50")
    return budget
