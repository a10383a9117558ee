from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantum_db.data.splitting import stratified_folds, stratified_split
from quantum_db.errors import ConfigurationError, StageInputError

COUNTS = st.lists(st.integers(2, 40), min_size=1, max_size=6)


def labels_of(counts: list[int]) -> np.ndarray:
    """Classes in turns, so that a class is not one block of rows."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return labels[np.argsort(np.arange(len(labels)) * 7919 % 101, kind="stable")]


@given(counts=COUNTS, fraction=st.floats(0.01, 0.99), seed=st.integers(0, 2**32 - 1))
def test_split_is_a_stratified_partition(counts, fraction, seed):
    labels = labels_of(counts)
    train, test = stratified_split(labels, fraction, seed)
    assert sorted([*train, *test]) == list(range(len(labels)))  # disjoint and complete
    for label, count in enumerate(counts):
        share = int(np.count_nonzero(labels[test] == label))
        assert 1 <= share <= count - 1
        assert abs(share - count * fraction) <= 1


@given(counts=COUNTS, fraction=st.floats(0.01, 0.99), seed=st.integers(0, 2**32 - 1))
def test_split_depends_on_the_seed_alone(counts, fraction, seed):
    labels = labels_of(counts)
    first, second = stratified_split(labels, fraction, seed), stratified_split(labels.copy(), fraction, seed)
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_split_has_the_rounded_total_where_every_class_can_give_it():
    train, test = stratified_split(labels_of([33, 33, 34]), 0.25, 0)
    assert (len(train), len(test)) == (75, 25)


def test_another_seed_gives_another_split():
    labels = labels_of([50, 50])
    assert set(stratified_split(labels, 0.2, 0)[1]) != set(stratified_split(labels, 0.2, 1)[1])


def test_rows_of_a_split_are_mixed():
    train, _ = stratified_split(np.repeat([0, 1], 50), 0.2, 0)
    assert 10 < np.count_nonzero(train[:40] < 50) < 30  # neither class comes first


def test_seed_0_splits_as_it_always_did():
    _, test = stratified_split(np.repeat([0, 1, 2], 10), 0.2, 0)
    assert test.tolist() == [19, 6, 16, 1, 22, 28]


@pytest.mark.parametrize("fraction", [0, 1, -0.2, 1.5, float("nan"), float("inf")])
def test_bad_fraction_is_refused(fraction):
    with pytest.raises(StageInputError, match="test fraction must lie between 0 and 1"):
        stratified_split(np.array([0, 0, 1, 1]), fraction, 0)


def test_class_of_one_row_is_refused():
    with pytest.raises(StageInputError, match=r"class number 1 has 1 row\(s\), and 2 are needed"):
        stratified_split(np.array([0, 0, 1]), 0.5, 0)


def test_no_rows_are_refused():
    with pytest.raises(StageInputError, match="no rows to split"):
        stratified_split(np.array([], dtype=np.int64), 0.5, 0)


def test_bad_seed_is_refused():
    with pytest.raises(ConfigurationError, match="seed"):
        stratified_split(np.array([0, 0, 1, 1]), 0.5, -1)


@given(k=st.integers(2, 7), data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_folds_cover_every_row_once_and_every_class_evenly(k, data, seed):
    counts = data.draw(st.lists(st.integers(k, 40), min_size=1, max_size=5))
    labels = labels_of(counts)
    folds = stratified_folds(labels, k, seed)
    assert len(folds) == k
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(labels)))
    sizes = [len(test) for _, test in folds]
    assert max(sizes) - min(sizes) <= 1
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(len(labels)))
        for label, count in enumerate(counts):
            assert abs(np.count_nonzero(labels[test] == label) - count / k) < 1


def test_folds_depend_on_the_seed_alone():
    labels = labels_of([20, 20])
    first, again, other = (stratified_folds(labels, 5, seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    assert any(set(a[1]) != set(b[1]) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("k", [1, 0, -3, 2.0, True])
def test_bad_number_of_folds_is_refused(k):
    with pytest.raises(StageInputError, match="folds must be a whole number of at least 2"):
        stratified_folds(np.array([0, 0, 1, 1]), k, 0)


def test_more_folds_than_rows_of_a_class_are_refused():
    with pytest.raises(StageInputError, match=r"class number 1 has 2 row\(s\), and 3 are needed"):
        stratified_folds(np.array([0, 0, 0, 1, 1]), 3, 0)
