import numpy as np
import pytest

from quantum_db.errors import StageInputError
from quantum_db.training.batches import BatchOrder, check_samples, hold_out


@pytest.mark.parametrize(("rows", "size", "sizes"), [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 32, [3]), (1, 1, [1])])
def test_every_row_once_an_epoch(rows, size, sizes):
    order = BatchOrder(rows, size, 0)
    for epoch in range(3):
        batches = order.batches(epoch)
        assert [len(batch) for batch in batches] == sizes
        assert len(batches) == order.batches_per_epoch
        assert sorted(np.concatenate(batches)) == list(range(rows))


def test_the_order_is_that_of_seed_and_epoch():
    def flat(seed, epoch):
        return tuple(np.concatenate(BatchOrder(50, 8, seed).batches(epoch)))

    assert flat(3, 2) == flat(3, 2)
    assert len({flat(3, 0), flat(3, 1), flat(4, 0), flat(4, 1), tuple(range(50))}) == 5


def test_rows_kept_aside_are_of_every_class_and_of_no_batch():
    labels = np.repeat([0, 1, 2], [40, 20, 20])
    training, validation = hold_out(labels, 0.25, 1)
    assert sorted([*training, *validation]) == list(range(80))
    assert np.bincount(labels[validation]).tolist() == [10, 5, 5]
    other = hold_out(labels, 0.25, 2)[1]
    assert set(other) != set(validation)
    assert set(hold_out(labels, 0.25, 1)[1]) == set(validation)


def test_nothing_kept_aside():
    training, validation = hold_out(np.array([0, 1, 0]), 0, 1)
    assert training.tolist() == [0, 1, 2]
    assert len(validation) == 0


def test_a_class_of_one_row_cannot_be_divided():
    with pytest.raises(StageInputError, match="class number 1 has 1 row"):
        hold_out(np.array([0, 0, 0, 1]), 0.5, 0)


GOOD = np.zeros((3, 2))


@pytest.mark.parametrize(
    ("values", "labels", "message"),
    [
        (np.zeros((0, 2)), np.zeros(0, dtype=int), r"got the shapes \(0, 2\) and \(0,\)"),
        (np.zeros(3), np.zeros(3, dtype=int), r"shape \(rows, inputs\)"),
        (GOOD, np.zeros(2, dtype=int), r"got the shapes \(3, 2\) and \(2,\)"),
        (GOOD, np.zeros((3, 1), dtype=int), "one label per row"),
        (np.array([[0, np.nan], [0, 0], [0, 0]]), np.zeros(3, dtype=int), "value 1 of row 0 is nan"),
        (GOOD - np.inf, np.zeros(3, dtype=int), "value 0 of row 0 is -inf"),
        (GOOD, np.array([0, -1, 1]), "labels are numbers from 0 on, got -1"),
        (GOOD, np.array([0.0, 1.0, 1.0]), "labels are whole numbers from 0 on, got an array of float64"),
    ],
)
def test_samples_that_cannot_be_trained_on(values, labels, message):
    with pytest.raises(StageInputError, match=message):
        check_samples(values, labels)


def test_good_samples_pass():
    check_samples(GOOD, np.array([0, 2, 1]))
    check_samples(GOOD, np.array([0, 2, 1], dtype=np.int32))
