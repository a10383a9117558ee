"""The executor in front of several targets: it chooses one per batch, says why, and leaves one that goes down."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from quantum_db.backends.protocols import Batch, Executor, RowResults
from quantum_db.backends.remote import TargetReport
from quantum_db.errors import ConfigurationError, TransientBackendError
from quantum_db.execution.measured import measured_circuits

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_REMEMBERED = 1000


@dataclass(frozen=True, eq=False)
class Candidate:
    """One target: its executor, what its provider says of it now, and what a batch costs there in US dollars.

    `begun` says how many jobs of a batch were submitted there before and are paid for or under way: a resumed run goes
    on where the batch was begun, and pays for it once.
    """

    executor: Executor
    report: Callable[[], TargetReport]
    quote: Callable[[Batch], Decimal]
    begun: Callable[[Batch], int] = lambda _: 0


@dataclass(frozen=True)
class BalanceOptions:
    """What waiting and errors are worth beside the price, all in US dollars, so that targets can be compared.

    A target's score is price + `queue_hour_usd` * hours of queue + `error_usd` * the share of circuits with an error
    (from the fidelities of its gates); the smallest wins. What a provider does not say counts as no queue and no
    error. A target that went down is not asked again for `down_s` seconds. With `mix_targets` the jobs of one batch
    may go to different targets; the machines' different errors are then mixed inside one gradient.
    """

    queue_hour_usd: Decimal = Decimal(1)
    error_usd: Decimal = Decimal(10)
    down_s: float = 300.0
    mix_targets: bool = False

    def __post_init__(self) -> None:
        for name in ("queue_hour_usd", "error_usd"):
            value = getattr(self, name)
            if not isinstance(value, Decimal) or not value.is_finite() or value < 0:
                raise ConfigurationError(f"{name} must be a Decimal of at least 0, got {value!r}")
        if not self.down_s >= 0:
            raise ConfigurationError(f"down_s must be at least 0 seconds, got {self.down_s!r}")


@dataclass(frozen=True)
class Score:
    """What speaks for and against a target, and the sum in US dollars; None, with the reason, if it cannot be used."""

    total_usd: Decimal | None
    price_usd: Decimal | None = None
    queue_s: float | None = None
    error: float | None = None
    unusable: str = ""


@dataclass(frozen=True)
class Decision:
    """One choice: when, which target, and the scores of all."""

    at: str
    target: str
    scores: Mapping[str, Score]


@dataclass(eq=False)
class _State:
    down: dict[str, tuple[float, str]] = field(default_factory=dict)
    busy: Counter[str] = field(default_factory=Counter)
    decisions: deque[Decision] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    lock: Lock = field(default_factory=Lock)


class BalancedExecutor:
    """Runs each batch on the target that is best for it.

    A target that raises TransientBackendError (its own repetitions are over then, and nothing was submitted) is left
    for the next best, and everything of the batch is run there. All other errors are raised: a job that may be running
    somewhere is never sent a second time. Every decision is logged, kept in `decisions`, and given to `on_decision`.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        options: BalanceOptions | None = None,
        *,
        on_decision: Callable[[Decision], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        names = [candidate.executor.name for candidate in candidates]
        if not names or len(set(names)) < len(names):
            raise ConfigurationError(f"balancing needs targets with different names, got {names}")
        self.candidates = tuple(candidates)
        self.options = options or BalanceOptions()
        self._on_decision = on_decision
        self._clock = clock
        self._state = _State()

    @property
    def name(self) -> str:
        """The names of all targets, joined by commas."""
        return ",".join(candidate.executor.name for candidate in self.candidates)

    @property
    def differentiable(self) -> bool:
        """No: gradients come from shifted circuits on whichever target is chosen."""
        return False

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The last thousand decisions, oldest first."""
        with self._state.lock:
            return tuple(self._state.decisions)

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        """Run the whole of `batch` on one target; TransientBackendError, with each reason, when all are down."""
        return self._on_best(batch, lambda target: target.run(batch))

    def on_one_target(self, batch: Batch, work: Callable[[Executor], T]) -> T:
        """Do `work` for `batch` on one target, from the start on another if that one goes down.

        With `mix_targets` the work is given this executor itself, which chooses for each job.
        """
        return work(_Mixing(self)) if self.options.mix_targets else self._on_best(batch, work)

    def _on_best(self, batch: Batch, work: Callable[[Executor], T]) -> T:
        gates = _gates(batch)
        while True:
            chosen = self._begun(batch) or self._choose(batch, gates)
            name = chosen.executor.name
            try:
                with self._counted(name):
                    return work(chosen.executor)
            except TransientBackendError as error:
                _LOG.warning("target %s went down and is left for %g s: %s", name, self.options.down_s, error)
                with self._state.lock:
                    self._state.down[name] = (self._clock() + self.options.down_s, str(error))

    @contextmanager
    def _counted(self, name: str) -> Iterator[None]:
        with self._state.lock:
            self._state.busy[name] += 1
        try:
            yield
        finally:
            with self._state.lock:
                self._state.busy[name] -= 1

    def _begun(self, batch: Batch) -> Candidate | None:
        """Where most of `batch` was begun by an earlier process of the run; None where nothing was, or it is down."""
        with self._state.lock:
            down = {name for name, (until, _) in self._state.down.items() if self._clock() < until}
        jobs = [(c, c.begun(batch)) for c in self.candidates if c.executor.name not in down]
        chosen, begun = max(jobs, key=lambda pair: pair[1], default=(None, 0))
        if not begun or chosen is None:
            return None
        _LOG.info("%d circuits go to %s, where they were begun", batch.n_circuits, chosen.executor.name)
        return chosen

    def _choose(self, batch: Batch, gates: tuple[float, float]) -> Candidate:
        scores = {candidate.executor.name: self._score(candidate, batch, gates) for candidate in self.candidates}
        usable = [c for c in self.candidates if scores[c.executor.name].total_usd is not None]
        if not usable:
            reasons = "; ".join(f"{name}: {score.unusable}" for name, score in scores.items())
            raise TransientBackendError(f"no target takes the batch now ({reasons}); nothing was submitted; try later")
        with self._state.lock:
            busy = dict(self._state.busy)
        best = min(usable, key=lambda c: (scores[c.executor.name].total_usd, busy.get(c.executor.name, 0)))
        decision = Decision(datetime.now(UTC).isoformat(), best.executor.name, scores)
        _LOG.info("%d circuits go to %s: %s", batch.n_circuits, decision.target, _in_words(scores))
        with self._state.lock:
            self._state.decisions.append(decision)
        if self._on_decision is not None:
            self._on_decision(decision)
        return best

    def _score(self, candidate: Candidate, batch: Batch, gates: tuple[float, float]) -> Score:
        name = candidate.executor.name
        with self._state.lock:
            until, reason = self._state.down.get(name, (float("-inf"), ""))
            busy = self._state.busy[name]
        if self._clock() < until:
            return Score(None, unusable=f"went down: {reason}")
        try:
            report = candidate.report()
        except TransientBackendError as error:
            return Score(None, unusable=f"does not say how it stands: {error}")
        if not report.available:
            return Score(None, queue_s=report.queue_s, unusable=f"is {report.status}")
        price = candidate.quote(batch)
        error_share = _error_share(report, gates)
        options = self.options
        # the batches that are under way there will be in the queue as well
        waiting = Decimal(str(report.queue_s or 0.0)) * (1 + busy) / 3600
        total = price + options.queue_hour_usd * waiting + options.error_usd * Decimal(str(error_share or 0.0))
        return Score(total, price, report.queue_s, error_share)


class _Mixing:
    """A balanced executor that does not ask for one target per batch."""

    def __init__(self, balanced: BalancedExecutor) -> None:
        self._balanced = balanced
        self.name = balanced.name
        self.differentiable = False

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        return self._balanced.run(batch)


def _gates(batch: Batch) -> tuple[float, float]:
    """The mean numbers of one-qubit and two-qubit gates of a circuit."""
    measured = measured_circuits(batch)
    sizes = [measured.structures[number].count_by_arity() for number in measured.of]
    count = max(len(sizes), 1)
    return sum(ones for ones, _ in sizes) / count, sum(twos for _, twos in sizes) / count


def _error_share(report: TargetReport, gates: tuple[float, float]) -> float | None:
    if report.one_qubit_fidelity is None and report.two_qubit_fidelity is None:
        return None
    ones, twos = (1.0 if f is None else f for f in (report.one_qubit_fidelity, report.two_qubit_fidelity))
    return float(1.0 - ones ** gates[0] * twos ** gates[1])


def _in_words(scores: Mapping[str, Score]) -> str:
    return "; ".join(
        f"{name} {score.unusable}"
        if score.total_usd is None
        else f"{name} scores {score.total_usd:.4f} (price {score.price_usd}, queue {score.queue_s} s, "
        f"error {'unknown' if score.error is None else format(score.error, '.3f')})"
        for name, score in scores.items()
    )
