"""An accuracy and its interval, as pages and summaries write them. Needs no other package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ShownInterval:
    """A 95 % interval of an accuracy, both ends in 0..1, and how it was made: "bootstrap" or "Wilson"."""

    low: float
    high: float
    method: str

    @property
    def text(self) -> str:
        """For example "92.1 % to 98.0 %", with the method where it is not the usual one."""
        ends = f"{percent(self.low)} to {percent(self.high)}"
        return ends if self.method == "bootstrap" else f"{ends}, {self.method}"


def percent(share: float) -> str:
    """Return a share in 0..1 as people write it, "97.5 %"."""
    return f"{100 * share:.1f} %"


def shown_interval(measured: Mapping[str, Any]) -> ShownInterval | None:
    """The interval to show for an entry of evaluation.json, or None when it has none.

    That is the bootstrap interval (`accuracy_low`, `accuracy_high`). Where all test samples are right, or all wrong,
    every resample is the same and that interval has no width, which is no statement about other samples; Wilson's
    (`accuracy_wilson_low`, `accuracy_wilson_high`) is shown there, if there is one.
    """
    bootstrap = _ends(measured, "accuracy")
    wilson = _ends(measured, "accuracy_wilson")
    if wilson is not None and (bootstrap is None or bootstrap[0] == bootstrap[1]):
        return ShownInterval(*wilson, "Wilson")
    return None if bootstrap is None else ShownInterval(*bootstrap, "bootstrap")


def accuracy_with_interval(measured: Mapping[str, Any]) -> str:
    """For example "96.7 % [92.1 % to 98.0 %]"; a dash when there is no accuracy."""
    accuracy = measured.get("accuracy")
    if not isinstance(accuracy, int | float):
        return "–"
    interval = shown_interval(measured)
    return percent(accuracy) if interval is None else f"{percent(accuracy)} [{interval.text}]"


def _ends(measured: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    low, high = measured.get(f"{name}_low"), measured.get(f"{name}_high")
    if isinstance(low, int | float) and isinstance(high, int | float):
        return float(low), float(high)
    return None
