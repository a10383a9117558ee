"""What of a plan would fit a budget: other choices, or fewer epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from quantum_db.planning.costs import plain

if TYPE_CHECKING:
    from quantum_db.planning.plan import PlannedChoice


@dataclass(frozen=True)
class Advice:
    """`choices` fit as they are (name, dollars in the high reading, cheapest first); `epochs` of the planned one fit.

    `least` is the cheapest possible choice and what one epoch of it costs.
    """

    budget: Decimal
    needed: Decimal
    choices: tuple[tuple[str, Decimal], ...]
    epochs: int
    least: tuple[str, Decimal]

    @property
    def fits(self) -> bool:
        """Whether the plan is within the budget."""
        return self.needed <= self.budget

    @property
    def sentence(self) -> str:
        """The answer in one line."""
        if self.fits:
            return f"The plan fits: {_usd(self.needed)} of {_usd(self.budget)} at most."
        over = f"The plan may cost {_usd(self.needed)}, but the budget is {_usd(self.budget)}"
        ways = [f"{name} ({_usd(amount)})" for name, amount in self.choices[:3]]
        if self.epochs:
            ways.append(f"the planned choice with epochs {self.epochs}")
        if ways:
            return f"{over}; what would fit: {', or '.join(ways)}."
        name, amount = self.least
        return (
            f"{over}; no choice fits. The cheapest is {name}, whose first epoch costs {_usd(amount)}: take fewer "
            f"rows or shots, larger batches, or the target 'simulator', which is free."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "sentence": self.sentence,
            "choices": [{"name": name, "usd_high": plain(amount)} for name, amount in self.choices],
            "epochs": self.epochs,
        }


def within(budget: Decimal, chosen: PlannedChoice, others: Sequence[PlannedChoice]) -> Advice:
    """What of `chosen` and `others` fits `budget`, by the high reading of prices."""
    possible = [choice for choice in others if choice.possible]
    fitting = sorted((choice.total.usd_high, choice.name) for choice in possible if choice.total.usd_high <= budget)
    epochs, spent = 0, Decimal(0)
    for total in chosen.by_epoch:
        spent += total.usd_high
        if spent > budget:
            break
        epochs += 1
    firsts = [(choice.by_epoch[0].usd_high, choice.name) for choice in (chosen, *possible) if choice.by_epoch]
    amount, name = min(firsts)
    return Advice(budget, chosen.total.usd_high, tuple((n, a) for a, n in fitting), epochs, (name, amount))


def _usd(amount: Decimal) -> str:
    return f"{amount:,.2f} USD"
