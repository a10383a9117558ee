"""The price table: quotes for jobs, and the file it is read from.

The file is JSON, {"version": text, "unit": "usd", "targets": {name: {"model": ..., rates, "source": ..., "date":
"YYYY-MM-DD", "note": ...}}}; `prices.json` beside this module is the one that is used without another. Amounts are
written as text, because binary fractions cannot hold them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import date
from decimal import Decimal, InvalidOperation
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from quantum_db import files
from quantum_db.errors import ConfigurationError
from quantum_db.pricing.rates import (
    CircuitSize,
    ComputeSecondRate,
    FreeRate,
    GateShotRate,
    QuoteLine,
    Rate,
    TargetPrice,
    TaskShotRate,
    Usage,
)

MITIGATED_FROM_SHOTS = 500
_MODELS: dict[str, type[Rate]] = {
    "free": FreeRate,
    "gate_shot": GateShotRate,
    "task_shot": TaskShotRate,
    "compute_second": ComputeSecondRate,
}
_TEXTS = ("source", "date", "note")
_OWN = "the price table of this package"


@dataclass(frozen=True)
class Quote:
    """The price of one job in US dollars, exact to the last digit.

    `low` and `high` are bounds where the seller's rule is not published: one minimum for the job, or one for each of
    its circuits. `amount` is what Q-Store shows and charges for machines that it plays itself: `low`, because the
    quotes seen so far fit it. A budget that must hold reserves `high`.
    """

    target: str
    amount: Decimal
    low: Decimal
    high: Decimal
    unit: str
    model: str
    minimum: Decimal
    rates: Mapping[str, Decimal]
    lines: tuple[QuoteLine, ...]
    source: str
    date: str
    mitigated: bool


@dataclass(frozen=True)
class PriceTable:
    """Prices by target. `version` names the table in records of what was charged."""

    version: str
    prices: Mapping[str, TargetPrice]

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets that have a price, sorted."""
        return tuple(sorted(self.prices))

    def quote(
        self,
        target: str,
        sizes: Sequence[CircuitSize],
        shots: int,
        mitigated: bool = False,
        compute_seconds: Decimal | None = None,
    ) -> Quote:
        """Price one job of circuits of these sizes with `shots` each.

        `mitigated`: see `mitigation_applies`. Raises ConfigurationError for a target without a price, for one paid by
        the second without `compute_seconds`, and for a mitigated job where that minimum is not known; ValueError when
        there are no circuits or shots.
        """
        price = self.prices.get(target)
        if price is None:
            raise ConfigurationError(
                f"{target[:100]!r} has no price in table {self.version}; known: {', '.join(self.targets)}; add it to a "
                "price table of your own"
            )
        if not sizes or shots < 1:
            raise ValueError(f"a job has at least one circuit and one shot, not {len(sizes)} and {shots}")
        priced = price.rate.price(Usage(sizes, shots, mitigated, compute_seconds))
        return Quote(
            target=target,
            amount=priced.amount,
            low=priced.low,
            high=priced.high,
            unit="usd",
            model=price.model,
            minimum=priced.minimum,
            rates=price.rate.rates(),
            lines=priced.lines,
            source=price.source,
            date=price.date,
            mitigated=mitigated,
        )


def mitigation_applies(target: str, shots: int, settings: Mapping[str, Any] | None) -> bool:
    """Whether IonQ runs a job with debiasing, which raises the minimum price.

    It does on machines from 500 shots on, unless the job's settings say {"error_mitigation": {"debiasing": false}};
    never below, never on a simulator (https://docs.ionq.com/sdks/qiskit/error-mitigation-qiskit).
    """
    if not target.startswith("qpu.") or shots < MITIGATED_FROM_SHOTS:
        return False
    wanted = (settings or {}).get("error_mitigation")
    return not (isinstance(wanted, Mapping) and wanted.get("debiasing") is False)


def load_price_table(path: Path | str | None = None) -> PriceTable:
    """Read a price table, or that of this package for None.

    Raises StoreError when the file cannot be read, ConfigurationError with the place when its content does not fit.
    """
    if path is None:
        return _table(json.loads(resources("quantum_db.pricing").joinpath("prices.json").read_text()), _OWN)
    return _table(files.read_json(path), str(path))


def _table(content: Any, source: str) -> PriceTable:
    if not isinstance(content, dict) or set(content) != {"version", "unit", "targets"}:
        raise ConfigurationError(f'{source} is no price table; write {{"version": ..., "unit": "usd", "targets": ...}}')
    if content["unit"] != "usd":
        raise ConfigurationError(f"{source} has unit {content['unit']!r}; only usd is known")
    if not isinstance(content["version"], str) or not isinstance(content["targets"], dict) or not content["targets"]:
        raise ConfigurationError(f"{source} needs a version (text) and targets (an object with at least one of them)")
    prices = {name: _price(row, f"target {name!r} of {source}") for name, row in content["targets"].items()}
    return PriceTable(content["version"], prices)


def _price(row: Any, place: str) -> TargetPrice:
    if not isinstance(row, dict) or row.get("model") not in _MODELS:
        raise ConfigurationError(f"{place} needs a model; known: {', '.join(_MODELS)}")
    kind = _MODELS[row["model"]]
    known = {one.name: one.default is MISSING for one in fields(kind)}
    unknown = set(row) - set(known) - {"model", *_TEXTS}
    missing = {name for name, needed in known.items() if needed} - set(row) | {"source", "date"} - set(row)
    if unknown or missing:
        raise ConfigurationError(
            f"{place} has unknown keys {sorted(unknown)} and lacks {sorted(missing)}; a {row['model']} price has "
            f"{', '.join(known) or 'no rates'}, source, date, note"
        )
    texts = {name: _text(row[name], f"{name} of {place}") for name in _TEXTS if name in row}
    rates = {name: _amount(row[name], f"{name} of {place}") for name in known if name in row}
    return TargetPrice(model=row["model"], rate=kind(**rates), **texts)


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{place} must be text, not {value!r}")
    if place.startswith("date "):
        try:
            date.fromisoformat(value)
        except ValueError as error:
            raise ConfigurationError(f"{place} must be a date like 2026-11-22, not {value!r}") from error
    return value


def _amount(value: Any, place: str) -> Decimal:
    if isinstance(value, str):
        try:
            amount = Decimal(value)
        except InvalidOperation:
            amount = Decimal("NaN")
        if amount.is_finite() and amount >= 0:
            return amount
    raise ConfigurationError(f'{place} must be an amount of dollars as text, such as "0.25", not {value!r}')
