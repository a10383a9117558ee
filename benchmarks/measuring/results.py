"""The file of results: one record per case and contender, so that a table can be measured in several runs.

{"layout": 2, "cases": [{"n", "layers", "batch", "gates", "records": {contender: record}}]}, cases sorted by size. A
record has a "status", its figures, and in "provenance" the machine, versions, commit, date and rules of its own run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.measuring.processes import OVER_MEMORY, OVER_TIME
from benchmarks.measuring.work import Case
from quantum_db.errors import StoreError
from quantum_db.files import read_json, write_json

LAYOUT = 2
NOT_INSTALLED = "not installed"


def read_results(path: Path) -> dict[str, Any]:
    """The results in `path`; StoreError when it is missing, no JSON, or of another layout."""
    results: dict[str, Any] = read_json(path)
    if not isinstance(results, dict) or results.get("layout") != LAYOUT:
        raise StoreError(
            f"{path} does not hold results of layout {LAYOUT} of this benchmark; name another file with --output, or "
            f"move this one away and measure anew"
        )
    return results


def add_record(path: Path, case: Case, contender: str, record: dict[str, Any]) -> dict[str, Any]:
    """Put one record into the file, which is read anew and made if missing; return all results.

    Other records stay. So does an older one of the same case and contender that says more, see `replaces`.
    """
    results: dict[str, Any] = read_results(path) if path.exists() else {"layout": LAYOUT, "cases": []}
    sizes = (case.n, case.layers, case.batch)
    place = next((known for known in results["cases"] if _sizes(known) == sizes), None)
    if place is None:
        place = {"n": case.n, "layers": case.layers, "batch": case.batch, "gates": case.gates, "records": {}}
        results["cases"] = sorted([*results["cases"], place], key=_sizes)
    known = place["records"].get(contender)
    if known is None or replaces(record, known):
        place["records"][contender] = record
        write_json(path, results)
    return results


def replaces(new: dict[str, Any], old: dict[str, Any]) -> bool:
    """Whether `new` is to stand for `old`: the newer one, unless it only says that it was given less.

    A peer that is not installed, or that was ended after less time or at less memory than the known record was
    allowed, says nothing new.
    """
    if new["status"].startswith(NOT_INSTALLED):
        return bool(old["status"].startswith(NOT_INSTALLED))
    if new.get("ms") is not None:
        return True
    allowed, before = new["provenance"]["rules"], old["provenance"]["rules"]
    if new["status"] == OVER_TIME:
        return bool(allowed["limit_s"] >= before["limit_s"])
    if new["status"] == OVER_MEMORY:
        return bool((allowed["memory_limit_gb"] or 1e9) >= (before["memory_limit_gb"] or 1e9))
    return True


def _sizes(case: dict[str, Any]) -> tuple[int, int, int]:
    return case["n"], case["layers"], case["batch"]
