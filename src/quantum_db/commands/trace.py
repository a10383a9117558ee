"""`qstore trace`: where a model comes from, and whether anything about it was changed since."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quantum_db.errors import StoreError
from quantum_db.stages.arguments import parser_for, spec_from

DESCRIPTION = """\
Say from which data, code, settings, seeds and jobs on machines a model came, and check that neither
the model nor that chain was changed. With --run the journal of the run is checked against it, too."""
EXAMPLES = (
    "qstore trace runs/iris/model",
    "qstore trace runs/iris/model --run runs/iris --json",
)


@dataclass(frozen=True)
class TraceOptions:
    """The options of `qstore trace`."""

    model: Path = field(metadata={"help": "directory of a trained model; the option's name may be left out"})
    run: Path | None = field(default=None, metadata={"help": "folder of the run whose journal is checked as well"})
    json: bool = field(default=False, metadata={"help": "print the chain as JSON"})


def main(arguments: Sequence[str]) -> int:
    """Print the chain of custody; StoreError (exit code 2) when anything was changed."""
    given = list(arguments)
    if given and not given[0].startswith("-"):
        given.insert(0, "--model")
    parser = parser_for(TraceOptions, "qstore trace", DESCRIPTION, EXAMPLES)
    options = spec_from(parser.parse_args(given), TraceOptions)
    chain = trace(options.model)
    if options.run is not None:
        check_journal(chain, options.run)
    print(json.dumps(chain) if options.json else as_text(chain, options.run is not None))
    return 0


def trace(model: Path) -> dict[str, Any]:
    """The chain of the model in the directory `model`; StoreError for a byte that is not as it was written."""
    from quantum_db.checkpoints import Checkpoint
    from quantum_db.checkpoints.checkpoint import MANIFEST
    from quantum_db.models.saved_model import weights_digest
    from quantum_db.training.custody import checked_chain

    found = Checkpoint.read(model, "model")
    text = (model / MANIFEST).read_text()
    if text != json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n":
        raise StoreError(f"{model / MANIFEST} was changed after it was written; restore the model, or make it again")
    return checked_chain(found.manifest, weights_digest(found.arrays), str(model))


def check_journal(chain: Mapping[str, Any], run: Path) -> None:
    """Raise StoreError unless the journal in `run` is the one that `chain` was sealed on, with all its jobs."""
    from quantum_db.execution.journal import Journal
    from quantum_db.execution.journal.journal import records
    from quantum_db.execution.machines import journal_folder

    journal = Journal.read(journal_folder(run))
    head = chain["machines"]["journal_head"]
    if all(record["hash"] != head for record in records(journal.path)):
        raise StoreError(f"{journal.path} is not the journal that the model was made with: it lacks the line {head}")
    known = {entry.ticket.job_id: entry for entry in journal.entries if entry.ticket is not None}
    for job in chain["machines"]["jobs"]:
        entry = known.get(job["job_id"])
        if entry is None or entry.intent.target != job["target"]:
            raise StoreError(f"{journal.path} has no job {job['job_id']} on {job['target']}; it is another run's")


def as_text(chain: Mapping[str, Any], with_journal: bool) -> str:
    """The chain for people."""
    machines = chain["machines"]
    code = chain["code"]
    rows = {
        "data": f"{chain['dataset']['name']}  {chain['dataset']['digest']}",
        "code": f"quantum-db {code.get('versions', {}).get('quantum-db', 'unknown')}, commit {code.get('commit')}",
        "run": f"{chain['run'].get('run_id')}, MLflow {chain['run'].get('mlflow_run_id') or 'not recorded'}",
        "seed": str(chain["seeds"]["seed"]),
        "weights": chain["weights_digest"],
        "target": machines["target"],
        "jobs": f"{len(machines['jobs'])}, {machines['cost_usd']} USD",
        "chain": f"{chain['digest']}  unchanged" + (", as the journal says" if with_journal else ""),
    }
    lines = [f"{name:<9}{value}" for name, value in rows.items()]
    jobs = [
        f"  {job['job_id']}  {job['target']}  {job['circuits']} circuits x {job['shots'] or 'exact'}  "
        f"{job['cost_usd']} USD  calibration {job['calibration'] or 'none'}  {job['submitted_at']}"
        for job in machines["jobs"]
    ]
    settings = json.dumps(chain["config"], sort_keys=True)
    return "\n".join([*lines, *jobs, f"settings {settings}"])
