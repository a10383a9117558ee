"""Sweeps: whatever the layout of lines and the size of blocks, values and gradients stay the same."""

import random

import pytest
import torch

from quantum_db.circuits import Circuit, feature, op, single_qubit, weight
from quantum_db.circuits.ansatz.hardware_efficient import HardwareEfficientAnsatz
from quantum_db.circuits.encoders.angle import AngleEncoder
from quantum_db.circuits.variational import variational_circuit
from quantum_db.simulation import adjoint, sweeps
from quantum_db.simulation.kernel_call import Layout, choose, libraries
from quantum_db.simulation.kernel_program import kernel_program, one_and_cnot
from quantum_db.simulation.statevector import simulate
from quantum_db.simulation.stored_indices import parity
from quantum_db.simulation.sweeps import Gate, Span, sweeps_of
from quantum_db.simulation.threads import shares_blocks
from tests.simulation.test_adjoint import TOLERANCE, assert_agrees, inputs

ONE = ("RX", "RY", "RZ", "PhaseShift")
TWO = ("RXX", "RYY", "RZZ", "CRX", "CRY", "CRZ")


@pytest.fixture
def forced(monkeypatch):
    """Choose builds, lane bits, block bits and threads by hand."""

    def force(number, lane_bits, block_bits, threads=1):
        library = libraries()[min(number, len(libraries()) - 1)]

        def layout(rows, dtype, known, n_qubits):
            width = library.width(dtype) >> lane_bits
            return Layout(library, lane_bits, width, -(-rows // width))

        monkeypatch.setattr(adjoint, "choose", layout)
        monkeypatch.setattr(adjoint, "thread_count", lambda n_qubits, rows: threads)
        monkeypatch.setattr(adjoint, "shares_blocks", lambda n_qubits, tiles, threads: threads > 1)
        program = lambda *key: kernel_program(*key[:4], block_bits)  # noqa: E731
        monkeypatch.setattr(adjoint, "kernel_program", program)
        monkeypatch.setattr(sweeps, "PIECE_BITS", 0)
        adjoint.plan_for.cache_clear()
        kernel_program.cache_clear()

    yield force
    adjoint.plan_for.cache_clear()
    kernel_program.cache_clear()


def mixed_circuit(n_qubits, gates, seed):
    """Gates of every kind on any wires, in no order that a layout could rely on."""
    chosen = random.Random(seed)
    slots = [weight(k) for k in range(4)] + [feature(k) for k in range(3)]
    operations = []
    for _ in range(gates):
        angle = chosen.choice(slots) * chosen.choice([0.7, -1.3]) + chosen.choice([0.0, 0.4])
        pair = chosen.sample(range(n_qubits), 2) if n_qubits > 1 else []
        kind = chosen.random()
        if kind < 0.35 or not pair:
            operations.append(op(chosen.choice(ONE), chosen.randrange(n_qubits), angle=angle))
        elif kind < 0.5:
            operations.append(op(chosen.choice(("H", "X", "Y", "S", "T", "Sdg")), chosen.randrange(n_qubits)))
        elif kind < 0.8:
            operations.append(op(chosen.choice(("CNOT", "CNOT", "CZ", "SWAP")), *pair))
        else:
            operations.append(op(chosen.choice(TWO), *pair, angle=angle))
    observables = [*single_qubit(n_qubits), "X0", "Y0", f"Z{n_qubits - 1}", "I"]
    if n_qubits > 2:
        observables += ["X0 Y1", "Z0 Y2 X1"]
    operations += [op("RX", 0, angle=weight(3)), op("RY", 0, angle=feature(2))]
    return Circuit(n_qubits, tuple(operations), tuple(observables))


def layouts():
    """(number of the build, precision, lane bits) of everything that was built for this machine."""
    return [
        (number, dtype, lane_bits)
        for number, library in enumerate(libraries())
        for dtype in (torch.float32, torch.float64)
        for lane_bits in range(min(4, library.width(dtype).bit_length() - 1) + 1)
    ]


@pytest.mark.parametrize(("number", "dtype", "lane_bits"), layouts())
def test_every_layout_and_block_size(forced, number, dtype, lane_bits):
    for n_qubits, block_bits, threads in ((4, 20, 1), (7, lane_bits + 2, 1), (6, lane_bits + 2, 2)):
        forced(number, lane_bits, block_bits, threads)
        circuit = mixed_circuit(n_qubits, 4 * n_qubits, 100 * n_qubits + block_bits)
        for rows, per_row, from_states in ((1, False, False), (3, True, False), (5, False, True), (17, False, False)):
            assert_agrees(circuit, inputs(circuit, rows, rows, dtype, per_row, from_states), TOLERANCE[dtype])


@pytest.mark.parametrize("n_qubits", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_few_qubits_and_few_rows(n_qubits, rows):
    circuit = mixed_circuit(n_qubits, 12, n_qubits + rows)
    for dtype in (torch.float32, torch.float64):
        assert_agrees(circuit, inputs(circuit, rows, 1, dtype), TOLERANCE[dtype])


@pytest.mark.parametrize("pattern", ["linear", "circular", "full"])
@pytest.mark.parametrize(("n_qubits", "rows"), [(13, 3), (14, 1)])
def test_blocks_of_the_usual_size(pattern, n_qubits, rows, monkeypatch):
    monkeypatch.setattr("quantum_db.simulation.threads.SMALL_WORK", 1)
    ansatz = HardwareEfficientAnsatz(n_qubits, 2, pattern)
    circuit = variational_circuit(AngleEncoder(n_qubits, n_qubits), ansatz, single_qubit(n_qubits))
    assert_agrees(circuit, inputs(circuit, rows, 7, torch.float64), 1e-10)


def test_angles_at_which_a_turn_has_no_tangent():
    """RX and RY by pi take |0> to |1>: the diagonal of the matrix is zero."""
    circuit = Circuit(
        3,
        (
            *(op(name, wire, angle=weight(wire)) for name in ("RY", "RX", "RY") for wire in range(3)),
            op("CNOT", 0, 1),
            op("CNOT", 1, 2),
            *(op(name, wire, angle=weight(3 + wire)) for name in ("RX", "RZ") for wire in range(3)),
            *(op("Y", 0), op("CNOT", 0, 2), op("Y", 1), op("H", 2)),
        ),
        ("Z0", "Z1", "X2", "Y0"),
    )
    for dtype in (torch.float32, torch.float64):
        for angle in (torch.pi, -torch.pi, 3 * torch.pi, 0.0, torch.pi / 2, torch.pi + 1e-6):
            weights = torch.full((circuit.n_weights,), angle, dtype=dtype, requires_grad=True)
            features = torch.zeros(2, 0, dtype=dtype, requires_grad=True)
            assert_agrees(circuit, [weights, features, None], TOLERANCE[dtype])


def test_two_qubit_gates_are_made_of_cnots():
    for name in (*TWO, "CZ"):
        angle = None if name == "CZ" else 0.83
        start = (op("RY", 0, angle=0.4), op("RY", 1, angle=1.4), op("RX", 1, angle=0.9))
        gate = op(name, 1, 0) if angle is None else op(name, 1, 0, angle=angle)
        parts = tuple(one_and_cnot(gate))
        assert all(len(part.wires) == 1 or part.gate == "CNOT" for part in parts)
        nothing = torch.zeros(0, dtype=torch.float64)
        wanted, got = (simulate(Circuit(2, start + rest), nothing)[0] for rest in ((gate,), parts))
        assert torch.allclose((wanted.conj() * got).sum().abs(), torch.ones((), dtype=torch.float64))


def test_a_span_is_a_basis_with_highest_bits_of_its_own():
    span = Span([0b0110, 0b0011, 0b0101])
    assert len(span) == 2
    assert span.reduced(0b0101) == 0
    assert span.add(0b1100)
    assert not span.add(0b1010)
    for top, vector in span.basis.items():
        assert vector.bit_length() - 1 == top
        assert all(not other >> top & 1 for place, other in span.basis.items() if place != top)


@pytest.mark.parametrize("lane_bits", [0, 2])
def test_sweeps_hold_every_gate_once_and_in_order(lane_bits):
    chosen = random.Random(3)
    n_qubits, most = 11, 7
    layers, number = [], 0
    for _ in range(5):
        layer = []
        for wire in range(n_qubits):
            flip = 1 << wire | (chosen.getrandbits(wire) if wire else 0)
            layer.append(Gate(flip, chosen.getrandbits(n_qubits), 0, number))
            number += 1
        layers.append(layer)
    found = sweeps_of(layers, n_qubits, lane_bits, most)
    order = [gate.number for sweep in found for one in sweep.passes for gate in (*one.lines, *one.lanes)]
    assert sorted(order) == list(range(number))
    assert [place // n_qubits for place in order] == sorted(place // n_qubits for place in order)
    for sweep in found:
        assert sweep.dim <= most
        assert sweep.low >= lane_bits
        for one in sweep.passes:
            assert len(one.lines) <= sweeps.LINES_PER_PASS
            assert len(Span(gate.flip >> lane_bits for gate in one.lines)) == len(one.lines)
            assert all(gate.flip < 1 << lane_bits for gate in one.lanes)


def test_masks_in_a_block_are_those_of_the_state():
    layer = [Gate(0b1100001, 0b0100010, 1, 0), Gate(0b0000110, 0b1010101, 0, 1)]
    (sweep,) = sweeps_of([layer], 7, 0, 6)
    basis = [*(1 << bit for bit in range(sweep.low)), *sweep.vectors]
    gates = {gate.number: gate for one in sweep.passes for gate in one.lines}
    for gate in layer:
        inside = gates[gate.number]
        flip = 0
        for bit, vector in enumerate(basis):
            flip ^= vector * (inside.flip >> bit & 1)
            assert inside.sign >> bit & 1 == parity(vector & gate.sign)
        assert flip == gate.flip
        assert (inside.outer, inside.inverted) == (gate.sign, gate.inverted)


def test_few_rows_fill_lines_with_amplitudes():
    known = libraries()
    lanes = known[0].width(torch.float32)
    assert choose(lanes, torch.float32, known, 10).lane_bits == 0
    assert choose(1, torch.float32, known, 10).width == max(1, lanes >> 4)
    assert choose(1, torch.float32, known, n_qubits=1).lane_bits <= 1


def test_large_states_take_narrow_tiles_where_those_are_as_fast():
    """The gradient keeps one tile beside the states, so narrow ones save memory."""
    known = libraries()
    lanes = known[0].width(torch.float32)
    few = lanes // 2
    assert choose(few, torch.float32, known, n_qubits=18).width == max(1, lanes >> 4)
    assert choose(few, torch.float32, known, n_qubits=8).width == few
    assert choose(lanes, torch.float32, known, n_qubits=18).width == lanes


def test_threads_share_blocks_of_large_states():
    assert not shares_blocks(20, 1, 1)
    assert not shares_blocks(8, 1, 2)
    assert shares_blocks(12, 1, 2)
    assert not shares_blocks(12, 2, 2)
    assert shares_blocks(16, 2, 2)
