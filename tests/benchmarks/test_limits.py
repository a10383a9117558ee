"""What is counted against the machine's limits: by hand, and by the kernel itself with numbers that count."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from benchmarks.measuring.limits import work_of, work_of_plan
from benchmarks.measuring.limits_report import bandwidth_for, reached
from benchmarks.measuring.operations import Count, backward_count, forward_count, passes_of, states_moved
from benchmarks.measuring.work import Case
from quantum_db.circuits import Circuit, op, single_qubit, weight
from quantum_db.layers.torch_layer import QuantumLayer
from quantum_db.simulation import adjoint, kernel_call, sweeps
from quantum_db.simulation.adjoint import differentiable_expectations, plan_for
from quantum_db.simulation.kernel_call import KernelLibrary, Layout, libraries
from quantum_db.simulation.kernel_program import kernel_program
from quantum_db.simulation.threads import thread_count

KERNEL = Path(kernel_call.__file__).parent / "kernel"
VECTOR = "typedef T Vec __attribute__((vector_size(BYTES)));"
COUNTED = """#pragma once
#include <cstdint>
inline int64_t slots = 0, operations = 0;
template <typename T, int V> struct Counted {
  T at[V];
  T& operator[](int lane) { return at[lane]; }
  const T& operator[](int lane) const { return at[lane]; }
};
// A product that was not added to anything yet: the addition takes no slot of its own.
template <typename T, int V> struct Product_ : Counted<T, V> {};
template <typename T, int V, typename F> Counted<T, V> each(const F& value) {
  Counted<T, V> out;
  for (int l = 0; l < V; ++l) out[l] = value(l);
  return out;
}
#define QS_SUM(SIGN, A, B, OWN_SLOT)                                                         \\
  template <typename T, int V> Counted<T, V> operator SIGN(const A<T, V>& a, const B<T, V>& b) { \\
    ++operations, slots += OWN_SLOT;                                                         \\
    return each<T, V>([&](int l) { return a[l] SIGN b[l]; });                                \\
  }
#define QS_SUMS(SIGN)                  \\
  QS_SUM(SIGN, Counted, Counted, 1)    \\
  QS_SUM(SIGN, Counted, Product_, 0)   \\
  QS_SUM(SIGN, Product_, Counted, 0)   \\
  QS_SUM(SIGN, Product_, Product_, 0)
QS_SUMS(+)
QS_SUMS(-)
template <typename T, int V> Product_<T, V> operator*(const Counted<T, V>& a, const Counted<T, V>& b) {
  ++operations, ++slots;
  return {each<T, V>([&](int l) { return a[l] * b[l]; })};
}
template <typename T, int V> Product_<T, V> operator*(T a, const Counted<T, V>& b) {
  ++operations, ++slots;
  return {each<T, V>([&](int l) { return a * b[l]; })};
}
// only to put one number into all lanes, which is no arithmetic
template <typename T, int V> Counted<T, V> operator+(const Counted<T, V>& a, T b) {
  return each<T, V>([&](int l) { return a[l] + b; });
}
template <typename T, int V, typename B> void operator+=(Counted<T, V>& a, const B& b) { a = a + b; }
template <typename T, int V, typename B> void operator-=(Counted<T, V>& a, const B& b) { a = a - b; }
extern "C" int64_t counted(int64_t which) {
  int64_t& count = which ? operations : slots;
  const int64_t now = count;
  count = 0;
  return now;
}
"""


@pytest.fixture(scope="module")
def counting(tmp_path_factory):
    """The kernel as it is, but for vectors that count the arithmetic on them; one thread does what several would."""
    compiler = next((found for name in ("c++", "g++", "clang++") if (found := shutil.which(name))), None)
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    folder = tmp_path_factory.mktemp("kernel")
    for source in (*KERNEL.glob("*.hpp"), *KERNEL.glob("*.cpp")):
        text = source.read_text()
        if source.name == "lines.hpp":
            assert text.count(VECTOR) == text.count("#ifdef __clang__") == 1
            text = text.replace(VECTOR, "using Vec = Counted<T, V>;").replace("#ifdef __clang__", "#if 1")
            text = text.replace("#pragma once", '#pragma once\n#include "counted.hpp"')
        (folder / source.name).write_text(text)
    (folder / "counted.hpp").write_text(COUNTED)
    library = folder / "counting.so"
    options = ["-std=c++17", "-O1", "-shared", "-fPIC", "-DQS_LINE_BYTES=32"]
    subprocess.run([compiler, *options, str(folder / "statevector.cpp"), "-o", str(library)], check=True, timeout=240)
    return KernelLibrary(library), ctypes.CDLL(str(library)).counted


@pytest.fixture
def forced(counting, monkeypatch):
    """Runs on the counting kernel, with a layout, blocks and threads by hand."""
    library, counted = counting

    def force(lane_bits, block_lines, threads):
        width = library.width(torch.float32) >> lane_bits
        monkeypatch.setattr(adjoint, "choose", lambda rows, *_: Layout(library, lane_bits, width, -(-rows // width)))
        monkeypatch.setattr(adjoint, "BLOCK_BYTES", 2 * block_lines * 2 * library.width(torch.float32) * 4)
        monkeypatch.setattr(adjoint, "thread_count", lambda *_: threads)
        monkeypatch.setattr(adjoint, "shares_blocks", lambda *_: threads > 1)
        monkeypatch.setattr(adjoint, "libraries", lambda: (library,))
        monkeypatch.setattr(sweeps, "PIECE_BITS", 0)
        plan_for.cache_clear()
        kernel_program.cache_clear()
        return library, counted

    yield force
    plan_for.cache_clear()
    kernel_program.cache_clear()


@pytest.mark.parametrize(
    ("n_qubits", "layers", "rows", "lane_bits", "block_lines", "threads"),
    [
        (1, 2, 3, 0, 2**20, 1), (2, 1, 5, 1, 2**20, 1), (3, 3, 1, 3, 2**20, 1), (5, 4, 20, 0, 2**20, 1),
        (6, 3, 3, 2, 2**20, 1), (7, 3, 9, 0, 16, 1), (8, 3, 4, 1, 16, 2), (9, 2, 1, 3, 8, 2),
    ],
)  # fmt: skip
@pytest.mark.parametrize("more", [(), ("X0", "Y0")])
def test_the_kernel_does_the_arithmetic_that_is_counted(
    forced, n_qubits, layers, rows, lane_bits, block_lines, threads, more
):
    library, counted = forced(lane_bits, block_lines, threads)
    circuit = QuantumLayer(n_qubits, layers).circuit.measuring((*single_qubit(n_qubits), *more))
    plan = plan_for(circuit, (library,), rows, 1, False, torch.float32, threads)
    assert (plan.program.n_sweeps > 1) == (block_lines < 2**20)
    weights = torch.rand(circuit.n_weights, requires_grad=True)
    counted(0), counted(1)
    values = differentiable_expectations(circuit, weights, torch.rand(rows, circuit.n_features))
    assert Count(counted(0), counted(1)) == forward_count(plan)
    values.sum().backward()
    assert Count(counted(0), counted(1)) == backward_count(plan)


def test_two_qubits_by_hand():
    """A product state of 2 qubits, CNOT, one gate on each, Z on each; a full line of rows, 4 lines."""
    library = libraries()[0]
    rows = library.width(torch.float32)
    turns = tuple(op("RX", wire, angle=weight(2 * layer + wire)) for layer in range(2) for wire in range(2))
    circuit = Circuit(2, (*turns[:2], op("CNOT", 0, 1), *turns[2:]), ("Z0", "Z1"))
    plan = plan_for(circuit, (library,), rows, 1, False, torch.float32, 1)
    assert (plan.layout.lane_bits, plan.layout.tiles) == (0, 1)
    assert [(one.lines, one.lanes) for one in passes_of(plan)] == [(2, 0)]
    halves = 2 * 2 * 4  # each of one wire: a product for |0> and one for |1>
    state, one_pass = 4 * 4, 4 * (4 + 2 + 2 + 4)
    values = 4 * 2 + 8 + 2  # probabilities, transform, two strings
    assert forward_count(plan).slots == halves + state + one_pass + values
    one_pass_back = 4 * (2 * (4 + 2 + 2 + 4) + 3 + 5 + 5)
    # the sums over each half, and in it: two sums, one contraction, then four products for the three numbers of a gate
    product_back = 4 * 2 * (4 + 2) + 2 * (4 * 4 + 3 * 2 + 4 * 4)
    assert backward_count(plan).slots == (2 + 8 + 4 * 2) + one_pass_back + halves + product_back
    assert states_moved(plan) == 2 + 2 + 3 + 4


def test_work_of_a_case():
    case = Case(16, 4, 8)
    work = work_of(case)
    assert work["threads"] == thread_count(16, 8)
    assert work["fused_gates"] == 3 * 16
    assert 0 < work["sweeps"] < work["passes"] < work["fused_gates"]
    state_gb = 8 * 2**16 * 8 / 1e9
    assert work["gb"] >= state_gb * (6 * work["sweeps"] + 5)
    assert work["multiply_adds"] < work["gflop"] < 2 * work["multiply_adds"]


def test_a_narrow_batch_counts_whole_lines():
    library = libraries()[0]
    circuit = QuantumLayer(3, 2).circuit
    rows = library.width(torch.float32)
    few, many = (work_of_plan(plan_for(circuit, (library,), n, 1, False, torch.float32, 1)) for n in (rows - 1, rows))
    assert few == many


def test_the_part_of_the_limits_that_a_step_reaches():
    limits = {"gflops": 100.0, "bandwidth_gb_s": {"1000": 90.0, "2000": 50.0, "4000": 60.0, "8000": 10.0}}
    assert [bandwidth_for(limits, size) for size in (500, 1500, 3000, 9000)] == [90.0, 60.0, 60.0, 10.0]
    work = {"multiply_adds": 0.5, "gflop": 0.8, "gb": 0.6, "working_set_bytes": 1500}
    found = reached(work, limits, 40.0)
    assert (found["flops_ms"], found["bytes_ms"]) == pytest.approx((10.0, 10.0))
    assert (found["part_of_flops"], found["part_of_bandwidth"]) == pytest.approx((0.25, 0.25))
