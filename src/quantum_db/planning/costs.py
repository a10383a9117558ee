"""What requests cost: circuits, jobs, shots, gates, dollars and seconds on the machine, added up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from quantum_db.planning.counting import Request
from quantum_db.planning.targets import PlannedTarget
from quantum_db.pricing import CircuitSize, PriceTable, mitigation_applies


@dataclass(frozen=True)
class Totals:
    """Sums over requests. Gates are those of the circuits as they are sent, each circuit counted once for all shots.

    `rounds` are requests that wait for each other. `usd_low` and `usd_high` are the two readings of the minimum price:
    one for each job, or one for each circuit.
    """

    circuits: int = 0
    jobs: int = 0
    rounds: int = 0
    shots: int = 0
    one_qubit_gates: int = 0
    two_qubit_gates: int = 0
    usd_low: Decimal = Decimal(0)
    usd_high: Decimal = Decimal(0)
    qpu_seconds: float = 0.0

    def __add__(self, other: Totals) -> Totals:
        return Totals(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def times(self, count: int) -> Totals:
        """The same, `count` times over."""
        return Totals(*(getattr(self, f.name) * count for f in fields(self)))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; dollars with all their digits."""
        return {f.name: plain(getattr(self, f.name)) for f in fields(self) if f.name != "rounds"}


def plain(value: Any) -> Any:
    """`value` as JSON takes it: dollars to a hundredth of a cent, seconds to a millisecond."""
    if isinstance(value, Decimal):
        return float(round(value, 4))
    return round(value, 3) if isinstance(value, float) else value


_Counted = frozenset[tuple[tuple[int, int], int]]
"""One-qubit and two-qubit gates of the circuits of a job, and how many there are of each size."""


class Till:
    """Prices requests on one target; `debiasing` as it is sent with every job."""

    def __init__(self, target: PlannedTarget, prices: PriceTable, debiasing: bool = False) -> None:
        self.target, self.prices, self.debiasing = target, prices, debiasing
        self._known: dict[tuple[int, int | None], tuple[Request, Totals]] = {}
        self._jobs: dict[tuple[_Counted, int | None], Totals] = {}

    def price(self, request: Request, shots: int | None) -> Totals:
        """What one run of `request` takes."""
        key = (id(request), shots)
        if key not in self._known:
            # the request is kept with its price, so that no other one gets its id
            self._known[key] = (request, self._priced(request, shots))
        return self._known[key][1]

    def _priced(self, request: Request, shots: int | None) -> Totals:
        if not request.n_circuits:
            return Totals()
        total = Totals(rounds=1)
        sizes = [(circuit.size.gates_1q, circuit.size.gates_2q) for circuit in request.circuits]
        alike = Counter(frozenset(Counter(sizes[number] for number in job).items()) for job in request.jobs)
        for counted, count in alike.items():
            total += self._job(counted, shots).times(count)
        return total

    def _job(self, counted: _Counted, shots: int | None) -> Totals:
        key = (counted, shots)
        if key not in self._jobs:
            self._jobs[key] = self._priced_job(counted, shots or 0)
        return self._jobs[key]

    def _priced_job(self, counted: _Counted, drawn: int) -> Totals:
        sizes = [CircuitSize(*gates) for gates, count in counted for _ in range(count)]
        seconds = self.target.seconds(sizes, drawn)
        low = high = Decimal(0)
        if not self.target.embedded:
            asked = {"error_mitigation": {"debiasing": self.debiasing}}
            mitigated = mitigation_applies(self.target.name, drawn, asked)
            billed = Decimal(str(round(seconds, 6)))
            quote = self.prices.quote(self.target.price_name, sizes, max(drawn, 1), mitigated, billed)
            low, high = quote.low, quote.high
        return Totals(
            circuits=len(sizes),
            jobs=1,
            shots=drawn * len(sizes),
            one_qubit_gates=sum(size.gates_1q for size in sizes),
            two_qubit_gates=sum(size.gates_2q for size in sizes),
            usd_low=low,
            usd_high=high,
            qpu_seconds=seconds,
        )
