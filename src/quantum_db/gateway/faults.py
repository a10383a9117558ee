"""Faults on request, for tests of whatever calls the gateway: `qstore gateway --inject-faults plan.json`.

A plan is {"seed": 7, "rules": [rule, ...]}. A rule says which requests it matches, when it strikes, and what happens:

    {"kind": "status_after", "method": "POST", "path": "^/v0.4/jobs$", "status": 503, "probability": 0.2, "times": 5}

method, path   regular expressions, whole for the method, searched for in the path; absent: every request
nth            strikes at these matching requests, counted from 1: a number or a list
probability    else strikes with this chance (1 without either), drawn from the plan's seed
times          strikes at most that often

kind           and its own fields
status_before  answers `status` (and `retry_after` seconds, if given) instead of handling the request
status_after   handles the request, then answers `status` instead of its answer
drop_answer    handles the request, then closes the connection without an answer
duplicate      handles the request twice, as a proxy that delivers it again; the second answer goes out
delay          waits `seconds` before handling the request
job_failure    the job that the request creates fails with `code`
outage         between `from_s` and `until_s` after the start every matching request is answered with `status`
clock_skew     times in answers are `seconds` late (negative: early)

Nothing here is active, or can be activated by a request, without that option.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from quantum_db import files
from quantum_db.errors import ConfigurationError
from quantum_db.seeding import check_seed, numpy_generator

Kind = Literal[
    "status_before", "status_after", "drop_answer", "duplicate", "delay", "job_failure", "outage", "clock_skew"
]
KINDS: tuple[str, ...] = get_args(Kind)
FAILURE_CODES = (
    "InvalidInput", "CompilationError", "ContractExpiredError", "DebiasingError", "InternalError", "NotEnoughQubits",
    "OptimizationError", "PreflightError", "QuantumCircuitComplexityError", "QuantumComputerError",
    "QuotaExhaustedError", "SimulationError", "SimulationTimeout", "SystemCancel", "TooLongPredictedExecutionTime",
    "TooManyControls", "TooManyGates", "TooManyShots", "UnknownBillingError", "UnsupportedGate",
)  # fmt: skip
"""IonQ's codes of a failed job."""
_COMMON = {"kind", "method", "path", "nth", "probability", "times"}
_OWN = {
    "status_before": {"status", "retry_after"},
    "status_after": {"status", "retry_after"},
    "drop_answer": set(),
    "duplicate": set(),
    "delay": {"seconds"},
    "job_failure": {"code"},
    "outage": {"status", "retry_after", "from_s", "until_s"},
    "clock_skew": {"seconds"},
}
_LONGEST_DELAY_S = 600.0


@dataclass(frozen=True)
class FaultRule:
    """One rule of a plan; see the top of this module."""

    kind: Kind
    method: str = ""
    path: str = ""
    nth: tuple[int, ...] = ()
    probability: float = 1.0
    times: int | None = None
    status: int = 503
    retry_after: float | None = None
    seconds: float = 0.0
    code: str = "InternalError"
    from_s: float = 0.0
    until_s: float = float("inf")

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is one of those that the rule is for."""
        return (not self.method or re.fullmatch(self.method, method) is not None) and (
            not self.path or re.search(self.path, path) is not None
        )


@dataclass
class _Count:
    matched: int = 0
    struck: int = 0


@dataclass
class FaultPlan:
    """Rules, their seed, and how often each has matched and struck; safe to use from several threads."""

    rules: tuple[FaultRule, ...]
    seed: int = 0
    clock: Callable[[], float] = time.monotonic
    _counts: list[_Count] = field(init=False)
    _generators: list[np.random.Generator] = field(init=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._counts = [_Count() for _ in self.rules]
        self._generators = [numpy_generator(self.seed, "gateway faults", i) for i in range(len(self.rules))]
        self._began = self.clock()

    def striking(self, method: str, path: str) -> tuple[FaultRule, ...]:
        """The rules that strike this request, in the plan's order. Calling it counts as one request."""
        with self._lock:
            return tuple(
                rule
                for i, rule in enumerate(self.rules)
                if rule.kind != "clock_skew" and rule.matches(method, path) and self._strikes(i, rule)
            )

    def skew_s(self) -> float:
        """Seconds by which times in answers are late."""
        return sum(rule.seconds for rule in self.rules if rule.kind == "clock_skew")

    def struck(self) -> int:
        """How many faults have been injected so far."""
        with self._lock:
            return sum(count.struck for count in self._counts)

    def _strikes(self, index: int, rule: FaultRule) -> bool:
        count = self._counts[index]
        count.matched += 1
        if rule.times is not None and count.struck >= rule.times:
            return False
        if rule.nth:
            hit = count.matched in rule.nth
        else:
            hit = rule.probability >= 1 or float(self._generators[index].random()) < rule.probability
        if rule.kind == "outage" and not rule.from_s <= self.clock() - self._began < rule.until_s:
            return False
        count.struck += hit
        return hit


def read_fault_plan(path: Path) -> FaultPlan:
    """Read a plan; StoreError when the file cannot be read, ConfigurationError for a rule that is none."""
    return fault_plan(files.read_json(path), str(path))


def fault_plan(content: Any, source: str = "the plan") -> FaultPlan:
    """The plan that a JSON object describes; ConfigurationError says what does not fit."""
    fits = isinstance(content, dict) and not content.keys() - {"seed", "rules"}
    if not fits or not isinstance(content.get("rules"), list):
        raise ConfigurationError(f'{source} is no fault plan; write {{"seed": 0, "rules": [{{"kind": "..."}}]}}')
    rules = tuple(_rule(entry, f"rule {i} of {source}") for i, entry in enumerate(content["rules"], start=1))
    return FaultPlan(rules, check_seed(content.get("seed", 0)))


def _rule(entry: Any, where: str) -> FaultRule:
    if not isinstance(entry, dict) or entry.get("kind") not in KINDS:
        raise ConfigurationError(f"{where} has no known kind; choose one of: {', '.join(KINDS)}")
    own = _OWN[entry["kind"]]
    unknown = sorted(entry.keys() - _COMMON - own)
    if unknown:
        raise ConfigurationError(
            f"{where} has the field {unknown[0]!r}, which {entry['kind']} does not use; "
            f"it takes: {', '.join(sorted(_COMMON | own))}"
        )
    rule = FaultRule(entry["kind"])
    for name, value in entry.items():
        rule = replace(rule, **{name: _FIELDS[name](value, f"{where}: {name}")}) if name != "kind" else rule
    return rule


def _pattern(value: Any, what: str) -> str:
    try:
        return str(re.compile(value).pattern)
    except (re.error, TypeError) as error:
        raise ConfigurationError(f"{what} is {value!r}, no regular expression ({error})") from error


def _number(low: float, high: float) -> Callable[[Any, str], float]:
    def check(value: Any, what: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ConfigurationError(f"{what} is {value!r}; write a number from {low:g} to {high:g}")
        return float(value)

    return check


def _whole(low: int, high: int) -> Callable[[Any, str], int]:
    def check(value: Any, what: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ConfigurationError(f"{what} is {value!r}; write a whole number from {low} to {high}")
        return value

    return check


def _positions(value: Any, what: str) -> tuple[int, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(_whole(1, 10**9)(item, what) for item in values)


def _code(value: Any, what: str) -> str:
    if value not in FAILURE_CODES:
        raise ConfigurationError(f"{what} is {value!r}; choose one of: {', '.join(FAILURE_CODES)}")
    return str(value)


_FIELDS: Mapping[str, Callable[[Any, str], Any]] = {
    "method": _pattern,
    "path": _pattern,
    "nth": _positions,
    "probability": _number(0, 1),
    "times": _whole(0, 10**9),
    "status": _whole(400, 599),
    "retry_after": _number(0, 3600),
    "seconds": _number(-86400, _LONGEST_DELAY_S),
    "code": _code,
    "from_s": _number(0, 1e9),
    "until_s": _number(0, 1e9),
}
