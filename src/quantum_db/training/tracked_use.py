"""What a run has used of machines, written into its tracking store."""

from __future__ import annotations

from quantum_db.tracking.tracker import Tracker
from quantum_db.training.run_executor import MachineUse

_LENGTH = 4900  # of one tag; stores take 5000 to 8000 characters
_MOST_TAGS = 20


def track_use(tracker: Tracker, use: MachineUse, step: int) -> None:
    """Record totals as metrics at `step`, the jobs as jobs.json, and their ids as tags, as many as tags can hold."""
    totals = use.to_json()
    tracker.log_metrics(
        {
            "total_cost_usd": float(use.cost_usd),
            "total_circuits": totals["circuits"],
            "total_shots": totals["shots"],
            "total_jobs": len(use.jobs),
            "total_queue_s": use.report.queue_s,
            "total_run_s": use.report.run_s,
        },
        step=step,
    )
    tracker.log_dict({name: value for name, value in totals.items() if name != "journal"}, "jobs.json")
    tracker.set_tags({
        "qstore.target": use.target,
        "qstore.cost_usd": str(use.cost_usd),
        "qstore.jobs": str(len(use.jobs)),
        "qstore.journal_head": use.journal_head,
        **_job_tags([job.job_id for job in use.jobs]),
    })  # fmt: skip


def _job_tags(job_ids: list[str]) -> dict[str, str]:
    """Tags "qstore.job_ids.1", ...: ids separated by spaces; jobs.json has all of them."""
    lines: list[str] = []
    for job_id in job_ids:
        if lines and len(lines[-1]) + len(job_id) < _LENGTH:
            lines[-1] += f" {job_id}"
        elif len(lines) < _MOST_TAGS:
            lines.append(job_id)
        else:
            break
    return {f"qstore.job_ids.{number}": line for number, line in enumerate(lines, start=1)}
