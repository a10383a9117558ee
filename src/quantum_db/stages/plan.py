"""Stage plan: what the training of an encoded dataset will take and cost, written down before it starts.

A plan over the budget is written like any other; the stage train stops at it.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from quantum_db.data.encoded import EncodedDataset
from quantum_db.files import check_output_directory, new_directory, write_json, write_text
from quantum_db.planning.page import as_page
from quantum_db.stages.planned_training import plan_of, training_config

PLAN_FILE = "plan.json"


@dataclass(frozen=True)
class PlanSpec:
    """What to plan, and where to write the plan."""

    encoded_data: Path = field(metadata={"help": "directory with the encoded dataset"})
    plan: Path = field(metadata={"help": "directory to write the plan to"})
    model_config: str = field(default="{}", metadata={"help": "settings as a JSON object"})
    qpu_target: str = field(default="simulator", metadata={"help": "what runs the circuits"})
    seed: int = field(default=0, metadata={"help": "seed of the run"})
    budget_usd: str = field(default="", metadata={"help": "US dollars that the run may cost; none sets no limit"})
    report_html: Path | None = field(default=None, metadata={"help": "file to write a report for people to"})


@dataclass(frozen=True)
class PlanReport:
    """The plan in a few numbers; `fits_budget` is None without a budget."""

    target: str
    circuits: int
    jobs: int
    shots: int
    usd_low: float
    usd_high: float
    wall_seconds: float | None
    fits_budget: bool | None
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return asdict(self)


def run(spec: PlanSpec) -> PlanReport:
    """Write the plan of `spec`; raises what the training would raise before its first job."""
    started = time.perf_counter()
    check_output_directory(spec.plan, PLAN_FILE)
    config = training_config(spec.model_config, spec.qpu_target, spec.seed, spec.budget_usd)
    plan = plan_of(config, EncodedDataset.load(spec.encoded_data))
    with new_directory(spec.plan, PLAN_FILE) as folder:
        write_json(folder / PLAN_FILE, plan.to_dict())
    if spec.report_html is not None:
        write_text(spec.report_html, as_page(plan))
    total = plan.chosen.total
    return PlanReport(
        target=plan.target.name,
        circuits=total.circuits,
        jobs=total.jobs,
        shots=total.shots,
        usd_low=float(total.usd_low),
        usd_high=float(total.usd_high),
        wall_seconds=plan.chosen.wall_seconds,
        fits_budget=plan.fits_budget,
        seconds=time.perf_counter() - started,
    )
