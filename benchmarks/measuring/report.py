"""The tables and the plot of `benchmarks.simulator`, made from its JSON alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring.processes import OVER_MEMORY, OVER_TIME
from benchmarks.peers import CONTENDERS, OURS, PEERS
from quantum_db.errors import StoreError
from quantum_db.files import write_text

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
PICTURE = "![Step time over the number of qubits, and Q-Store's against the machine's limits](images/simulator.svg)"
COLOURS = ("#b4570a", "#8a94a3", "#7a3fb0", "#1b8a5a", "#c2a000")
TOLERANCE = 1e-5
"""The largest error of single precision, relative to the largest entry, that Q-Store may have; a peer's is marked."""


def tables(results: dict[str, Any]) -> str:
    """All tables as Markdown."""
    parts = [
        "Time of a step in ms, and how many times as long as Q-Store's beside it:",
        _by_contender(results, _step_cell),
        "First step in ms (build, trace, compile, run once):",
        _by_contender(results, lambda record: _number(record.get("first_step_ms"))),
        "Peak memory of a process with one contender alone, in MB above what it holds after its imports (and whole):",
        _by_contender(results, _memory),
        "Against the best peer (how many times as long, as large):",
        _best(results),
        "Largest error of loss and gradients against the same step in float64, relative to the largest entry:",
        _by_contender(results, _error_cell),
        "Q-Store's step against the machine's limits, and its time per sample, amplitude and gate:",
        _limits(results),
    ]
    return "\n\n".join(parts)


def write_docs(page: Path, results: dict[str, Any]) -> None:
    """Replace what stands between the markers of `page`; raise StoreError when they are missing."""
    text = page.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise StoreError(f"{page} must contain {BEGIN} and {END} once each; put them where the figures belong")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    figures = f"{PICTURE}\n\n{provenance_text(results)}\n\n{tables(results)}"
    write_text(page, f"{before}{BEGIN}\n{figures}\n{END}{after}")


def write_page(page: Path, results: dict[str, Any]) -> None:
    """Write the figures alone, for results that are not the project's own."""
    write_text(page, f"{provenance_text(results)}\n\n{tables(results)}\n")


def provenance_text(results: dict[str, Any]) -> str:
    """On what the figures were measured: a sentence for one run, a list of what was measured where for several."""
    groups: dict[str, dict[str, list[str]]] = {}
    for case in results["cases"]:
        for name, record in case["records"].items():
            groups.setdefault(_origin(record["provenance"]), {}).setdefault(_title(case), []).append(name)
    if len(groups) == 1:
        return f"Measured {next(iter(groups))}."
    whole = {_title(case): len(case["records"]) for case in results["cases"]}
    lines = ["Measured in several runs; a ratio is to Q-Store's step in the peer's own run:", ""]
    for origin, cases in groups.items():
        named = (
            title if len(names) == whole[title] else f"{title} ({', '.join(CONTENDERS[name].title for name in names)})"
            for title, names in cases.items()
        )
        lines.append(f"- {'; '.join(named)}: {origin}")
    return "\n".join(lines)


def largest(error: dict[str, float] | None) -> float | None:
    """The largest of the errors of loss and gradients, NaN if one of them is; None where there is none."""
    return float(np.max(list(error.values()))) if error else None


def _origin(provenance: dict[str, Any]) -> str:
    machine = provenance["machine"]
    listed = ", ".join(f"{name} {number}" for name, number in sorted(provenance["versions"].items()))
    return (
        f"{provenance['date'][:10]} at commit `{(provenance['commit'] or 'unknown')[:12]}` on {machine['cpu']}, "
        f"{machine['cores']} cores, {machine['memory_gb']:.0f} GB, {machine['system']}; {listed}"
    )


def _title(case: dict[str, Any]) -> str:
    return f"n={case['n']} L={case['layers']} B={case['batch']}"


def _ours(case: dict[str, Any]) -> dict[str, Any]:
    record: dict[str, Any] = case["records"][OURS.name]
    return record


def _peers(case: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: record for name, record in case["records"].items() if name != OURS.name}


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---", *["---:"] * (len(headers) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _error_cell(record: dict[str, Any]) -> str:
    error = largest(record.get("error"))
    if error is None:
        return "-"
    return f"{error:.1e}" if error <= TOLERANCE else f"**{error:.1e}**, above {TOLERANCE:g}"


def _step_cell(record: dict[str, Any]) -> str:
    if record.get("ms") is not None:
        ratio = f" ({record['ratio']:.1f}x)" if record.get("ratio") else ""
        return f"{_number(record['ms'])}{ratio}"
    rules = record["provenance"]["rules"]
    known = {OVER_TIME: f"over {rules['limit_s']:.0f} s", OVER_MEMORY: f"over {rules['memory_limit_gb']:.0f} GB"}
    status: str = record["status"]
    return known.get(status, status.split(":")[0])


def _memory(record: dict[str, Any]) -> str:
    if record.get("peak_mb") is None:
        return "-"
    return f"{_number(record['peak_mb'])} ({_number(record['total_mb'])})"


def _by_contender(results: dict[str, Any], cell: Callable[[dict[str, Any]], str]) -> str:
    names = [name for name in CONTENDERS if any(name in case["records"] for case in results["cases"])]
    headers = ["case", *(CONTENDERS[name].title for name in names)]
    rows = [
        [_title(case), *(cell(case["records"][name]) if name in case["records"] else "-" for name in names)]
        for case in results["cases"]
    ]
    return _table(headers, rows)


def _best(results: dict[str, Any]) -> str:
    def least(case: dict[str, Any], key: str, compiled: tuple[bool, ...]) -> str:
        found = [
            record[key]
            for name, record in _peers(case).items()
            if PEERS[name].compiled in compiled and record.get(key) is not None
        ]
        return f"{min(found):.1f}x" if found else "none within the limit"

    rows = []
    for case in results["cases"]:
        peaks = [record["peak_mb"] for record in _peers(case).values() if record.get("peak_mb") is not None]
        memory = f"{min(peaks) / _ours(case)['peak_mb']:.1f}x" if peaks else "none within the limit"
        rows.append([_title(case), least(case, "ratio", (True,)), least(case, "ratio", (False,)), memory])
    return _table(["case", "step, best that compiles", "step, best that does not", "peak memory, best of all"], rows)


def _limits(results: dict[str, Any]) -> str:
    headers = ["case", "step ms", "threads", "GFLOP", "at the multiply-add rate, ms", "part reached", "GB moved",
               "at the bandwidth, ms", "part reached", "ns per sample, amplitude, gate"]  # fmt: skip
    rows = []
    for case in results["cases"]:
        ours = _ours(case)
        work, per_gate = ours["limits"], f"{ours['ns_per_amplitude_and_gate']:.3f}"
        known = ["-"] * 7
        if work:
            known = [
                str(work["threads"]), _number(work["gflop"]), _number(work["flops_ms"]),
                f"{100 * work['part_of_flops']:.0f} %", _number(work["gb"]), _number(work["bytes_ms"]),
                f"{100 * work['part_of_bandwidth']:.0f} %",
            ]  # fmt: skip
        rows.append([_title(case), _number(ours["ms"]), *known, per_gate])
    return _table(headers, rows)


def write_plot(path: Path, results: dict[str, Any]) -> None:
    """Step time over n, of all contenders and against the machine's limits."""
    from matplotlib.figure import Figure

    from quantum_db.reporting.plots import to_svg

    figure = Figure(figsize=(11.0, 4.2), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2)
    cases = results["cases"]
    places = _places(cases)
    _line(left, places, cases, lambda case: _ours(case)["ms"], OURS.title, "#1f5fd0", "o", 2.4)
    for (name, peer), colour, marker in zip(PEERS.items(), COLOURS, "sD^vP", strict=True):
        _line(left, places, cases, lambda case, name=name: case["records"].get(name, {}).get("ms"), peer.title, colour,
              marker)  # fmt: skip
    left.set_title("One training step", loc="left", fontsize=10.5)
    _line(right, places, cases, lambda case: _ours(case)["ms"], OURS.title, "#1f5fd0", "o", 2.4)
    for key, label, marker in (
        ("bytes_ms", "least the bandwidth allows", "s"),
        ("flops_ms", "least the multiply-add rate allows", "D"),
    ):
        _line(
            right, places, cases, lambda case, key=key: (_ours(case)["limits"] or {}).get(key), label, "#8a94a3", marker
        )
    right.set_title("Q-Store against the machine's limits", loc="left", fontsize=10.5)
    for axes in (left, right):
        axes.set_yscale("log")
        axes.set_ylabel("ms")
        axes.set_xticks(places, [f"{case['n']}\nB={case['batch']}" for case in cases])
        axes.set_xlabel("qubits, samples per step")
        axes.grid(axis="y", color="#d9dee6", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8.5)
    write_text(path, to_svg(figure))


def _places(cases: list[dict[str, Any]]) -> list[int]:
    """Where the cases stand on the axis: at their numbers of qubits, or side by side where one stands twice."""
    qubits = [case["n"] for case in cases]
    return qubits if len(set(qubits)) == len(qubits) else list(range(len(qubits)))


def _line(
    axes: Any,
    places: list[int],
    cases: list[dict[str, Any]],
    value: Callable[[dict[str, Any]], float | None],
    label: str,
    colour: str,
    marker: str,
    width: float = 1.4,
) -> None:
    points = [(place, y) for place, case in zip(places, cases, strict=True) if (y := value(case)) is not None]
    if points:
        xs, ys = zip(*points, strict=True)
        axes.plot(xs, ys, color=colour, marker=marker, markersize=5, linewidth=width, label=label)
