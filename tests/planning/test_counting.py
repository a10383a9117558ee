"""How circuits become jobs in a plan, and whose seeds a plan follows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantum_db.backends.remote import TargetLimits
from quantum_db.execution.splitting import JobLoad, split
from quantum_db.layers.torch_layer import QuantumLayer, _call_seed
from quantum_db.planning.counting import Rows, gradient_seed, jobs_of

LOADS = st.tuples(st.integers(1, 9), st.integers(1, 500)).map(lambda pair: JobLoad(*pair))
LIMITS = st.builds(
    TargetLimits,
    max_circuits=st.none() | st.integers(1, 8),
    max_gates=st.none() | st.integers(9, 60),
    max_body_bytes=st.none() | st.integers(5000, 12_000),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(LOADS, max_size=25), LIMITS)
def test_jobs_are_those_of_the_executor(loads, limits):
    assert jobs_of(loads, limits) == split(loads, limits)


@settings(max_examples=300, deadline=None)
@given(LOADS, st.integers(1, 60), LIMITS)
def test_jobs_of_equal_circuits_are_those_of_the_executor(load, count, limits):
    assert jobs_of([load] * count, limits) == split([load] * count, limits)


@pytest.mark.parametrize("call", [1, 2, 77])
def test_gradients_are_planned_with_the_seed_of_the_layer(call):
    layer = QuantumLayer(2, 1, gradient_method="spsa", seed=5)
    layer.sampled_batches += call
    assert gradient_seed(5, call) == (_call_seed(layer) + 1) % 2**32


def test_equal_rows_count_once_where_the_first_of_them_stands():
    first, second = (True, False), (True, True)
    assert Rows((first, second, first), (4, 9, 4)).different == (first, second)
    assert Rows((first, second, first)).different == (first, second, first)
    assert np.shape(Rows((), ()).different) == (0,)
