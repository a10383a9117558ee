"""The four ways in which machines are paid for, each as the price of one job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from quantum_db.errors import ConfigurationError

ZERO = Decimal(0)


@dataclass(frozen=True)
class CircuitSize:
    """What a circuit is billed by: its gates on one and on two qubits.

    A gate with several controls on N qubits counts as 6 * (N - 2) two-qubit gates.
    """

    gates_1q: int
    gates_2q: int


@dataclass(frozen=True)
class QuoteLine:
    """One line of a quote: what is paid for, how many, at which rate, and the product."""

    item: str
    quantity: Decimal
    rate: Decimal
    amount: Decimal


@dataclass(frozen=True)
class Priced:
    """What a rate makes of one job; see `Quote` for `amount`, `low` and `high`."""

    amount: Decimal
    low: Decimal
    high: Decimal
    minimum: Decimal
    lines: tuple[QuoteLine, ...]


@dataclass(frozen=True)
class Usage:
    """What a job uses: sizes of its circuits, shots of each, mitigation, seconds of computing when they are known."""

    sizes: Sequence[CircuitSize]
    shots: int
    mitigated: bool
    compute_seconds: Decimal | None


@dataclass(frozen=True)
class FreeRate:
    """Nothing is charged."""

    def rates(self) -> Mapping[str, Decimal]:
        """No rates."""
        return {}

    def price(self, usage: Usage) -> Priced:
        """Nothing, whatever is used."""
        return Priced(ZERO, ZERO, ZERO, ZERO, ())


@dataclass(frozen=True)
class GateShotRate:
    """IonQ's and Azure's rate per gate and shot, with a minimum that is higher under error mitigation.

    IonQ charges max(minimum, gates): its estimate says 25.79 for one shot and exactly the gates' price above that.
    Whether the circuits of one job share the minimum or each has its own is not published: the bounds are both.
    """

    gate_1q_shot: Decimal
    gate_2q_shot: Decimal
    minimum: Decimal = ZERO
    minimum_mitigated: Decimal | None = None

    def rates(self) -> Mapping[str, Decimal]:
        """Dollars per gate and shot."""
        return {"gate_1q_shot": self.gate_1q_shot, "gate_2q_shot": self.gate_2q_shot}

    def price(self, usage: Usage) -> Priced:
        """The price of a job; ConfigurationError when it is mitigated and that minimum is not known."""
        minimum = self._minimum(usage.mitigated)
        each = [
            usage.shots * (size.gates_1q * self.gate_1q_shot + size.gates_2q * self.gate_2q_shot)
            for size in usage.sizes
        ]
        low = max(minimum, sum(each, ZERO))
        high = max(low, sum((max(minimum, gates) for gates in each), ZERO))
        count_1q = Decimal(usage.shots * sum(size.gates_1q for size in usage.sizes))
        count_2q = Decimal(usage.shots * sum(size.gates_2q for size in usage.sizes))
        lines = [
            QuoteLine("one-qubit gates times shots", count_1q, self.gate_1q_shot, count_1q * self.gate_1q_shot),
            QuoteLine("two-qubit gates times shots", count_2q, self.gate_2q_shot, count_2q * self.gate_2q_shot),
        ]
        missing = low - sum(each, ZERO)
        if missing:
            lines.append(QuoteLine("up to the minimum of a job", Decimal(1), missing, missing))
        return Priced(low, low, high, minimum, tuple(lines))

    def _minimum(self, mitigated: bool) -> Decimal:
        if not mitigated:
            return self.minimum
        if self.minimum_mitigated is None:
            raise ConfigurationError(
                "the price table has no minimum_mitigated for this target, and the job is run with error mitigation; "
                "add it to the table, or set error_mitigation.debiasing to false"
            )
        return self.minimum_mitigated


@dataclass(frozen=True)
class TaskShotRate:
    """Braket's rate: something for each task, which is one circuit, and something for each shot."""

    task: Decimal
    shot: Decimal

    def rates(self) -> Mapping[str, Decimal]:
        """Dollars per task and per shot."""
        return {"task": self.task, "shot": self.shot}

    def price(self, usage: Usage) -> Priced:
        """The price of a job."""
        tasks = Decimal(len(usage.sizes))
        shots = tasks * usage.shots
        lines = (
            QuoteLine("tasks", tasks, self.task, tasks * self.task),
            QuoteLine("shots", shots, self.shot, shots * self.shot),
        )
        total = sum((line.amount for line in lines), ZERO)
        return Priced(total, total, total, ZERO, lines)


@dataclass(frozen=True)
class ComputeSecondRate:
    """A rate per second of quantum computing, which has to be known or predicted."""

    compute_second: Decimal
    minimum: Decimal = ZERO

    def rates(self) -> Mapping[str, Decimal]:
        """Dollars per second."""
        return {"compute_second": self.compute_second}

    def price(self, usage: Usage) -> Priced:
        """The price of a job; ConfigurationError without `compute_seconds`."""
        seconds = usage.compute_seconds
        if seconds is None:
            raise ConfigurationError(
                "this target is paid for by the second, and the seconds of the job are not known; give compute_seconds "
                "(the provider's estimate has them)"
            )
        line = QuoteLine("seconds of computing", seconds, self.compute_second, seconds * self.compute_second)
        total = max(self.minimum, line.amount)
        return Priced(total, total, total, self.minimum, (line,))


Rate = FreeRate | GateShotRate | TaskShotRate | ComputeSecondRate


@dataclass(frozen=True)
class TargetPrice:
    """A target's rate with where it comes from and when that said so or was last read."""

    model: str
    rate: Rate
    source: str
    date: str
    note: str = field(default="")
