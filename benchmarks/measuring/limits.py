"""What the machine can do, and what a step of Q-Store asks of it.

`python -m benchmarks.measuring.limits '[[n, layers, batch], ...]'` prints both as JSON.

Machine: bandwidth by a triad (a = b + s c, 3 arrays) for growing sizes, since small states live in a cache;
multiply-add rate by a product of float32 matrices. Both for the numbers of threads that the steps use, best of several.

Work: `measuring.operations` counts it from the kernel's own plan for the case. The least time that the multiply-add
rate allows is that of the slots counted there, since a lone addition takes as long as a multiply-add; the least time
that the bandwidth allows is that of the states moved. The bandwidth that counts is that for the tiles which are worked
on at a time, one or one per thread, and for the tile beside each in the gradient: in cache or in memory.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.measuring.operations import backward_count, forward_count, passes_of, states_moved
from benchmarks.measuring.work import Case
from quantum_db.layers.torch_layer import QuantumLayer
from quantum_db.simulation.adjoint import Plan, plan_for
from quantum_db.simulation.kernel_call import libraries
from quantum_db.simulation.threads import thread_count

TRIAD_BYTES = [2**power for power in range(18, 30)]
"""Sizes of the three arrays together. Below the first, starting the operation would be measured."""
MATRIX = 2048
COMPLEX64_BYTES = 8


def machine_limits(threads: int) -> dict[str, Any]:
    """Bandwidth in GB/s by size, and the multiply-add rate as GFLOP/s, 2 for each."""
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
    """Multiply-adds, operations and bytes of a step in float32; None where the kernel was not built."""
    if not libraries():
        return None
    threads = thread_count(case.n, case.batch)
    circuit = QuantumLayer(case.n, case.layers).circuit
    return work_of_plan(plan_for(circuit, libraries(), case.batch, 1, False, torch.float32, threads))


def work_of_plan(plan: Plan) -> dict[str, Any]:
    """The same for any plan in float32 that starts from a product state."""
    layout, program, threads = plan.layout, plan.program, int(plan.call.threads)
    lanes = layout.library.width(torch.float32)
    state_bytes = layout.width * 2**plan.call.n_qubits * COMPLEX64_BYTES
    count = forward_count(plan) + backward_count(plan)
    tiles_at_once = 1 if plan.call.inside else min(threads, layout.tiles)
    return {
        "threads": threads,
        "fused_gates": sum(one.lines + one.lanes for one in passes_of(plan)),
        "passes": len(list(passes_of(plan))),
        "sweeps": program.n_sweeps,
        "multiply_adds": count.slots * lanes / 1e9,
        "gflop": count.operations * lanes / 1e9,
        "gb": states_moved(plan) * layout.tiles * state_bytes / 1e9,
        "working_set_bytes": 2 * tiles_at_once * state_bytes,
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
