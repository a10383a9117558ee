"""The price table and its quotes, against worked examples of IonQ's and Braket's published rules."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantum_db.errors import ConfigurationError, StoreError
from quantum_db.pricing import CircuitSize, load_price_table, mitigation_applies

TABLE = load_price_table()
QNN = CircuitSize(40, 12)
SECONDS = {
    "model": "compute_second",
    "compute_second": "2.50",
    "minimum": "1",
    "source": "contract",
    "date": "2026-01-31",
}


def written(folder: Path, targets: Any, **changes: Any) -> Path:
    path = folder / "prices.json"
    path.write_text(json.dumps({"version": "1", "unit": "usd", "targets": targets, **changes}))
    return path


def test_one_shot_costs_the_minimum() -> None:
    quote = TABLE.quote("qpu.forte-1", [CircuitSize(1, 0)], 1)
    assert (quote.amount, quote.low, quote.high) == (Decimal("25.7899"),) * 3
    assert quote.minimum == Decimal("25.7899")


def test_a_quote_of_ionq_is_met_to_the_cent() -> None:
    """51 one-qubit and 11 two-qubit gates at 10,000 shots: IonQ's estimate said 206.95."""
    assert TABLE.quote("qpu.forte-1", [CircuitSize(51, 11)], 10_000).amount == Decimal("206.95")


def test_the_parameter_shift_example_has_both_bounds() -> None:
    quote = TABLE.quote("qpu.forte-1", [QNN] * 49, 1000)
    gates = 1000 * (40 * Decimal("0.000164") + 12 * Decimal("0.001121"))
    assert quote.low == 49 * gates
    assert quote.high == 49 * Decimal("25.7899")
    mitigated = TABLE.quote("qpu.forte-1", [QNN] * 49, 1000, mitigated=True)
    assert mitigated.high == 49 * Decimal("168.195")
    assert mitigated.minimum == Decimal("168.195")


def test_braket_charges_each_circuit_as_a_task() -> None:
    assert TABLE.quote("braket.forte-1", [QNN] * 49, 1000).amount == Decimal("3934.70")
    assert TABLE.quote("braket.forte-1", [QNN] * 49, 100).amount == Decimal("406.70")


def test_the_simulator_is_free() -> None:
    quote = TABLE.quote("simulator", [QNN], 1000)
    assert (quote.amount, quote.high, quote.lines, quote.model) == (0, 0, (), "free")


def test_seconds_are_needed_where_they_are_paid(tmp_path: Path) -> None:
    table = load_price_table(written(tmp_path, {"qpu.x": SECONDS}))
    assert table.quote("qpu.x", [QNN], 10, compute_seconds=Decimal(4)).amount == 10
    assert table.quote("qpu.x", [QNN], 10, compute_seconds=Decimal("0.1")).amount == 1
    with pytest.raises(ConfigurationError, match="compute_seconds"):
        table.quote("qpu.x", [QNN], 10)


def test_a_missing_minimum_with_mitigation_is_not_guessed(tmp_path: Path) -> None:
    row = {"model": "gate_shot", "gate_1q_shot": "0.1", "gate_2q_shot": "0.2", "source": "s", "date": "2026-01-31"}
    table = load_price_table(written(tmp_path, {"qpu.x": row}))
    assert table.quote("qpu.x", [CircuitSize(1, 1)], 10).amount == 3
    with pytest.raises(ConfigurationError, match="minimum_mitigated"):
        table.quote("qpu.x", [CircuitSize(1, 1)], 1000, mitigated=True)


def test_an_unknown_target_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"'qpu\.harmony'.*qpu\.aria-1.*simulator"):
        TABLE.quote("qpu.harmony", [QNN], 100)


@pytest.mark.parametrize(("sizes", "shots"), [([], 100), ([QNN], 0)])
def test_nothing_has_no_price(sizes: list[CircuitSize], shots: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        TABLE.quote("simulator", sizes, shots)


@pytest.mark.parametrize("target", TABLE.targets)
def test_every_price_says_where_it_is_from(target: str) -> None:
    quote = TABLE.quote(target, [QNN], 100)
    assert quote.source.startswith("https://")
    assert quote.date >= "2026"
    assert quote.unit == "usd"


SIZES = st.lists(st.builds(CircuitSize, st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=6)


@given(SIZES, st.integers(1, 1_000_000), st.booleans(), st.sampled_from(TABLE.targets))
def test_quotes_are_ordered_exact_and_add_up(
    sizes: list[CircuitSize], shots: int, mitigated: bool, target: str
) -> None:
    quote = TABLE.quote(target, sizes, shots, mitigated)
    assert 0 <= quote.low <= quote.amount <= quote.high
    assert sum((line.amount for line in quote.lines), Decimal(0)) == quote.amount
    assert all(line.quantity * line.rate == line.amount for line in quote.lines)
    if len(sizes) == 1:
        assert quote.low == quote.high
    one_more = TABLE.quote(target, [*sizes, CircuitSize(1, 1)], shots, mitigated)
    assert one_more.low >= quote.low
    assert one_more.high >= quote.high


@pytest.mark.parametrize(
    ("target", "shots", "settings", "applies"),
    [
        ("qpu.forte-1", 500, None, True),
        ("qpu.forte-1", 499, None, False),
        ("qpu.forte-1", 499, {"error_mitigation": {"debiasing": True}}, False),
        ("qpu.forte-1", 1000, {"error_mitigation": {"debiasing": False}}, False),
        ("qpu.forte-1", 1000, {"error_mitigation": {"debiasing": True}}, True),
        ("qpu.forte-1", 1000, {"error_mitigation": None}, True),
        ("simulator", 1000, None, False),
    ],
)
def test_debiasing_is_on_by_default_from_500_shots(
    target: str, shots: int, settings: dict[str, Any] | None, applies: bool
) -> None:
    assert mitigation_applies(target, shots, settings) is applies


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"model": "per_wish"}, "known: free, gate_shot"),
        ({"model": "free", "date": "2026-01-31"}, "lacks \\['source'\\]"),
        ({"model": "free", "source": "s", "date": "yesterday"}, "must be a date"),
        ({"model": "free", "source": "", "date": "2026-01-31"}, "must be text"),
        ({**SECONDS, "compute_second": 2.5}, "as text"),
        ({**SECONDS, "compute_second": "-1"}, "as text"),
        ({**SECONDS, "compute_second": "Infinity"}, "as text"),
        ({**SECONDS, "compute_second": "two"}, "as text"),
        ({**SECONDS, "task": "1"}, "unknown keys \\['task'\\]"),
        ([], "needs a model"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, row: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_price_table(written(tmp_path, {"qpu.x": row}))
    assert "qpu.x" in str(caught.value)


@pytest.mark.parametrize("changes", [{"unit": "eur"}, {"version": 1}, {"targets": {}}, {"more": 1}])
def test_a_wrong_table_is_named(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"prices\.json"):
        load_price_table(written(tmp_path, **{"targets": {"qpu.x": SECONDS}, **changes}))


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none\.json does not exist"):
        load_price_table(tmp_path / "none.json")
