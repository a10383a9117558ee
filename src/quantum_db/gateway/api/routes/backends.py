"""What there is to send jobs to. These routes need no API key, as IonQ's do not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter

from quantum_db.gateway.api.answers import JsonAnswer, as_text
from quantum_db.gateway.api.errors import ApiError
from quantum_db.gateway.api.schemas import answers
from quantum_db.gateway.api.service import Service
from quantum_db.gateway.targets import ALIASES, MACHINES, Machine

_QIS_GATES = ("x", "y", "z", "h", "s", "si", "t", "ti", "v", "vi", "rx", "ry", "rz", "xx", "yy", "zz", "cnot", "swap",
              "not", "nop", "pauliexp")  # fmt: skip


def backends_router(service: Service) -> APIRouter:
    """Routes below /v0.4/backends."""
    router = APIRouter(prefix="/backends", tags=["Backends"])

    @router.get("", responses=answers(200, "BackendList", 503), summary="List the backends that are not retired")
    async def list_backends() -> JsonAnswer:
        waiting = await service.in_thread(service.queue.queue_length)
        return JsonAnswer([_shown(service, row, waiting) for row in MACHINES.values() if not row.retired])

    @router.get(
        "/{name}", responses=answers(200, "Backend", 404, 503), summary="Look at one backend, also a retired one"
    )
    async def get_backend(name: str) -> JsonAnswer:
        machine = _machine(name)
        return JsonAnswer(_shown(service, machine, await service.in_thread(service.queue.queue_length)))

    @router.get("/{name}/characterizations", responses=answers(200, "CharacterizationList", 404),
                summary="Measurements of a machine; always an empty list here")  # fmt: skip
    async def characterizations(name: str) -> JsonAnswer:
        _machine(name)
        return JsonAnswer({"characterizations": [], "pages": 0})

    @router.get("/{name}/characterizations/{characterization}", responses=answers(None, "", 404),
                summary="One measurement of a machine; this gateway has none")  # fmt: skip
    async def characterization(name: str, characterization: str) -> JsonAnswer:
        machine = _machine(name)
        raise ApiError(404, f"there is no characterization {characterization[:60]!r} of {machine.name}")

    return router


def _machine(name: str) -> Machine:
    found = MACHINES.get(ALIASES.get(name, name)) or MACHINES.get(f"qpu.{name}")
    if found is None:
        raise ApiError(404, f"there is no backend {name[:60]!r}; there are: {', '.join(MACHINES)}")
    return found


def _shown(service: Service, machine: Machine, waiting: dict[str, int]) -> dict[str, Any]:
    here = machine.name in service.targets.names()
    answer = {
        "backend": machine.name,
        "status": "available" if here else "retired" if machine.retired else "unavailable",
        "degraded": False,
        "qubits": machine.qubits,
        # Milliseconds; the ledger knows how many circuits wait, not how long a machine will take for them.
        "average_queue_time": None if waiting.get(machine.name) else 0,
        "waiting_circuits": waiting.get(machine.name, 0),
        "last_updated": as_text(datetime.now(UTC), service.skew_s),
        "has_access": here,
        "supported_gates": list(_QIS_GATES),
        "supported_native_gates": list(machine.native_gates),
    }
    if machine.noise is not None:
        answer["noise_model"] = machine.noise
    return answer
