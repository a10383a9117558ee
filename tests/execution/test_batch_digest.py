"""One digest for equal requests, another for anything that changes results."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.circuits import Circuit, op, weight
from quantum_db.errors import ConfigurationError
from quantum_db.execution.batch_digest import digest

CIRCUIT = Circuit(2, (op("RX", 0, angle=weight(0)), op("CNOT", 0, 1)), ("Z1",))
BATCH = Batch((CircuitRows.of(CIRCUIT, [[0.5], [1.0]]),), 100, 7)
CODE = """
from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.circuits import Circuit, op, weight
from quantum_db.execution.batch_digest import digest
circuit = Circuit(2, (op("RX", 0, angle=weight(0)), op("CNOT", 0, 1)), ("Z1",))
print(digest(Batch((CircuitRows.of(circuit, [[0.5], [1.0]]),), 100, 7), "qpu.forte-1", {"opt": 0}))
"""


def test_every_part_of_the_request_counts():
    others = [
        digest(BATCH, "qpu.forte-1", {"opt": 0}),
        digest(BATCH, "qpu.forte-1", {"opt": 1}),
        digest(BATCH, "simulator", {"opt": 0}),
        digest(replace(BATCH, shots=101), "qpu.forte-1", {"opt": 0}),
        digest(replace(BATCH, shots=None), "qpu.forte-1", {"opt": 0}),
        digest(replace(BATCH, seed=8), "qpu.forte-1", {"opt": 0}),
        digest(replace(BATCH, as_written=True), "qpu.forte-1", {"opt": 0}),
        digest(replace(BATCH, parts=BATCH.parts * 2), "qpu.forte-1", {"opt": 0}),
        digest(Batch((CircuitRows.of(CIRCUIT, [[1.0], [0.5]]),), 100, 7), "qpu.forte-1", {"opt": 0}),
        digest(Batch((CircuitRows.of(CIRCUIT, [[0.5]]),), 100, 7), "qpu.forte-1", {"opt": 0}),
        digest(Batch((CircuitRows.of(CIRCUIT.measuring(("Z0",)), [[0.5], [1.0]]),), 100, 7), "qpu.forte-1", {"opt": 0}),
    ]
    assert len(set(others)) == len(others)


def test_equal_requests_are_equal_in_every_process():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(BATCH, "qpu.forte-1", {"opt": 0})


def test_zero_has_one_sign_and_options_no_order():
    positive, negative = (Batch((CircuitRows.of(CIRCUIT, [zero]),)) for zero in (0.0, -0.0))
    assert digest(positive, "t", {"a": 1, "b": [2]}) == digest(negative, "t", {"b": [2], "a": 1})


def test_rows_are_not_mixed_up_with_parts():
    one = Batch((CircuitRows.of(CIRCUIT, [[0.5], [1.0]]),))
    two = Batch((CircuitRows.of(CIRCUIT, [[0.5]]), CircuitRows.of(CIRCUIT, [[1.0]])))
    assert digest(one, "t", {}) != digest(two, "t", {})


@pytest.mark.parametrize("value", [object(), np.zeros(2), float("nan")])
def test_options_that_are_no_json_are_refused(value):
    with pytest.raises(ConfigurationError, match="must be JSON values"):
        digest(BATCH, "t", {"noise": value})
