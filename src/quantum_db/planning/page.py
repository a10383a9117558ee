"""A plan as a page for people, in the style of the other reports."""

from __future__ import annotations

from quantum_db.planning.plan import Plan, PlannedChoice
from quantum_db.planning.text import duration, usd, usd_range
from quantum_db.reporting.page import Html, Section, callout, facts, page, table, tiles

_COLUMNS = ("choice", "circuits per step", "circuits", "jobs", "dollars, low", "dollars, high", "wall time")


def as_page(plan: Plan) -> str:
    """One self-contained HTML page."""
    total = plan.chosen.total
    figures = tiles(
        {
            "dollars": usd_range(total.usd_low, total.usd_high),
            "circuits": f"{total.circuits:,}",
            "jobs": f"{total.jobs:,}",
            "with the queue": duration(plan.chosen.wall_seconds),
        }
    )
    sections = [
        Section("", figures + _budget(plan)),
        Section("Choices", table(_COLUMNS, [_row(choice) for choice in (plan.chosen, *plan.alternatives)])),
        Section("Phases", _phases(plan)),
        Section("What saves money", _strategies(plan)),
        Section("Can it be trained?", callout(plan.outlook.sentence)),
        Section("Warnings", "".join(callout(line, "bad") for line in plan.warnings) or callout("None.", "good")),
        Section("Assumptions", "".join(callout(line) for line in plan.assumptions)),
        Section("Configuration", facts({name: str(value) for name, value in sorted(plan.config.to_dict().items())})),
    ]
    return page(f"Plan: {plan.data.name} on {plan.target.name}", sections)


def _budget(plan: Plan) -> Html:
    advice = plan.advice
    return Html("") if advice is None else callout(advice.sentence, "good" if advice.fits else "bad")


def _row(choice: PlannedChoice) -> tuple[str | int, ...]:
    if not choice.possible:
        return (f"{choice.name} (not possible: {choice.reason})", *("–",) * 6)
    total = choice.total
    money = (usd(total.usd_low), usd(total.usd_high), duration(choice.wall_seconds))
    return (choice.name, choice.step.circuits, total.circuits, total.jobs, *money)


def _phases(plan: Plan) -> Html:
    columns = ("phase", "circuits", "jobs", "shots", "one-qubit gates", "two-qubit gates", "dollars, low", "high")
    rows = [
        (name, t.circuits, t.jobs, t.shots, t.one_qubit_gates, t.two_qubit_gates, usd(t.usd_low), usd(t.usd_high))
        for name, t in plan.phases.items()
    ]
    return table(columns, rows)


def _strategies(plan: Plan) -> Html:
    columns = ("strategy", "in the plan", "circuits before", "after", "dollars saved", "note")
    rows = [
        (s.does, s.in_plan, s.before.circuits, s.after.circuits, usd_range(*s.saves), s.note) for s in plan.strategies
    ]
    return table(columns, rows)
