"""A plan as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from textwrap import wrap

from quantum_db.planning.costs import Totals
from quantum_db.planning.plan import Plan, PlannedChoice

_WIDTH = 110


def as_text(plan: Plan) -> str:
    """The whole plan in tables and sentences."""
    blocks = [
        _head(plan),
        table(("phase", "circuits", "jobs", "shots", "1q gates", "2q gates", "usd low", "usd high"), _phases(plan)),
        table(("choice", "circuits/step", "circuits", "jobs", "usd low", "usd high", "wall time"), _choices(plan)),
        table(("strategy", "in the plan", "circuits", "jobs", "saves, usd"), _strategies(plan)),
        _lines("Trainability", [plan.outlook.sentence]),
        _lines("Warnings", plan.warnings),
        _lines("Assumptions", plan.assumptions),
    ]
    if plan.advice is not None:
        blocks.append(_lines("Budget", [plan.advice.sentence]))
    return "\n\n".join(block for block in blocks if block)


def usd(amount: Decimal) -> str:
    """Dollars to the cent."""
    return f"{amount:,.2f}"


def usd_range(least: Decimal, most: Decimal) -> str:
    """One amount, or two where they differ."""
    return usd(most) if least == most else f"{usd(least)} - {usd(most)}"


def duration(seconds: float | None) -> str:
    """A time in the unit that fits it."""
    if seconds is None:
        return "-"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text: the first to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in (headers, *rows)) for column in range(len(headers))]

    def line(row: Sequence[str]) -> str:
        cells = zip(row, widths, strict=True)
        return "  ".join(cell.rjust(width) if n else cell.ljust(width) for n, (cell, width) in enumerate(cells))

    return "\n".join([line(headers), "  ".join("-" * width for width in widths), *map(line, rows)])


def _head(plan: Plan) -> str:
    circuit, total = plan.circuit.circuit, plan.chosen.total
    one, two = circuit.count_by_arity()
    shots = "exact values" if plan.config.shots_per_circuit is None else f"{plan.config.shots_per_circuit} shots"
    if plan.config.shots_final is not None:
        shots = f"{plan.config.shots_per_circuit} to {plan.config.shots_final} shots"
    most = "at most " if plan.chosen.at_most else ""
    facts = (
        ("target", plan.target.name),
        ("data", f"{plan.data.name}: {plan.data.n_rows} rows, {plan.data.n_features} features, "
                 f"{plan.data.n_classes} classes"),
        ("circuit", f"{circuit.n_qubits} qubits, {one} one-qubit and {two} two-qubit gates, "
                    f"{circuit.n_weights} angles, {len(plan.dead)} of them dead"),
        ("choice", f"{plan.chosen.name}, {shots}, {plan.config.epochs} epochs, batches of {plan.config.batch_size}"),
        ("circuits", f"{most}{total.circuits:,} ({plan.chosen.step.circuits:,} in a step) in {total.jobs:,} jobs"),
        ("shots", f"{total.shots:,}"),
        ("dollars", usd_range(total.usd_low, total.usd_high)),
        ("time", f"{duration(total.qpu_seconds)} on the machine, {duration(plan.chosen.wall_seconds)} with the queue"),
    )  # fmt: skip
    return "\n".join(f"{name:<10}{value}" for name, value in facts if name != "time" or not plan.target.embedded)


def _phases(plan: Plan) -> list[tuple[str, ...]]:
    def row(name: str, total: Totals) -> tuple[str, ...]:
        counts = (total.circuits, total.jobs, total.shots, total.one_qubit_gates, total.two_qubit_gates)
        return (name, *(f"{count:,}" for count in counts), usd(total.usd_low), usd(total.usd_high))

    return [*(row(name, total) for name, total in plan.phases.items()), row("all", plan.chosen.total)]


def _choices(plan: Plan) -> list[tuple[str, ...]]:
    return [_choice(f"{plan.chosen.name} *", plan.chosen), *(_choice(c.name, c) for c in plan.alternatives)]


def _choice(name: str, choice: PlannedChoice) -> tuple[str, ...]:
    if not choice.possible:
        return (name, *("-",) * 6)
    total, most = choice.total, "<= " if choice.at_most else ""
    return (
        name,
        f"{choice.step.circuits:,}",
        f"{most}{total.circuits:,}",
        f"{most}{total.jobs:,}",
        usd(total.usd_low),
        usd(total.usd_high),
        duration(choice.wall_seconds),
    )


def _strategies(plan: Plan) -> list[tuple[str, ...]]:
    return [
        (
            strategy.name.replace("_", " "),
            "yes" if strategy.in_plan else "no",
            f"{strategy.before.circuits:,} -> {strategy.after.circuits:,}",
            f"{strategy.before.jobs:,} -> {strategy.after.jobs:,}",
            usd_range(*strategy.saves),
        )
        for strategy in plan.strategies
    ]


def _lines(heading: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    folded = ["\n".join(wrap(line, _WIDTH, initial_indent="- ", subsequent_indent="  ")) for line in lines]
    return "\n".join([heading, *folded])
