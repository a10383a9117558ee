"""`qstore journal show|verify|export`: what a run submitted, what came back and what it cost."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from quantum_db import files
from quantum_db.errors import ConfigurationError, StoreError
from quantum_db.execution.journal import JobEntry, Journal
from quantum_db.stages.arguments import parser_for, spec_from

HELP = """\
usage: qstore journal COMMAND ...

Look at the journal of a run: the jobs it submitted, their results and their cost.

commands:
  show    list the jobs: state, circuits, shots, cost, the provider's id
  verify  check that nothing in the journal was changed, and that the budget beside it agrees
  export  write the jobs, or all raw results, to a file

see: qstore journal COMMAND --help"""


@dataclass(frozen=True)
class ShowOptions:
    """The options of `qstore journal show`."""

    run: Path = field(metadata={"help": "folder of a run, or its journal.jsonl"})
    json: bool = field(default=False, metadata={"help": "print JSON instead of a table"})


@dataclass(frozen=True)
class VerifyOptions:
    """The options of `qstore journal verify`."""

    run: Path = field(metadata={"help": "folder of a run, or its journal.jsonl"})
    head: str = field(
        default="", metadata={"help": "hash that the last line had when it was noted down; finds lines cut off the end"}
    )


@dataclass(frozen=True)
class ExportOptions:
    """The options of `qstore journal export`."""

    run: Path = field(metadata={"help": "folder of a run, or its journal.jsonl"})
    output: Path = field(metadata={"help": "file to write: .csv (one line per job) or .json (with all raw results)"})


def main(arguments: Sequence[str]) -> int:
    """Run the command that is named first."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP)
        return 0 if arguments else 2
    name, *options = arguments
    commands: dict[str, tuple[type, str, Callable[[Any], int]]] = {
        "show": (ShowOptions, "List the jobs of a run.", _show),
        "verify": (VerifyOptions, "Check that nothing in the journal of a run was changed.", _verify),
        "export": (ExportOptions, "Write the jobs of a run, or all its raw results, to a file.", _export),
    }
    if name not in commands:
        raise ConfigurationError(f"unknown command 'journal {name}'; known: {', '.join(commands)}")
    options_class, description, run = commands[name]
    parser = parser_for(options_class, f"qstore journal {name}", description, [f"qstore journal {name} --run runs/a"])
    return run(spec_from(parser.parse_args(options), options_class))


def summary(journal: Journal) -> dict[str, Any]:
    """The journal in a few numbers; money as text, exact. `cost_usd` counts what the provider has named so far."""
    entries = journal.entries
    costs = [entry.cost_usd for entry in entries]
    states = Counter(entry.state for entry in entries)
    return {
        "run": journal.run,
        "journal": journal.journal_id,
        "head": journal.head,
        "jobs": len(entries),
        "circuits": sum(len(entry.fingerprints) for entry in entries),
        "states": dict(sorted(states.items())),
        "cost_usd": str(sum((cost for cost in costs if cost is not None), Decimal(0))),
        "jobs_of_unknown_cost": sum(
            entry.cost_usd is None and entry.state in ("result", "failed") for entry in entries
        ),
    }


def job_row(entry: JobEntry) -> dict[str, Any]:
    """One job as a row of plain values."""
    ticket = entry.ticket
    return {
        "intent_id": entry.intent.intent_id,
        "state": entry.state,
        "target": entry.intent.target,
        "circuits": len(entry.fingerprints),
        "shots": entry.intent.shots,
        "gates_1q": sum(ones for ones, _ in entry.sizes),
        "gates_2q": sum(twos for _, twos in entry.sizes),
        "cost_usd": None if entry.cost_usd is None else str(entry.cost_usd),
        "job_id": None if ticket is None else ticket.job_id,
        "recorded_at": entry.intent.recorded_at,
        "message": entry.message,
    }


def _show(options: ShowOptions) -> int:
    journal = Journal.read(options.run)
    rows = [job_row(entry) for entry in journal.entries]
    if options.json:
        print(json.dumps(summary(journal) | {"job_list": rows}, indent=2))
        return 0
    print(f"{'state':<10} {'target':<16} {'circuits':>8} {'shots':>8} {'cost USD':>12}  job")
    for row in rows:
        shots = "exact" if row["shots"] is None else row["shots"]
        cost = "-" if row["cost_usd"] is None else row["cost_usd"]
        name = row["job_id"] or row["intent_id"]
        print(f"{row['state']:<10} {row['target']:<16} {row['circuits']:>8} {shots:>8} {cost:>12}  {name}")
    found = summary(journal)
    states = ", ".join(f"{count} {state}" for state, count in found["states"].items())
    unknown = found["jobs_of_unknown_cost"]
    more = f" (and {unknown} jobs whose cost the provider has not named)" if unknown else ""
    print(f"run {found['run']}: {found['jobs']} jobs ({states or 'none'}), {found['circuits']} circuits, "
          f"{found['cost_usd']} USD{more}")  # fmt: skip
    return 0


def _verify(options: VerifyOptions) -> int:
    journal = Journal.read(options.run)
    for entry in journal.entries:
        if entry.state == "result" and len(journal.result(entry).histograms) != len(entry.fingerprints):
            raise StoreError(f"job {entry.intent.intent_id} has fewer results than circuits; the journal is damaged")
    if options.head and options.head != journal.head:
        raise StoreError(
            f"the journal ends with {journal.head}, not with {options.head}: lines were cut off or added since that "
            f"hash was noted down"
        )
    _compare_budget(journal)
    found = summary(journal)
    print(f"{journal.path} is whole: {found['jobs']} jobs, {found['cost_usd']} USD, last line {journal.head}")
    return 0


def _compare_budget(journal: Journal) -> None:
    from quantum_db.execution.budget.local_ledger import FILE, LocalBudget

    path = journal.path.parent / FILE
    if not path.exists():
        return
    settled = {entry.key: entry for entry in LocalBudget(path).entries() if entry.state == "settled" and entry.exact}
    for entry in journal.entries:
        booked = settled.get(entry.intent.intent_id)
        if booked is not None and entry.cost_usd is not None and booked.cost != entry.cost_usd:
            raise StoreError(
                f"job {entry.intent.intent_id} cost {entry.cost_usd} USD by the journal and {booked.cost} USD by the "
                f"budget in {path}; one of them was changed"
            )


def _export(options: ExportOptions) -> int:
    journal = Journal.read(options.run)
    if options.output.suffix == ".csv":
        _write_csv(options.output, [job_row(entry) for entry in journal.entries])
    elif options.output.suffix == ".json":
        jobs = [job_row(entry) | _details(journal, entry) for entry in journal.entries]
        files.write_json(options.output, summary(journal) | {"job_list": jobs})
    else:
        raise ConfigurationError(f"--output is {options.output}; name a file that ends in .csv or .json")
    print(options.output)
    return 0


def _details(journal: Journal, entry: JobEntry) -> dict[str, Any]:
    named = {"options": dict(entry.options), "seed": entry.seed, "fingerprints": list(entry.fingerprints)}
    if entry.state != "result":
        return named
    found = journal.result(entry)
    return named | {
        "exact": found.exact,
        "queue_s": found.queue_s,
        "run_s": found.run_s,
        "calibration": found.calibration,
        "histograms": [{str(state): value for state, value in one.items()} for one in found.histograms],
    }


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    names = list(rows[0]) if rows else ["intent_id"]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write_text(path, text.getvalue())
