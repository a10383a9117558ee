"""How an accuracy and its interval are written."""

import pytest

from quantum_db.reporting.accuracy import accuracy_with_interval, percent, shown_interval

WILSON = {"accuracy_wilson_low": 0.886, "accuracy_wilson_high": 1.0}


@pytest.mark.parametrize(
    ("measured", "text"),
    [
        ({"accuracy_low": 0.9, "accuracy_high": 0.98, **WILSON}, "90.0 % to 98.0 %"),
        ({"accuracy_low": 1.0, "accuracy_high": 1.0, **WILSON}, "88.6 % to 100.0 %, Wilson"),
        ({"accuracy_low": 1.0, "accuracy_high": 1.0}, "100.0 % to 100.0 %"),
        (WILSON, "88.6 % to 100.0 %, Wilson"),
    ],
)
def test_the_interval_that_says_something_is_shown(measured: dict[str, float], text: str) -> None:
    shown = shown_interval(measured)
    assert shown is not None
    assert shown.text == text
    assert accuracy_with_interval({"accuracy": 0.951, **measured}) == f"95.1 % [{text}]"


def test_without_an_interval_or_an_accuracy() -> None:
    assert shown_interval({"accuracy": 0.5}) is None
    assert accuracy_with_interval({"accuracy": 0.5}) == "50.0 %"
    assert accuracy_with_interval({}) == "–"
    assert percent(0.8667) == "86.7 %"
