"""The fewest jobs within the limits, the same every time."""

from __future__ import annotations

import json

import cirq_ionq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantum_db.backends.remote import TargetLimits
from quantum_db.circuits import Circuit, op
from quantum_db.circuits.cirq_conversion import to_cirq
from quantum_db.errors import RejectedJobError
from quantum_db.execution.splitting import (
    JobLoad,
    check_fits,
    check_shots_fit,
    common_limits,
    machine_load,
    split,
    written_load,
)

FRAME = 4096
loads = st.lists(st.builds(JobLoad, st.integers(0, 30), st.integers(1, 3000)), max_size=60)
limits = st.builds(
    TargetLimits,
    max_circuits=st.one_of(st.none(), st.integers(1, 12)),
    max_gates=st.one_of(st.none(), st.integers(30, 90)),
    max_body_bytes=st.one_of(st.none(), st.integers(3000 + FRAME, 9000 + FRAME)),
)


def fits(job, loads, limits):
    return (
        (limits.max_circuits is None or len(job) <= limits.max_circuits)
        and (limits.max_gates is None or sum(loads[k].gates for k in job) <= limits.max_gates)
        and (limits.max_body_bytes is None or sum(loads[k].body_bytes for k in job) <= limits.max_body_bytes - FRAME)
    )


def consecutive(loads, limits):
    """The fewest jobs of consecutive circuits, by dynamic programming."""
    best = [0] + [10**9] * len(loads)
    for end in range(1, len(loads) + 1):
        for start in range(end):
            if fits(range(start, end), loads, limits):
                best[end] = min(best[end], best[start] + 1)
    return best[-1]


@settings(max_examples=150, deadline=None)
@given(loads, limits)
def test_every_circuit_once_within_the_limits_and_never_more_jobs_than_consecutive_ones(loads, limits):
    jobs = split(loads, limits)
    assert sorted(k for job in jobs for k in job) == list(range(len(loads)))
    assert all(list(job) == sorted(job) for job in jobs)
    assert list(jobs) == sorted(jobs)
    assert all(fits(job, loads, limits) for job in jobs)
    assert len(jobs) <= consecutive(loads, limits)
    assert split(loads, limits) == jobs


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 400), st.integers(1, 20), st.integers(20, 200), st.integers(1, 50))
def test_circuits_of_one_size_take_the_fewest_jobs_there_can_be(count, gates, max_gates, max_circuits):
    found = split([JobLoad(gates, 10)] * count, TargetLimits(max_circuits=max_circuits, max_gates=max_gates))
    per_job = min(max_circuits, max_gates // gates)
    assert len(found) == -(-count // per_job)
    assert [k for job in found for k in job] == list(range(count))


def best_possible(sizes, most):
    """The fewest jobs, by trying every one."""
    bins = []
    best = [len(sizes)]

    def place(number):
        if len(bins) >= best[0]:
            return
        if number == len(sizes):
            best[0] = len(bins)
            return
        for k in range(len(bins)):
            if bins[k] + sizes[number] <= most:
                bins[k] += sizes[number]
                place(number + 1)
                bins[k] -= sizes[number]
        bins.append(sizes[number])
        place(number + 1)
        bins.pop()

    place(0)
    return best[0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_circuits_of_several_sizes_take_at_most_one_job_more_than_the_best_packing(sizes):
    found = split([JobLoad(size, 1) for size in sizes], TargetLimits(max_gates=30))
    # 11/9 of the best plus 6/9 is the bound of placing the largest first; for so few it is one job
    assert len(found) <= max(best_possible(sizes, 30), int(best_possible(sizes, 30) * 11 / 9 + 6 / 9))


def test_mixed_sizes_are_packed_better_than_in_turn():
    sizes = [20, 20, 10, 10]
    assert split([JobLoad(size, 1) for size in sizes], TargetLimits(max_gates=30)) == ((0, 2), (1, 3))


def test_limits_of_ionq_take_five_thousand_circuits_per_job():
    limits = TargetLimits(max_circuits=5000, max_gates=150_000, max_body_bytes=10_000_000)
    assert [len(job) for job in split([JobLoad(20, 1500)] * 12000, limits)] == [5000, 5000, 2000]
    assert [len(job) for job in split([JobLoad(52, 3000)] * 6000, limits)] == [2884, 2884, 232]


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        (TargetLimits(max_qubits=2), "3 qubits, but the target takes 2"),
        (TargetLimits(max_gates=1), "2 gates, but the target takes 1"),
        (TargetLimits(max_body_bytes=100), "bytes of body"),
    ],
)
def test_a_circuit_that_fits_into_no_job_is_refused(limits, what):
    circuit = Circuit(3, (op("X", 0), op("CNOT", 0, 2)))
    with pytest.raises(RejectedJobError, match=what):
        check_fits(circuit, written_load(circuit), limits)


def test_shots_are_checked():
    check_shots_fit(None, TargetLimits(min_shots=100))
    check_shots_fit(100, TargetLimits(min_shots=100, max_shots=100))
    with pytest.raises(RejectedJobError, match="takes 100 to any number"):
        check_shots_fit(99, TargetLimits(min_shots=100))
    with pytest.raises(RejectedJobError, match="takes 1 to 1000000"):
        check_shots_fit(1_000_001, TargetLimits(max_shots=1_000_000))


def test_common_limits_are_the_strictest_of_each():
    found = common_limits(
        [
            TargetLimits(max_circuits=5, max_qubits=36, min_shots=100),
            TargetLimits(max_circuits=7, max_gates=9, max_shots=50),
        ]
    )
    assert found == TargetLimits(max_circuits=5, max_gates=9, max_qubits=36, min_shots=100, max_shots=50)
    assert common_limits([]) == TargetLimits()


def test_a_machine_that_writes_gates_out_is_measured_by_its_own_gates():
    from quantum_db.backends.ionq.serialization import qis_circuit, qis_gates

    class Backend:
        def sizes(self, job):
            return tuple(qis_circuit(circuit).count_by_arity() for circuit in job.circuits)

    circuit = Circuit(2, (op("CRX", 0, 1, angle=-1.2345678901234567), op("CZ", 1, 0), op("H", 0)))
    found = machine_load(Backend(), qis_circuit)(circuit)
    (sent,) = qis_gates([circuit])
    assert found.gates == len(sent) > len(circuit.operations)
    assert len(json.dumps(sent, separators=(",", ":"))) <= found.body_bytes


def test_the_bound_of_bytes_is_above_what_ionqs_serializer_writes():
    """Every gate that needs no rewriting, with the longest angles and three-digit wires."""
    gates = [op("X", 0), op("H", 31), op("Sdg", 2), op("Tdg", 3), op("SWAP", 30, 31), op("CNOT", 30, 31)]
    gates += [op(name, 30, angle=-2.123456789012345e-5) for name in ("RX", "RY", "RZ")]
    gates += [op(name, 30, 31, angle=-2.123456789012345e-5) for name in ("RXX", "RYY", "RZZ")]
    for operation in gates:
        circuit = Circuit(32, (operation,) * 7)
        body = cirq_ionq.Serializer().serialize_single_circuit(to_cirq(circuit)).input
        assert len(json.dumps(body["circuit"], separators=(",", ":"))) <= written_load(circuit).body_bytes, operation
