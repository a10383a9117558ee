from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from quantum_db.benchmarking.paired import holm, mcnemar
from quantum_db.errors import StageInputError


def pair(only_first: int, only_second: int, both: int = 5, neither: int = 2) -> tuple[np.ndarray, np.ndarray]:
    first = np.repeat([True, False, True, False], [only_first, only_second, both, neither])
    second = np.repeat([False, True, True, False], [only_first, only_second, both, neither])
    return first, second


def test_known_answer() -> None:
    test = mcnemar(*pair(1, 6))
    assert (test.only_first, test.only_second) == (1, 6)
    assert test.p_value == 0.125  # 2 * (1 + 7) / 2^7


@given(only_first=st.integers(0, 300), only_second=st.integers(0, 300))
def test_p_value_is_the_two_sided_binomial_one(only_first: int, only_second: int) -> None:
    p_value = mcnemar(*pair(only_first, only_second)).p_value
    n = only_first + only_second
    assert p_value == pytest.approx(binomtest(only_first, n).pvalue if n else 1.0, rel=1e-9)
    assert p_value == mcnemar(*pair(only_second, only_first)).p_value


def test_models_that_never_differ_are_not_told_apart() -> None:
    assert mcnemar(*pair(0, 0)).p_value == 1.0


def test_other_samples_are_refused() -> None:
    with pytest.raises(StageInputError, match="same test samples for both models, got 2 and 3"):
        mcnemar(np.ones(2, bool), np.ones(3, bool))


def test_holm_known_answer() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
