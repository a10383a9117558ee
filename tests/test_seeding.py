import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from quantum_db.errors import ConfigurationError
from quantum_db.seeding import MAX_SEED, check_seed, numpy_generator, torch_generator


def test_same_seed_and_purpose_give_the_same_numbers():
    np.testing.assert_array_equal(numpy_generator(3, "shots", 1).random(5), numpy_generator(3, "shots", 1).random(5))
    first, second = (torch.rand(5, generator=torch_generator(3, "weights")) for _ in range(2))
    assert torch.equal(first, second)


def test_purposes_and_seeds_are_independent_streams():
    makers = [(0, "a"), (0, "b"), (1, "a"), (0, "a", 1), (0, "a", 2), (MAX_SEED, "a"), (0,)]
    draws = np.array([numpy_generator(*maker).normal(size=4000) for maker in makers])
    correlation = np.corrcoef(draws) - np.eye(len(makers))
    assert np.abs(correlation).max() < 5 / np.sqrt(4000)
    starts = {torch_generator(*maker).initial_seed() for maker in makers}
    assert len(starts) == len(makers)


def test_another_stream_in_between_moves_nothing():
    expected = numpy_generator(5, "shots").random(3)
    numpy_generator(5, "weights").random(100)
    torch_generator(5, "shots")
    np.testing.assert_array_equal(numpy_generator(5, "shots").random(3), expected)


def test_streams_are_the_same_in_every_process():
    code = "from quantum_db.seeding import numpy_generator; print(numpy_generator(7, 'shots', 2).integers(10**9))"
    environment = {**os.environ, "PYTHONHASHSEED": "99"}
    printed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(printed.stdout) == numpy_generator(7, "shots", 2).integers(10**9)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "1", None, True, np.nan])
def test_bad_seeds(seed):
    for use in (check_seed, numpy_generator, torch_generator):
        with pytest.raises(ConfigurationError, match=r"seed must be an integer from 0 to 4294967295, got"):
            use(seed)


def test_good_seeds():
    assert [check_seed(seed) for seed in (0, 1, MAX_SEED)] == [0, 1, MAX_SEED]
