"""The circuit gateway under load: throughput, accepting, added latency, long-polls, two workers against one.

Each part starts processes of its own and talks to them over HTTP, through sockets kept open (`measuring/lean_http.py`).
Circuits have 4 qubits and 36 gates (`measuring/gateway_work.py`), with other angles in every one.

- throughput: jobs of 500 circuits through `qstore gateway --workers 1` with SQLite, from POST to the last byte of the
  results, over several connections; in turns with the same jobs run directly in this process (read, then simulated, no
  HTTP and no database). The ratio is gateway against direct.
- latency: one job at a time, from POST to the last byte of the results, less what its circuits take directly in turns
  with it; medians.
- accepting: jobs of one circuit, only submitted, with a worker that runs them meanwhile and without one.
- polls: 2,000 requests held at once on jobs that nobody runs yet, then a worker starts; memory of the gateway.
- workers: a queue of jobs on PostgreSQL, run by one worker process and by two.

Client: processor seconds of this process, as a share of all that were used. Every record says how loaded the machine
was: figures of one part are comparable with each other, those of a busy machine not with those of another.

examples:
  python -m benchmarks.gateway                           everything, two minutes on an idle machine
  python -m benchmarks.gateway --parts throughput polls  the others stay as they are
  python -m benchmarks.gateway --report-only             print the table of the results again
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.measuring.gateway_parts import accepting, latency, polls, throughput, two_workers
from benchmarks.measuring.provenance import machine, versions
from quantum_db.tracking.provenance import git_commit

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "gateway.json"
PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "throughput": throughput,
    "latency": latency,
    "accepting": accepting,
    "polls": polls,
    "workers": two_workers,
}


def main(arguments: list[str] | None = None) -> int:
    """Measure the parts and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gateway", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS), metavar="PART")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the results, which are merged into this file")
    parser.add_argument("--report-only", action="store_true", help="measure nothing")
    options = parser.parse_args(arguments)
    results: dict[str, Any] = json.loads(options.output.read_text()) if options.output.exists() else {}
    for name in [] if options.report_only else options.parts:
        print(f"{name} ...", file=sys.stderr, flush=True)
        before = os.getloadavg()[0]
        with tempfile.TemporaryDirectory(prefix="qstore-benchmark-", ignore_cleanup_errors=True) as folder:
            found = PARTS[name](Path(folder))
        results[name] = {**found, "load_average_before": round(before, 2), **_provenance()}
        options.output.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    print(table(results))
    return 0


def _provenance() -> dict[str, Any]:
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return {"machine": machine(), "versions": versions(), "commit": git_commit(), "date": date}


def table(results: dict[str, Any]) -> str:
    """The table of docs/gateway.md."""
    lines = ["| what | measured | goal | load of the machine |", "| --- | --- | --- | --- |"]
    for name, goal, write in ROWS:
        if name in results:
            found = results[name]
            lines.append(f"| {write(found)} | {goal} | {found['load_average_before']:g} |")
    return "\n".join(lines)


ROWS: list[tuple[str, str, Callable[[dict[str, Any]], str]]] = [
    (
        "throughput",
        "5,000/s",
        lambda r: (
            f"circuits per second, jobs of 500, one worker, SQLite | {r['circuits_per_s']:,.0f}/s, "
            f"{r['ratio_to_direct']:.2f} of the simulator alone; {r['circuits_per_cpu_s']:,.0f} per processor "
            f"second of the gateway; client {100 * r['client_share']:.0f}% of the processor time"
        ),
    ),
    (
        "latency",
        "< 30 ms",
        lambda r: (
            "added latency per job, of "
            + ", ".join(r["circuits"])
            + " circuits | "
            + ", ".join(f"{row['added_ms']:.1f}" for row in r["circuits"].values())
            + " ms"
        ),
    ),
    (
        "accepting",
        "300/s",
        lambda r: (
            f"jobs of one circuit accepted per second | {r['alone']['accepted_per_s']:,.0f}/s; "
            f"{r['with_worker']['accepted_per_s']:,.0f}/s while a worker in the process runs them; client "
            f"{100 * r['alone']['client_share']:.0f}% of the processor time"
        ),
    ),
    (
        "polls",
        "< 500 MB, no error",
        lambda r: (
            f"{r['polls']:,} requests held at once | {r['memory_mb']:.0f} MB, at most {r['peak_memory_mb']:.0f} MB; "
            f"{r['errors']} errors"
        ),
    ),
    (
        "workers",
        "ratio",
        lambda r: (
            f"two worker processes against one, PostgreSQL | {r['ratio']:.2f} times the circuits per second "
            f"({r['one']['circuits_per_s']:,.0f}/s and {r['two']['circuits_per_s']:,.0f}/s)"
        ),
    ),
]


if __name__ == "__main__":
    sys.exit(main())
