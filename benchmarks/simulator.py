"""A training step of Q-Store beside PennyLane and TensorCircuit-NG: time, first step, memory, agreement.

The work, in complex64 and float32 (`measuring/work.py`): n qubits, angle encoding, L layers of RX RY RZ and linear
CNOTs, Z on each qubit, mean squared error, gradient in all weights and features, over a batch of B samples.

- Each case and peer has a process of its own, in which Q-Store and the peer take turns (A B A B, some steps each); the
  ratio is that of the two medians in it. Q-Store's own figure is the median over all these processes.
- The first step is building the circuit, tracing, compiling and running once, after everything is imported.
- Peak memory is measured in a further process that runs one contender alone: its peak resident memory less what it held
  after its imports (Linux: VmHWM, reset then; elsewhere ru_maxrss).
- A peer that takes longer than --limit for a case, compilation included, is ended and recorded so.
- Losses and gradients of the first step must agree to 1e-5 of the largest entry, or this command fails.

examples:
  make bench-peers                                       once: the environment with the peers, .venv-peers
  make bench                                             everything, about an hour
  python -m benchmarks.simulator --cases 4 8 --limit 30  two sizes
  python -m benchmarks.simulator --cases 12:64 --peers tensorcircuit_scan --limit 600
  python -m benchmarks.simulator --write-docs            put the figures of the last run into docs/simulator.md
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.measuring.limits_report import reached
from benchmarks.measuring.processes import MEASURED, Rules, available_gb, run_child, run_limits
from benchmarks.measuring.report import tables, write_docs, write_plot
from benchmarks.measuring.work import Case, case_from
from benchmarks.peers import OURS, PEERS, Contender
from quantum_db.errors import StoreError
from quantum_db.files import read_json, write_json
from quantum_db.tracking.provenance import git_commit, library_versions

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "simulator.json"
PLOT = ROOT / "docs" / "images" / "simulator.svg"
PAGE = ROOT / "docs" / "simulator.md"
TOLERANCE = 1e-5
DISTRIBUTIONS = ("pennylane", "pennylane-lightning", "jax", "jaxlib", "tensorcircuit-ng")


def measure_peer(peer: Contender, case: Case, rules: Rules) -> tuple[dict[str, Any], float | None]:
    """The record of one peer in one case, and the median of Q-Store's steps beside it."""
    if peer.missing:
        return {"status": f"not installed: {', '.join(peer.missing)}"}, None
    both = run_child("pair", peer, case, rules)
    ours, theirs = both.get("ours", {}), both.get("peer", {})
    record: dict[str, Any] = {
        "status": both["status"],
        "ms": theirs.get("ms"),
        "ms_quartiles": theirs.get("ms_quartiles"),
        "first_step_ms": theirs.get("first_step_ms") or None,
        "ours_beside_ms": ours.get("ms"),
        "ratio": theirs["ms"] / ours["ms"] if "ms" in theirs else None,
        "peak_mb": None,
        "total_mb": None,
        "agreement": both.get("difference"),
        "error_against_float64": both.get("error"),
    }
    if record["agreement"] is not None:
        record["agrees"] = max(record["agreement"].values()) <= TOLERANCE
    if both["status"] == MEASURED:
        alone = run_child("alone", peer, case, Rules(0, rules.limit, rules.memory_gb))
        record |= {name: alone.get(name) for name in ("peak_mb", "total_mb")}
        record["memory_status"] = alone["status"]
    return record, ours.get("ms") if "ms" in theirs else None


def measure_case(case: Case, peers: list[Contender], rules: Rules) -> dict[str, Any]:
    """Everything about one case; prints a line per contender."""
    print(f"{case.title}", flush=True)
    alone = run_child("alone", OURS, case, Rules(rules.repeats, 3600.0, 0.0))
    if alone["status"] != MEASURED:
        raise SystemExit(f"error: Q-Store itself {alone['status']}")
    print(f"  {OURS.title:32} {_figures(alone)}", flush=True)
    medians, records = [alone["ms"]], {}
    for peer in peers:
        started = time.perf_counter()
        record, beside = measure_peer(peer, case, rules)
        records[peer.name] = record
        if beside is not None:
            medians.append(beside)
        print(f"  {peer.title:32} {_figures(record)}  [{time.perf_counter() - started:.0f} s]", flush=True)
    ours_ms = statistics.median(medians)
    return {
        "n": case.n,
        "layers": case.layers,
        "batch": case.batch,
        "gates": case.gates,
        "ours_ms": ours_ms,
        "ours_alone_ms": alone["ms"],
        "ours_first_step_ms": alone["first_step_ms"],
        "ours_peak_mb": alone["peak_mb"],
        "ours_total_mb": alone["total_mb"],
        "ns_per_amplitude_and_gate": 1e6 * ours_ms / (case.batch * 2**case.n * case.gates),
        "load_average": os.getloadavg()[0],
        "peers": records,
    }


def _figures(record: dict[str, Any]) -> str:
    if record.get("ms") is None:
        return str(record["status"])
    parts = [f"{record['ms']:10.2f} ms", f"first {record['first_step_ms']:10.1f} ms"]
    if record.get("peak_mb") is not None:
        parts.append(f"peak {record['peak_mb']:7.1f} MB")
    if record.get("ratio"):
        parts.append(f"{record['ratio']:7.1f}x  difference {max(record['agreement'].values()):.1e}")
    return "  ".join(parts)


def machine() -> dict[str, Any]:
    """The processor, its cores and the memory."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30,
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Versions of ours and the peers' libraries."""
    found = library_versions()
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def measure(options: argparse.Namespace, cases: list[Case]) -> dict[str, Any]:
    """Run all cases; the JSON is written after each."""
    rules = Rules(options.repeats, options.limit, options.memory_limit or 0.8 * available_gb())
    print("the machine's limits", flush=True)
    limits = run_limits(cases)
    report: dict[str, Any] = {
        "cases": [],
        "machine": machine() | {"limits": limits["machine"]},
        "versions": versions(),
        "commit": git_commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "rules": {"limit_s": rules.limit, "repeats": rules.repeats, "memory_limit_gb": rules.memory_gb},
    }
    for case, work in zip(cases, limits["work"], strict=True):
        record = measure_case(case, [PEERS[name] for name in options.peers], rules)
        machine_now = limits["machine"].get(str(work["threads"])) if work else None
        record["limits"] = reached(work, machine_now, record["ours_ms"]) if machine_now else None
        report["cases"].append(record)
        write_json(options.output, report)
    return report


def problems(report: dict[str, Any]) -> list[str]:
    """Peers that gave other numbers, or failed."""
    found = []
    for case in report["cases"]:
        for name, record in case["peers"].items():
            if record.get("agrees") is False:
                found.append(f"n={case['n']}: {name} differs by {max(record['agreement'].values()):.1e}")
            if record["status"].startswith("failed"):
                found.append(f"n={case['n']}: {name} {record['status']}")
    return found


def options_from(arguments: list[str] | None) -> tuple[argparse.Namespace, list[Case]]:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.simulator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", nargs="+", default=["4", "8", "10", "12", "16", "20"], metavar="N[:B]",
                        help="numbers of qubits, with a batch if not 32 (8 from 16 on, 4 from 20 on)")  # fmt: skip
    parser.add_argument("--layers", type=int, default=4, help="layers of the circuit (default 4)")
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), default=list(PEERS), help="default: all")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds per peer and case (default 120)")
    parser.add_argument("--memory-limit", type=float, default=0.0, metavar="GB",
                        help="end a peer that takes more (default: 80 %% of the free memory)")  # fmt: skip
    parser.add_argument("--repeats", type=int, default=7, help="rounds of A B (default 7)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the JSON; the plot goes beside it, or into docs")
    parser.add_argument("--write-docs", action="store_true", help="measure nothing; write docs from the JSON")
    options = parser.parse_args(arguments)
    try:
        cases = [case_from(text, options.layers) for text in options.cases]
    except ValueError as error:
        parser.error(f"--cases: {error}")
    if options.limit <= 0 or options.repeats < 1:
        parser.error("--limit must be above 0 and --repeats at least 1")
    return options, cases


def main(arguments: list[str] | None = None) -> int:
    """Measure and report; 1 if a peer failed or disagreed."""
    options, cases = options_from(arguments)
    if options.write_docs:
        try:
            report = read_json(options.output)
        except StoreError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        write_docs(PAGE, report)
        write_plot(PLOT, report)
        print(f"wrote {PAGE.relative_to(ROOT)} and {PLOT.relative_to(ROOT)}")
        return 0
    report = measure(options, cases)
    print("\n" + tables(report))
    plot = PLOT if options.output.resolve() == RESULTS else options.output.with_suffix(".svg")
    write_plot(plot, report)
    print(f"\nwrote {options.output} and {plot}")
    found = problems(report)
    for problem in found:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
