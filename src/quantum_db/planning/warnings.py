"""What a plan has to say beside its numbers: warnings, and what the numbers take for granted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from quantum_db.planning.costs import Totals
from quantum_db.planning.data import PlannedData
from quantum_db.planning.outlook import Outlook
from quantum_db.planning.targets import PlannedTarget
from quantum_db.pricing.table import MITIGATED_FROM_SHOTS
from quantum_db.training.config import QuantumTrainingConfig

if TYPE_CHECKING:
    from quantum_db.planning.plan import PlanQuestion


def warnings(
    config: QuantumTrainingConfig,
    target: PlannedTarget,
    total: Totals,
    view: Outlook,
    dead: tuple[int, ...],
    debiased: Totals | None,
) -> tuple[str, ...]:
    """What the user should know before paying; `debiased` is the run with IonQ's debiasing."""
    return (
        *_of_target(config, target, total, debiased),
        *_of_signal(config, view),
        *_of_waste(config, target, total, dead),
    )


def _of_target(
    config: QuantumTrainingConfig, target: PlannedTarget, total: Totals, debiased: Totals | None
) -> Iterator[str]:
    if target.instead:
        yield f"{target.name} is switched off; use {target.instead} for a run, this plan is for rehearsal only."
    shots = max(config.shots_per_circuit or 0, config.shots_final or 0)
    if not target.name.startswith("qpu.") or shots < MITIGATED_FROM_SHOTS:
        return
    more = "at a higher minimum price"
    if debiased is not None:
        more = f"and this run would cost {debiased.usd_low:,.2f} to {debiased.usd_high:,.2f} USD"
    yield (
        f"From {MITIGATED_FROM_SHOTS} shots on IonQ runs jobs with debiasing unless told not to, {more}. Q-Store sends "
        f"debiasing false unless you ask for it; with fewer than {MITIGATED_FROM_SHOTS} shots it is never applied."
    )


def _of_signal(config: QuantumTrainingConfig, view: Outlook) -> Iterator[str]:
    ratio = view.signal_to_noise
    if ratio is not None and config.shots_per_circuit is not None and ratio < 1:
        needed = view.shots_needed
        remedy = "measure other observables" if needed is None else f"about {needed:,} shots would make them equal"
        yield (
            f"{config.shots_per_circuit} shots are too few: the gradient of one row at the start of training is "
            f"{ratio:.2g} times its error with {view.method}; {remedy}."
        )
    if view.slope is not None and view.slope.is_plateau:
        yield view.slope.sentence
    if view.method == "finite_diff" and config.shots_per_circuit is not None:
        yield "finite_diff divides the noise of shots by its step; parameter_shift is exact for as many circuits."


def _of_waste(
    config: QuantumTrainingConfig, target: PlannedTarget, total: Totals, dead: tuple[int, ...]
) -> Iterator[str]:
    if dead:
        yield f"{len(dead)} angles cannot move any observable; they are never shifted and never trained."
    if not target.embedded and total.rounds and total.usd_low and config.batch_size < 8:
        yield "Small batches pay the minimum price of a job more often; a larger batch_size makes fewer jobs."


def assumptions(
    target: PlannedTarget,
    data: PlannedData,
    asked: PlanQuestion,
    submit_s: float,
    at_most: bool,
    config: QuantumTrainingConfig,
) -> tuple[str, ...]:
    """What the numbers take for granted."""
    said = ["The run is not interrupted: a resumed run looks once more at one row before it goes on."]
    if at_most:
        said.append("The numbers are the most that can be run; the run may take less.")
    if data.values is None:
        said.append("Only the size of the data is known: rows differ from each other and hold no zeros.")
    if config.early_stopping_patience is not None:
        said.append("Early stopping does not end the run before its last epoch.")
    if target.embedded:
        return (*said, f"{target.name} runs in this process: it costs nothing, and its time depends on this computer.")
    return (
        *said,
        "usd_low: the minimum price holds for each job; usd_high: for each circuit. Which one holds is not published.",
        f"Seconds on the machine: {target.gate_1q_s * 1e6:.0f} us for a one-qubit gate, "
        f"{target.gate_2q_s * 1e6:.0f} us for a two-qubit gate, one after the other, and "
        f"{target.shot_s * 1e6:.0f} us for reading and resetting.",
        f"Wall time: each batch of circuits waits {asked.queue_s:g} s in the queue and {submit_s:g} s to be submitted; "
        f"its jobs wait together, and the next batch begins when all are back.",
        "Debiasing is sent as true." if asked.debiasing else "Debiasing is sent as false.",
    )
