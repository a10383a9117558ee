"""The budget of a run: what may be spent, what is spent, and what is set aside for jobs in flight."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True)
class Balance:
    """US dollars: the limit (None: there is none), what is spent, and what is reserved for jobs in flight."""

    limit: Decimal | None
    spent: Decimal
    reserved: Decimal

    @property
    def left(self) -> Decimal | None:
        """What the next job may cost at most; None without a limit."""
        return None if self.limit is None else max(Decimal(0), self.limit - self.spent - self.reserved)


class BudgetLedger(Protocol):
    """Money of one run, shared by all its processes. Every step may be repeated with the same key without effect.

    A key names one job. It is reserved, and later settled or released.
    """

    def reserve(self, key: str, amount: Decimal, force: bool = False) -> None:
        """Set `amount` aside; BudgetExceededError when less is left (not if `force`: the job is already in flight)."""
        ...

    def settle(self, key: str, cost: Decimal | None) -> None:
        """The job is over and has cost `cost`; None (not known) counts what was reserved."""
        ...

    def release(self, key: str) -> None:
        """The job was certainly not accepted; what was reserved is free again."""
        ...

    def reserved_keys(self, prefix: str) -> tuple[str, ...]:
        """The keys that begin with `prefix` and are reserved, neither settled nor released."""
        ...

    def balance(self) -> Balance:
        """How things stand."""
        ...


__all__ = ["Balance", "BudgetLedger"]
