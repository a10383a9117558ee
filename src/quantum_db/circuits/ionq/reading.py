"""Reads the `input` of a job in IonQ's wire format."""

from __future__ import annotations

from quantum_db.circuits.ionq.program import WireLimits, WireProgram


def read_input(kind: str, given: object, limits: WireLimits | None = None) -> WireProgram:
    """Read the `input` of a job of type `kind` ("ionq.circuit.v1" or "ionq.multi-circuit.v1"), parsed from JSON.

    `given` is not changed. Raises WireError, with IonQ's failure code and the path of the offending place.
    """
    raise NotImplementedError(f"{kind} {given!r} {limits}")
