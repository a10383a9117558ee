"""What the API says of its targets: which there are, their limits, queues, fidelities and calibrations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from quantum_db.backends.ionq.client import IonQClient, MissingJobError
from quantum_db.backends.ionq.options import RETIRED, SIMULATOR
from quantum_db.backends.remote import TargetLimits, TargetReport
from quantum_db.errors import ConfigurationError

MAX_CIRCUITS, MAX_GATES, MAX_BODY_BYTES, MAX_SHOTS = 5_000, 150_000, 10_000_000, 1_000_000
"""Limits of one job that IonQ states in its documents and not in its API (docs/ionq.md has the sources)."""
_AVAILABLE = frozenset({"available", "running", "online", "ready"})


def find_target(client: IonQClient, target: str) -> Mapping[str, Any]:
    """What the API says of `target`; ConfigurationError when it is unknown or retired, with what to use instead."""
    try:
        answer = client.get(f"/backends/{quote(target, safe='')}")
    except MissingJobError:
        answer = None
    if not isinstance(answer, Mapping):
        known = ", ".join(sorted(str(entry.get("backend")) for entry in list_targets(client)))
        instead = f"; it is retired, use {RETIRED[target]!r}" if target in RETIRED else ""
        raise ConfigurationError(f"{client.url} has no target {target!r}{instead}; it has: {known}")
    if answer.get("status") == "retired":
        raise ConfigurationError(
            f"{target} is retired; use {RETIRED.get(target, 'qpu.forte-1')!r}, or 'simulator' with its noise model"
        )
    return answer


def list_targets(client: IonQClient) -> list[Mapping[str, Any]]:
    """What the API says of all its targets."""
    answer = client.get("/backends")
    entries = answer.get("backends", []) if isinstance(answer, Mapping) else answer
    return [entry for entry in entries if isinstance(entry, Mapping)]


def limits_of(answer: Mapping[str, Any]) -> TargetLimits:
    """The limits of one job on a target that `find_target` found."""
    qubits = answer.get("qubits")
    return TargetLimits(
        max_circuits=MAX_CIRCUITS,
        max_gates=MAX_GATES,
        max_body_bytes=MAX_BODY_BYTES,
        max_qubits=qubits if isinstance(qubits, int) else None,
        min_shots=1,
        max_shots=MAX_SHOTS,
    )


def report_of(target: str, answer: Mapping[str, Any]) -> TargetReport:
    """The state of a target that `find_target` found; queue times in the API are milliseconds."""
    status = str(answer.get("status") or "unknown")
    queue = answer.get("average_queue_time")
    fidelity = answer.get("fidelity") or {}
    available = status in _AVAILABLE and not answer.get("degraded_unavailable")
    return TargetReport(
        target=target,
        available=available or target == SIMULATOR,
        status=status,
        queue_s=queue / 1000 if isinstance(queue, (int, float)) else None,
        n_qubits=answer.get("qubits"),
        one_qubit_fidelity=_median(fidelity.get("1q")),
        two_qubit_fidelity=_median(fidelity.get("2q")),
        calibration=calibration_of(answer),
        details={name: value for name, value in answer.items() if isinstance(value, (str, int, float, bool))},
    )


def calibration_of(answer: Mapping[str, Any]) -> str:
    """The id of the calibration (IonQ: characterization) in force, "" where the target has none."""
    for name in ("characterization_id", "characterization_url", "calibration"):
        stated = answer.get(name)
        if isinstance(stated, str) and stated:
            return stated.rstrip("/").rsplit("/", 1)[-1]
    return ""


def _median(entry: Any) -> float | None:
    value = entry.get("median", entry.get("mean")) if isinstance(entry, Mapping) else entry
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
