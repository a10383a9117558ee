"""Which part of the machine's limits a measured step reaches; torch is not imported here."""

from __future__ import annotations

from typing import Any


def bandwidth_for(limits: dict[str, Any], working_set: int) -> float:
    """GB/s for data of `working_set` bytes: the best of those sizes that are no smaller."""
    measured = {int(size): rate for size, rate in limits["bandwidth_gb_s"].items()}
    return max(rate for size, rate in measured.items() if size >= min(working_set, max(measured)))


def reached(work: dict[str, Any], limits: dict[str, Any], ours_ms: float) -> dict[str, Any]:
    """The least milliseconds that each limit allows, and which part of it a step of `ours_ms` reaches."""
    bandwidth = bandwidth_for(limits, work["working_set_bytes"])
    # a matrix product, which gave the rate, is multiply-adds alone, 2 operations each
    flops_ms, bytes_ms = 2e3 * work["multiply_adds"] / limits["gflops"], 1e3 * work["gb"] / bandwidth
    return work | {
        "bandwidth_gb_s": bandwidth,
        "flops_ms": flops_ms,
        "bytes_ms": bytes_ms,
        "part_of_flops": flops_ms / ours_ms,
        "part_of_bandwidth": bytes_ms / ours_ms,
    }
