"""The tables and the plot of `benchmarks.simulator`, made from its JSON alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring.processes import OVER_MEMORY, OVER_TIME
from benchmarks.peers import OURS, PEERS
from quantum_db.errors import StoreError
from quantum_db.files import write_text

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
PICTURE = "![Step time over the number of qubits, and Q-Store's against the machine's limits](images/simulator.svg)"
COLOURS = ("#b4570a", "#8a94a3", "#7a3fb0", "#1b8a5a", "#c2a000")


def tables(report: dict[str, Any]) -> str:
    """All tables as Markdown."""
    parts = [
        "Time of a step in ms, and how many times as long as Q-Store's beside it:",
        _by_peer(report, "ours_ms", _step_cell),
        "First step in ms (build, trace, compile, run once):",
        _by_peer(report, "ours_first_step_ms", lambda record, rules: _number(record.get("first_step_ms"))),
        "Peak memory of a process with one contender alone, in MB above what it holds after its imports (and whole):",
        _by_peer(report, "ours_peak_mb", lambda record, rules: _memory(record), "ours_total_mb"),
        "Against the best peer (how many times as long, as large):",
        _best(report),
        "Largest difference of loss and gradients from the peer's, relative to the largest entry:",
        _by_peer(report, None, lambda record, rules: _largest(record.get("agreement"))),
        "Q-Store's step against the machine's limits, and its time per sample, amplitude and gate:",
        _limits(report),
    ]
    return "\n\n".join(parts)


def write_docs(page: Path, report: dict[str, Any]) -> None:
    """Replace what stands between the markers of `page`; raise StoreError when they are missing."""
    text = page.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise StoreError(f"{page} must contain {BEGIN} and {END} once each; put them where the figures belong")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    write_text(page, f"{before}{BEGIN}\n{PICTURE}\n\n{_provenance(report)}\n\n{tables(report)}\n{END}{after}")


def _provenance(report: dict[str, Any]) -> str:
    machine, versions, rules = report["machine"], report["versions"], report["rules"]
    listed = ", ".join(f"{name} {number}" for name, number in sorted(versions.items()))
    return (
        f"Measured {report['date'][:10]} at commit `{(report['commit'] or 'unknown')[:12]}` on {machine['cpu']}, "
        f"{machine['cores']} cores, {machine['memory_gb']:.0f} GB, {machine['system']}; {listed}. A peer had "
        f"{rules['limit_s']:.0f} s and {rules['memory_limit_gb']:.0f} GB per case."
    )


def _title(case: dict[str, Any]) -> str:
    return f"n={case['n']} L={case['layers']} B={case['batch']}"


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---", *["---:"] * (len(headers) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _largest(agreement: dict[str, float] | None) -> str:
    return f"{max(agreement.values()):.1e}" if agreement else "-"


def _step_cell(record: dict[str, Any], rules: dict[str, Any]) -> str:
    if record.get("ms") is not None:
        return f"{_number(record['ms'])} ({record['ratio']:.1f}x)"
    known = {OVER_TIME: f"over {rules['limit_s']:.0f} s", OVER_MEMORY: f"over {rules['memory_limit_gb']:.0f} GB"}
    return known.get(record["status"], record["status"].split(":")[0])


def _memory(record: dict[str, Any]) -> str:
    if record.get("peak_mb") is None:
        return "-"
    return f"{_number(record['peak_mb'])} ({_number(record['total_mb'])})"


def _by_peer(
    report: dict[str, Any],
    ours: str | None,
    cell: Callable[[dict[str, Any], dict[str, Any]], str],
    ours_whole: str | None = None,
) -> str:
    def own(case: dict[str, Any]) -> list[str]:
        whole = f" ({_number(case[ours_whole])})" if ours_whole else ""
        return [_number(case[ours]) + whole] if ours else []

    names = [name for name in PEERS if any(name in case["peers"] for case in report["cases"])]
    headers = ["case", *([OURS.title] if ours else []), *(PEERS[name].title for name in names)]
    rows = [
        [
            _title(case),
            *own(case),
            *(cell(case["peers"][name], report["rules"]) if name in case["peers"] else "-" for name in names),
        ]
        for case in report["cases"]
    ]
    return _table(headers, rows)


def _best(report: dict[str, Any]) -> str:
    def least(case: dict[str, Any], key: str, compiled: tuple[bool, ...]) -> str:
        found = [
            record[key]
            for name, record in case["peers"].items()
            if PEERS[name].compiled in compiled and record.get(key) is not None
        ]
        return f"{min(found):.1f}x" if found else "none within the limit"

    rows = []
    for case in report["cases"]:
        peaks = [record["peak_mb"] for record in case["peers"].values() if record.get("peak_mb") is not None]
        memory = f"{min(peaks) / case['ours_peak_mb']:.1f}x" if peaks else "none within the limit"
        rows.append([_title(case), least(case, "ratio", (True,)), least(case, "ratio", (False,)), memory])
    return _table(["case", "step, best that compiles", "step, best that does not", "peak memory, best of all"], rows)


def _limits(report: dict[str, Any]) -> str:
    headers = ["case", "step ms", "threads", "GFLOP", "at the multiply-add rate, ms", "part reached", "GB moved",
               "at the bandwidth, ms", "part reached", "ns per sample, amplitude, gate"]  # fmt: skip
    rows = []
    for case in report["cases"]:
        work, per_gate = case["limits"], f"{case['ns_per_amplitude_and_gate']:.3f}"
        known = ["-"] * 7
        if work:
            known = [
                str(work["threads"]), _number(work["gflop"]), _number(work["flops_ms"]),
                f"{100 * work['part_of_flops']:.0f} %", _number(work["gb"]), _number(work["bytes_ms"]),
                f"{100 * work['part_of_bandwidth']:.0f} %",
            ]  # fmt: skip
        rows.append([_title(case), _number(case["ours_ms"]), *known, per_gate])
    return _table(headers, rows)


def write_plot(path: Path, report: dict[str, Any]) -> None:
    """Step time over n, of all contenders and against the machine's limits."""
    from matplotlib.figure import Figure

    from quantum_db.reporting.plots import to_svg

    figure = Figure(figsize=(11.0, 4.2), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2)
    cases = sorted(report["cases"], key=lambda case: (case["n"], case["batch"]))
    _line(left, cases, lambda case: case["ours_ms"], OURS.title, "#1f5fd0", "o", 2.4)
    for (name, peer), colour, marker in zip(PEERS.items(), COLOURS, "sD^vP", strict=True):
        _line(left, cases, lambda case, name=name: case["peers"].get(name, {}).get("ms"), peer.title, colour, marker)
    left.set_title("One training step", loc="left", fontsize=10.5)
    _line(right, cases, lambda case: case["ours_ms"], OURS.title, "#1f5fd0", "o", 2.4)
    for key, label, marker in (
        ("bytes_ms", "least the bandwidth allows", "s"),
        ("flops_ms", "least the multiply-add rate allows", "D"),
    ):
        _line(right, cases, lambda case, key=key: (case["limits"] or {}).get(key), label, "#8a94a3", marker)
    right.set_title("Q-Store against the machine's limits", loc="left", fontsize=10.5)
    for axes in (left, right):
        axes.set_yscale("log")
        axes.set_ylabel("ms")
        axes.set_xticks([case["n"] for case in cases], [f"{case['n']}\nB={case['batch']}" for case in cases])
        axes.set_xlabel("qubits, samples per step")
        axes.grid(axis="y", color="#d9dee6", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8.5)
    write_text(path, to_svg(figure))


def _line(
    axes: Any, cases: list[dict[str, Any]], value: Callable[[dict[str, Any]], float | None], label: str, colour: str,
    marker: str, width: float = 1.4,
) -> None:  # fmt: skip
    points = [(case["n"], y) for case in cases if (y := value(case)) is not None]
    if points:
        xs, ys = zip(*points, strict=True)
        axes.plot(xs, ys, color=colour, marker=marker, markersize=5, linewidth=width, label=label)
