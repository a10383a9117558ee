"""What the machine can do, and what a step of Q-Store asks of it.

`python -m benchmarks.measuring.limits '[[n, layers, batch], ...]'` prints both as JSON.

Machine: bandwidth by a triad (a = b + s c, 3 arrays) for growing sizes, since small states live in a cache;
multiply-add rate by a product of float32 matrices. Both for the numbers of threads that the steps use, best of several.

Work, per sample, with N = 2^n amplitudes of 8 bytes (S = 8 N bytes), g one-qubit matrices after the product state
(one per qubit and layer but the first, whose rotations are in the product state) in p passes over the state:

- a matrix takes 28 operations per pair of amplitudes forward (4 complex products of 6, 2 complex sums of 2) and 88
  backward (28 to undo it on each of 2 states, 4 complex multiply-adds of 8 for the gradient): 58 N per matrix;
- the product state takes 12 N forward (6 per complex product, 2 + 4 + ... + N of them) and 36 N backward;
- n expectation values of Z take (n + 3) N, and their gradient, the state to carry backward, (n + 4) N;
- together N (58 g + 2 n + 55) operations;
- a pass reads and writes 1 state forward (2 S) and 2 backward (4 S); product state, expectation values and their
  gradients move 11.5 S more: together S (6 p + 11.5) bytes between the processor and wherever the states are.

The bandwidth that counts is that for the two states which are worked on at a time, in cache or in memory.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.measuring.work import Case
from quantum_db.layers.torch_layer import QuantumLayer
from quantum_db.simulation.adjoint import kernel_program
from quantum_db.simulation.kernel_call import choose, libraries
from quantum_db.simulation.threads import threads_for

TRIAD_BYTES = [2**power for power in range(18, 30)]
"""Sizes of the three arrays together. Below the first, starting the operation would be measured."""
MATRIX = 2048


def machine_limits(threads: int) -> dict[str, Any]:
    """Bandwidth in GB/s by size, and multiply-add operations (2 each) in GFLOP/s."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return {
            "gflops": _matmul_gflops(),
            "bandwidth_gb_s": {str(size): _triad_gb_s(size) for size in TRIAD_BYTES},
        }
    finally:
        torch.set_num_threads(before)


def work_of(case: Case) -> dict[str, Any] | None:
    """Operations and bytes of a step, as the module's text counts them; None where the kernel was not built."""
    if not libraries():
        return None
    with threads_for(case.n, case.batch):
        threads = torch.get_num_threads()
    layout = choose(case.batch, torch.float32, libraries())
    passes = kernel_program(QuantumLayer(case.n, case.layers).circuit, False, False).n_steps
    gates, amplitudes = case.n * (case.layers - 1), 2**case.n
    tiles_at_once = 1 if layout.tiles < threads else min(threads, layout.tiles)
    return {
        "threads": threads,
        "fused_gates": gates,
        "passes": passes,
        "gflop": case.batch * amplitudes * (58 * gates + 2 * case.n + 55) / 1e9,
        "gb": case.batch * amplitudes * 8 * (6 * passes + 11.5) / 1e9,
        "working_set_bytes": 2 * tiles_at_once * layout.width * amplitudes * 8,
    }


def _matmul_gflops() -> float:
    left, right = torch.rand(MATRIX, MATRIX), torch.rand(MATRIX, MATRIX)
    out = torch.empty_like(left)
    return 2 * MATRIX**3 / _best_seconds(lambda: torch.mm(left, right, out=out), 1) / 1e9


def _triad_gb_s(size: int) -> float:
    a, b, c = (torch.rand(size // 12) for _ in range(3))
    calls = max(1, 2**25 // size)
    return size / _best_seconds(lambda: torch.add(b, c, alpha=1.5, out=a), calls) / 1e9


def _best_seconds(run: Callable[[], object], calls: int) -> float:
    run()
    best = float("inf")
    for _ in range(8):
        started = time.perf_counter()
        for _ in range(calls):
            run()
        best = min(best, (time.perf_counter() - started) / calls)
    return best


def main() -> None:
    """Measure for the cases on the command line."""
    cases = [Case(*sizes) for sizes in json.loads(sys.argv[1])]
    works = [work_of(case) for case in cases]
    threads = {work["threads"] for work in works if work}
    print(json.dumps({"work": works, "machine": {str(count): machine_limits(count) for count in sorted(threads)}}))


if __name__ == "__main__":
    main()
