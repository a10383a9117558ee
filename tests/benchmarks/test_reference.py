import numpy as np
import pytest
import torch

from benchmarks.measuring.child import arrays, difference
from benchmarks.measuring.reference import read_reference, reference_step, write_reference
from benchmarks.measuring.work import Case, numbers_of
from benchmarks.peers.q_store import prepare


@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 3, 4), (2, 1, 3), (3, 2, 5), (6, 4, 2)])
def test_it_agrees_with_q_store_in_double_precision(sizes):
    case = Case(*sizes)
    numbers = numbers_of(case)
    reference = reference_step(case, numbers)
    ours = arrays(prepare(case, numbers, torch.float64).step(), numbers)
    assert {name: part.shape for name, part in reference.items()} == {name: part.shape for name, part in ours.items()}
    assert max(difference(ours, reference).values()) < 1e-13


def test_one_qubit_by_hand():
    case = Case(1, 1, 1)
    numbers = numbers_of(case)
    (rx, ry, _), (x,), (target,) = numbers.weights[0, 0].astype(float), numbers.features[0], numbers.targets[0]
    encoded = np.pi / 2 * float(x)

    def loss(a, b, e):
        # RY(e), RX(a), RY(b) on |0>: the Bloch vector (sin e, 0, cos e), turned about X, then about Y
        return (np.cos(b) * np.cos(a) * np.cos(e) - np.sin(b) * np.sin(e) - float(target)) ** 2

    found, step = reference_step(case, numbers), 1e-6
    assert found["loss"] == pytest.approx(loss(rx, ry, encoded), abs=1e-12)
    slopes = [
        (loss(rx + step, ry, encoded) - loss(rx - step, ry, encoded)) / (2 * step),
        (loss(rx, ry + step, encoded) - loss(rx, ry - step, encoded)) / (2 * step),
        0.0,
    ]
    np.testing.assert_allclose(found["weights"].ravel(), slopes, atol=1e-8)
    by_feature = np.pi / 2 * (loss(rx, ry, encoded + step) - loss(rx, ry, encoded - step)) / (2 * step)
    assert found["features"].item() == pytest.approx(by_feature, abs=1e-8)


def test_what_is_written_is_read(tmp_path):
    case = Case(2, 2, 3)
    write_reference(tmp_path / "reference.npz", case, numbers_of(case))
    wanted = reference_step(case, numbers_of(case))
    for name, part in read_reference(tmp_path / "reference.npz").items():
        np.testing.assert_array_equal(part, wanted[name])
