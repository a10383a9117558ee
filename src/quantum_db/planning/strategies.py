"""What each of the five strategies against cost saves in this run: dollars before and after, in both readings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantum_db.circuits.circuit import Circuit
from quantum_db.circuits.gates import gate
from quantum_db.execution.measured import bases
from quantum_db.gradients.method import Wanted
from quantum_db.gradients.parameter_shift import ParameterShift
from quantum_db.planning.costs import Till, Totals, plain
from quantum_db.planning.counting import CircuitCounter, Request
from quantum_db.planning.walk import Work


@dataclass(frozen=True)
class Strategy:
    """One strategy: what the run takes without it and with it. `in_plan` says that the planned figures have it."""

    name: str
    does: str
    before: Totals
    after: Totals
    in_plan: bool
    note: str = ""

    @property
    def saves(self) -> tuple[Any, Any]:
        """Dollars saved, least and most."""
        low, high = self.before.usd_low - self.after.usd_low, self.before.usd_high - self.after.usd_high
        return min(low, high), max(low, high)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        least, most = self.saves
        return {
            "name": self.name,
            "does": self.does,
            "in_plan": self.in_plan,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "usd_saved_low": plain(least),
            "usd_saved_high": plain(most),
            "note": self.note,
        }


def strategies(works: Sequence[Work], total: Totals, till: Till, counter: CircuitCounter) -> tuple[Strategy, ...]:
    """The five strategies of the requirement for one planned run."""
    return (
        Strategy("simulator_first", "rehearse the whole run on the simulator", total, Totals(), False,
                 "what one rehearsal saves; the simulator costs nothing"),
        _batching(works, total, till),
        _reuse(works, total, till, counter),
        _critical_layer(works, total, till, counter),
        _progressive(works, total, till),
    )  # fmt: skip


def _batching(works: Sequence[Work], total: Totals, till: Till) -> Strategy:
    before = Totals()
    for work in works:
        single = Request(work.request.circuits, tuple((number,) for number in range(work.request.n_circuits)))
        before += till.price(single, work.shots).times(work.times)
    note = "saves dollars only where the minimum price holds for a job, and always the wait in the queue"
    return Strategy("batching", "many circuits in a job instead of one", before, total, True, note)


def _reuse(works: Sequence[Work], total: Totals, till: Till, counter: CircuitCounter) -> Strategy:
    """Against a loop that shifts every angle, measures every observable by itself and runs equal circuits again."""
    known: dict[tuple[int, int], Request] = {}
    before = Totals()
    for work in works:
        request = work.request
        if work.phase not in ("metric", "overlaps") and request.n_circuits:
            key = (id(request), work.rows)
            if key not in known:
                known[key] = _naive(work, counter)
            request = known[key]
        before += till.price(request, work.shots).times(work.times)
    return Strategy(
        "caching_and_reuse",
        "equal circuits once, observables that share a basis together, dead angles never shifted",
        before,
        total,
        True,
        "samples are not used a second time: that would make errors of different steps alike",
    )


def _naive(work: Work, counter: CircuitCounter) -> Request:
    observables, groups = len(counter.circuit.observables), len(bases(counter.circuit))
    count = work.request.n_circuits * observables // max(groups, 1)
    method = counter.config.gradient_method
    if work.phase == "gradient" and method in ("parameter_shift", "finite_diff"):
        count = work.rows * observables * _all_shifts(counter.circuit, method, counter.trained_front)
    elif work.phase != "gradient":
        count = work.rows * observables
    largest = max(work.request.circuits, key=lambda circuit: circuit.load.gates)
    return counter.packed((largest,) * count)


def _all_shifts(circuit: Circuit, method: str, features: bool) -> int:
    asked = ("weight", "feature") if features else ("weight",)
    angles = [(o.gate, o.slot) for o in circuit.operations if o.slot is not None and o.slot.kind in asked]
    if method == "finite_diff":
        return 2 * len({(slot.kind, slot.index) for _, slot in angles})
    return sum(len(gate(name).shift_rule) for name, _ in angles)


def _critical_layer(works: Sequence[Work], total: Totals, till: Till, counter: CircuitCounter) -> Strategy:
    """Gradients of the last layer of the ansatz only, the rest trained on the simulator and kept."""
    name, does = (
        "critical_layers_only",
        "train only the last layer of the ansatz on the machine, the rest on the simulator",
    )
    if counter.config.gradient_method != "parameter_shift" or all(work.phase != "gradient" for work in works):
        return Strategy(
            name, does, total, total, False, "saves nothing here: a step takes as many circuits for one layer"
        )
    share = _share_of_last_layer(counter)
    after, known = Totals(), dict[int, Request]()
    for work in works:
        request = work.request
        if work.phase == "gradient":
            count = round(request.n_circuits * share)
            request = known.setdefault(id(request), counter.packed(request.circuits[:count]))
        after += till.price(request, work.shots).times(work.times)
    return Strategy(
        name, does, total, after, False, "not a switch yet: an estimate of what freezing the rest would save"
    )


def _share_of_last_layer(counter: CircuitCounter) -> float:
    """The part of a row's shifted circuits that belongs to the last layer of the ansatz."""
    row = counter.row()
    everything = ParameterShift().terms(row, counter.wanted)
    per_layer = counter.circuit.n_weights // counter.config.circuit_depth
    first = counter.circuit.n_weights - per_layer
    weights = ParameterShift().terms(row, Wanted(True, False))
    return float(np.count_nonzero(weights.slots >= first) / max(1, len(everything.slots)))


def _progressive(works: Sequence[Work], total: Totals, till: Till) -> Strategy:
    last = max((work.epoch for work in works), default=0)
    after = Totals()
    for work in works:
        if work.epoch in (-1, last):
            after += till.price(work.request, work.shots).times(work.times)
    return Strategy(
        "progressive_training",
        "all epochs but the last on the simulator and under its noise model, the last on the machine",
        total,
        after,
        False,
        "train with qpu_target simulator, then noisy_simulator, then resume on the machine",
    )
