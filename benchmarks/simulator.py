"""A training step of Q-Store beside PennyLane and TensorCircuit-NG: time, first step, memory, errors.

The work, in complex64 and float32 (`measuring/work.py`): n qubits, angle encoding, L layers of RX RY RZ and linear
CNOTs, Z on each qubit, mean squared error, gradient in all weights and features, over a batch of B samples.

- Each case and peer has a process of its own, in which Q-Store and the peer take turns (A B A B, some steps each); the
  ratio is that of the two medians in it. Q-Store's own figure is the median over all these processes.
- The first step is building the circuit, tracing, compiling and running once, after everything is imported.
- Peak memory is measured in a further process that runs one contender alone: its peak resident memory less what it held
  after its imports (Linux: VmHWM, reset then; elsewhere ru_maxrss).
- A peer that takes longer than --limit for a case, compilation included, is ended and recorded so.
- Errors of the first step's loss and gradients are against the same step in float64 by numpy alone
  (`measuring/reference.py`), relative to the largest entry. Above 1e-5 this command fails for Q-Store; a peer's is told
  in the table. Above 1e-2 it is no rounding error: that peer computes something else, and the command fails.

Each record is merged into the results as soon as it is there, in the place of an older one of the same case and
contender, so a table can be measured in several runs. Tables, plot and page are made from the merged results.

examples:
  make bench-peers                                       once: the environment with the peers, .venv-peers
  make bench                                             everything, about an hour
  python -m benchmarks.simulator --cases 4 8 --limit 30  two sizes; the others stay as they are
  python -m benchmarks.simulator --cases 12:64 --peers tensorcircuit_scan --limit 600
  python -m benchmarks.simulator --cases 4 --limit 5 --output trial.json   a trial, beside the results
  python -m benchmarks.simulator --report-only           measure nothing; tables, plot and docs from the results
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measuring.limits_report import reached
from benchmarks.measuring.processes import MEASURED, Rules, available_gb, run_child, run_limits
from benchmarks.measuring.provenance import provenance
from benchmarks.measuring.reference import write_reference
from benchmarks.measuring.report import TOLERANCE, largest, tables, write_docs, write_page, write_plot
from benchmarks.measuring.results import NOT_INSTALLED, add_record, read_results
from benchmarks.measuring.work import Case, case_from, numbers_of
from benchmarks.peers import OURS, PEERS, Contender
from quantum_db.errors import StoreError

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "simulator.json"
PLOT = ROOT / "docs" / "images" / "simulator.svg"
PAGE = ROOT / "docs" / "simulator.md"
DIFFERENT = 1e-2
"""An error above this is none of rounding: the peer's circuit is another one."""


@dataclass(frozen=True)
class Found:
    """One record of this run."""

    case: Case
    contender: Contender
    record: dict[str, Any]

    @property
    def problem(self) -> str | None:
        """Why the command fails for it; None if it does not."""
        title, status = f"{self.case.title}: {self.contender.title}", self.record["status"]
        if status.startswith("failed"):
            return f"{title} {status}"
        error = largest(self.record.get("error"))
        if error is None:
            return None
        if self.contender is OURS and not error <= TOLERANCE:
            return f"{title} is wrong by {error:.1e} of the largest entry, more than {TOLERANCE:g}"
        if not error <= DIFFERENT:
            return f"{title} is off by {error:.1e} of the largest entry: it computes something else"
        return None


@dataclass
class Ours:
    """Q-Store's record of one case, from the process where it runs alone and those beside the peers."""

    alone: dict[str, Any]
    medians: list[float] = field(default_factory=list)
    error: dict[str, float] = field(default_factory=dict)

    def beside(self, ms: float | None, error: dict[str, float] | None) -> None:
        """Add what was measured beside a peer."""
        if ms is not None:
            self.medians.append(ms)
        for name, value in (error or {}).items():
            self.error[name] = max(value, self.error.get(name, value))

    def record(self, case: Case, work: dict[str, Any] | None, limits: dict[str, Any]) -> dict[str, Any]:
        """The record so far; `limits` are the machine's by number of threads."""
        ms = statistics.median(self.medians)
        able = limits.get(str(work["threads"])) if work else None
        return {
            "status": MEASURED,
            "ms": ms,
            "ms_alone": self.alone["ms"],
            **{name: self.alone[name] for name in ("first_step_ms", "peak_mb", "total_mb")},
            "error": self.error,
            "ns_per_amplitude_and_gate": 1e6 * ms / (case.batch * 2**case.n * case.gates),
            "load_average": os.getloadavg()[0],
            "limits": reached(work, able, ms) if work and able else None,
            "machine_limits": able,
        }


def measure_ours(case: Case, rules: Rules, reference: Path) -> Ours:
    """Q-Store alone; SystemExit if it does not get through."""
    alone = run_child("alone", OURS, case, Rules(rules.repeats, 3600.0, 0.0), reference)
    if alone["status"] != MEASURED:
        raise SystemExit(f"error: Q-Store itself {alone['status']}")
    ours = Ours(alone)
    ours.beside(alone["ms"], alone["error"])
    return ours


def measure_peer(peer: Contender, case: Case, rules: Rules, reference: Path, ours: Ours) -> dict[str, Any]:
    """The record of one peer in one case; what Q-Store did beside it is added to `ours`."""
    if peer.missing:
        return {"status": f"{NOT_INSTALLED}: {', '.join(peer.missing)}"}
    both = run_child("pair", peer, case, rules, reference)
    beside, theirs, error = both.get("ours", {}), both.get("peer", {}), both.get("error", {})
    measured = "ms" in theirs
    ours.beside(beside.get("ms") if measured else None, error.get("ours"))
    record: dict[str, Any] = {
        "status": both["status"],
        "ms": theirs.get("ms"),
        "ms_quartiles": theirs.get("ms_quartiles"),
        "first_step_ms": theirs.get("first_step_ms") or None,
        "ours_beside_ms": beside.get("ms"),
        "ratio": theirs["ms"] / beside["ms"] if measured else None,
        "peak_mb": None,
        "total_mb": None,
        "error": error.get("peer"),
    }
    if both["status"] == MEASURED:
        alone = run_child("alone", peer, case, Rules(0, rules.limit, rules.memory_gb), reference)
        record |= {name: alone.get(name) for name in ("peak_mb", "total_mb")}
        record["memory_status"] = alone["status"]
    return record


def measure_case(case: Case, options: argparse.Namespace, rules: Rules, limits: dict[str, Any]) -> list[Found]:
    """Everything about one case, merged record by record into the results; prints a line per contender."""
    print(f"{case.title}", flush=True)
    origin, found = provenance(rules), []
    work, able = limits["work"][case], limits["machine"]

    def keep(contender: Contender, record: dict[str, Any]) -> None:
        add_record(options.output, case, contender.name, record | {"provenance": origin})

    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "reference.npz"
        write_reference(reference, case, numbers_of(case))
        ours = measure_ours(case, rules, reference)
        keep(OURS, ours.record(case, work, able))
        print(f"  {OURS.title:32} {_figures(ours.record(case, work, able))}", flush=True)
        for peer in (PEERS[name] for name in options.peers):
            started = time.perf_counter()
            record = measure_peer(peer, case, rules, reference, ours)
            keep(peer, record)
            keep(OURS, ours.record(case, work, able))
            found.append(Found(case, peer, record))
            print(f"  {peer.title:32} {_figures(record)}  [{time.perf_counter() - started:.0f} s]", flush=True)
    return [Found(case, OURS, ours.record(case, work, able)), *found]


def _figures(record: dict[str, Any]) -> str:
    if record.get("ms") is None:
        return str(record["status"])
    parts = [f"{record['ms']:10.2f} ms", f"first {record['first_step_ms']:10.1f} ms"]
    if record.get("peak_mb") is not None:
        parts.append(f"peak {record['peak_mb']:7.1f} MB")
    if record.get("ratio"):
        parts.append(f"{record['ratio']:7.1f}x")
    error = largest(record.get("error"))
    return "  ".join([*parts, "" if error is None else f"error {error:.1e}"])


def measure(options: argparse.Namespace, cases: list[Case]) -> list[Found]:
    """Run all cases; the results are written after each contender."""
    rules = Rules(options.repeats, options.limit, options.memory_limit or 0.8 * available_gb())
    print("the machine's limits", flush=True)
    found = run_limits(cases)
    limits = {"machine": found["machine"], "work": dict(zip(cases, found["work"], strict=True))}
    return [each for case in cases for each in measure_case(case, options, rules, limits)]


def write_report(results_file: Path) -> list[Path]:
    """Write plot and tables of the results: into docs for the project's own, else beside them. What was written."""
    results = read_results(results_file)
    if results_file.resolve() == RESULTS:
        write_docs(PAGE, results)
        write_plot(PLOT, results)
        return [PAGE, PLOT]
    page, plot = results_file.with_suffix(".md"), results_file.with_suffix(".svg")
    write_page(page, results)
    write_plot(plot, results)
    return [page, plot]


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
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="JSON",
                        help="the results, merged with what is there; tables and plot go beside them (default: "
                        "benchmarks/results/simulator.json, and tables and plot into docs)")  # fmt: skip
    parser.add_argument("--report-only", action="store_true",
                        help="measure nothing; write tables and plot of the results again")  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        cases = [case_from(text, options.layers) for text in options.cases]
    except ValueError as error:
        parser.error(f"--cases: {error}")
    if options.limit <= 0 or options.repeats < 1:
        parser.error("--limit must be above 0 and --repeats at least 1")
    return options, cases


def main(arguments: list[str] | None = None) -> int:
    """Measure and report; 1 if Q-Store is wrong, or a peer failed or computes something else."""
    options, cases = options_from(arguments)
    try:
        if options.output.exists() and not options.report_only:
            read_results(options.output)  # before an hour of measuring
        found = [] if options.report_only else measure(options, cases)
        written = write_report(options.output)
        print("\n" + tables(read_results(options.output)))
    except StoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"\nwrote {' and '.join(map(str, written))}")
    problems = [each.problem for each in found if each.problem]
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
