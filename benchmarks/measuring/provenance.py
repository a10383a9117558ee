"""Where and when a figure was measured, and with which versions."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.measuring.processes import Rules
from quantum_db.tracking.provenance import git_commit, library_versions

DISTRIBUTIONS = ("pennylane", "pennylane-lightning", "jax", "jaxlib", "tensorcircuit-ng")


def provenance(rules: Rules) -> dict[str, Any]:
    """What each record carries: machine, versions, commit, date (UTC), and the rules it was measured by."""
    return {
        "machine": machine(),
        "versions": versions(),
        "commit": git_commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "rules": {"limit_s": rules.limit, "repeats": rules.repeats, "memory_limit_gb": rules.memory_gb},
    }


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
