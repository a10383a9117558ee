"""The JSON schemas of the OpenAPI document, and how routes refer to them.

Bodies are not parsed by these schemas (a job may have thousands of circuits); tests hold the application against them.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from quantum_db.gateway.api.submission import DEFAULT_SHOTS, JOB_TYPES, MAX_NOISE_SEED, MAX_SHOTS

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER: Schema = {"type": "number"}
_NUMBER_OR_NULL: Schema = {"type": ["number", "null"]}
_ANYTHING: Schema = {"type": "object"}
_STATUS: Schema = {"type": "string", "enum": ["submitted", "ready", "started", "completed", "failed", "canceled"]}
_SHOTS: Schema = {
    "oneOf": [
        {"type": "integer", "minimum": 1, "maximum": MAX_SHOTS},
        {"type": "string", "pattern": "^0*([1-9][0-9]{0,5}|1000000)$", "maxLength": 20},
        {"type": "null"},
    ],
    "default": DEFAULT_SHOTS,
}
_SHARES: Schema = {"type": "object", "minProperties": 1, "propertyNames": {"pattern": "^[0-9]+$"}}


def _object(required: dict[str, Schema], optional: dict[str, Schema] | None = None, **more: Any) -> Schema:
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}, **more}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _nullable(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_NOISE = _object(
    {},
    {"model": _TEXT_OR_NULL, "seed": {"type": ["integer", "null"], "minimum": 0, "maximum": MAX_NOISE_SEED}},
)
_MONEY = _object({"value": _NUMBER, "unit": _TEXT})
_GATE: Schema = {
    "type": "object",
    "description": "IonQ's gate objects: gate, target|targets, control|controls, rotation, phase, phases, angle, ...",
    "required": ["gate"],
    "properties": {"gate": _TEXT},
}
_CIRCUIT_FIELDS: dict[str, Schema] = {
    "gateset": {"type": "string", "enum": ["qis", "native"]},
    "qubits": {"type": "integer", "minimum": 1},
    "name": _TEXT_OR_NULL,
    "circuit": _list(_GATE),
}
_JOB_FIELDS: dict[str, Schema] = {
    "name": {"type": ["string", "null"], "maxLength": 255},
    "shots": _SHOTS,
    "metadata": {"type": ["object", "null"], "description": "returned unchanged"},
    "noise": _nullable(_NOISE),
    "settings": {"type": ["object", "null"]},
    "session_id": {"type": ["string", "null"], "maxLength": 36},
    "dry_run": {"type": ["boolean", "null"]},
}
_SESSION_SETTINGS = _object(
    {},
    {
        "job_count_limit": {"type": ["integer", "null"], "minimum": 1, "maximum": 10**6},
        "duration_limit_min": {"type": ["integer", "null"], "minimum": 1, "maximum": 525600},
        "cost_limit": {
            "type": ["object", "null"],
            "required": ["value"],
            "properties": {"value": {"type": "number", "minimum": 0, "maximum": 10**9}, "unit": {"enum": ["usd"]}},
        },
    },
)

_STATS = _object({"qubits": _COUNT, "circuits": _COUNT, "gate_counts": _object({"1q": _COUNT, "2q": _COUNT})})
_USAGE_ROW = _object({"from": _TEXT, "amount": _NUMBER, "job_count": _COUNT, "group_usages": _list(_ANYTHING)})

SCHEMAS: dict[str, Schema] = {
    "Error": _object(
        {"statusCode": {"type": "integer"}, "error": _TEXT, "message": _TEXT},
        {"validation": _object({"keys": _list(_TEXT), "source": _TEXT})},
    ),
    "JobSubmission": _object(
        {
            "type": {"type": "string", "enum": list(JOB_TYPES)},
            "backend": _TEXT,
            "input": {
                "type": "object",
                "description": "one `circuit`, or `circuits` that may override gateset and qubits",
                "properties": {**_CIRCUIT_FIELDS, "circuits": _list(_object({}, _CIRCUIT_FIELDS))},
            },
        },
        {**_JOB_FIELDS, "project_id": {"type": ["string", "null"], "maxLength": 100}},
    ),
    "JobClone": _object({}, {**_JOB_FIELDS, "backend": _TEXT}),
    "JobCreated": _object({"id": _TEXT, "status": _STATUS, "session_id": _TEXT_OR_NULL}),
    "JobIds": _object({"ids": {**_list(_TEXT), "minItems": 1, "maxItems": 1000}}),
    "JobDeleted": _object({"id": _TEXT, "status": {"enum": ["deleted"]}}),
    "JobsDeleted": _object({"ids": _list(_TEXT), "status": {"enum": ["deleted"]}}),
    "JobCanceled": _object({"id": _TEXT, "status": {"enum": ["canceled"]}}),
    "JobsCanceled": _object({"ids": _list(_TEXT), "status": {"enum": ["canceled"]}}),
    "Job": _object(
        {
            "id": _TEXT,
            "status": _STATUS,
            "type": {"type": "string", "enum": list(JOB_TYPES)},
            "backend": _TEXT,
            "dry_run": {"type": "boolean"},
            "submitter_id": _TEXT,
            "project_id": _TEXT_OR_NULL,
            "parent_job_id": _TEXT_OR_NULL,
            "child_job_ids": {**_list(_TEXT), "type": ["array", "null"]},
            "session_id": _TEXT_OR_NULL,
            "metadata": _ANYTHING,
            "name": _TEXT_OR_NULL,
            "submitted_at": _TEXT,
            "started_at": _TEXT_OR_NULL,
            "completed_at": _TEXT_OR_NULL,
            "predicted_wait_time_ms": _NUMBER_OR_NULL,
            "predicted_execution_duration_ms": _NUMBER_OR_NULL,
            "execution_duration_ms": _NUMBER_OR_NULL,
            "shots": _COUNT,
            "settings": _ANYTHING,
            "stats": _STATS,
            "results": {"type": ["object", "null"]},
            "output": _ANYTHING,
        },
        {
            "failure": {
                **_nullable(_object({"code": _TEXT, "message": _TEXT, "error": _TEXT})),
                "description": "left out for cirq-ionq when it is null",
            },
            "noise": _NOISE,
            "cost": _object(
                {"estimated": _TEXT_OR_NULL, "reserved": _TEXT_OR_NULL, "charged": _TEXT_OR_NULL, "unit": _TEXT}
            ),
        },
    ),
    "JobList": _object({"jobs": _list(_ref("Job"))}, {"next": _TEXT_OR_NULL}),
    "Probabilities": {
        "description": "{outcome: probability}; of a multi-circuit job {child job id: {outcome: probability}}",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"anyOf": [_NUMBER, {**_SHARES, "additionalProperties": _NUMBER}]},
    },
    "Histogram": {
        "description": "{outcome: count}; of a multi-circuit job {child job id: {outcome: count}}",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"anyOf": [_COUNT, {**_SHARES, "additionalProperties": _COUNT}]},
    },
    "Shots": _list({"type": "string", "pattern": "^[0-9]+$"}),
    "Artifact": {"type": ["object", "array"]},
    "Backend": _object(
        {
            "backend": _TEXT,
            "status": {"type": "string", "enum": ["available", "unavailable", "retired"]},
            "degraded": {"type": "boolean"},
            "qubits": _COUNT,
            "average_queue_time": _NUMBER_OR_NULL,
            "last_updated": _TEXT,
            "has_access": {"type": "boolean"},
        },
        {
            "waiting_circuits": _COUNT,
            "supported_gates": _list(_TEXT),
            "supported_native_gates": _list(_TEXT),
            "noise_model": _TEXT,
        },
    ),
    "BackendList": _list(_ref("Backend")),
    "CharacterizationList": _object({"characterizations": _list(_ANYTHING), "pages": _COUNT}),
    "SessionRequest": _object({"backend": _TEXT}, {"settings": _nullable(_SESSION_SETTINGS)}),
    "Session": _object(
        {
            "id": _TEXT,
            "created_at": _TEXT,
            "organization_id": _TEXT,
            "backend": _TEXT,
            "project_id": _TEXT_OR_NULL,
            "creator_id": _TEXT,
            "started_at": _TEXT_OR_NULL,
            "ended_at": _TEXT_OR_NULL,
            "ender_id": _TEXT_OR_NULL,
            "end_reason": _TEXT_OR_NULL,
            "active": {"type": "boolean"},
            "status": {"type": "string", "enum": ["created", "started", "ended"]},
            "settings": _ANYTHING,
            "jobs": _COUNT,
            "cost": _ANYTHING,
        }
    ),
    "SessionList": _object({"organization_id": _TEXT, "sessions": _list(_ref("Session"))}),
    "Whoami": _object({"key_id": _TEXT, "key_name": _TEXT, "project_id": _TEXT}),
    "Cost": _object({"dry_run": {"type": "boolean"}}, {"estimated_cost": _MONEY, "cost": _MONEY}),
    "Estimate": _object(
        {
            "estimate_context": _ANYTHING,
            "input_values": _ANYTHING,
            "estimated_at": _TEXT,
            "estimated_unit": _TEXT,
            "cost_unit": _TEXT,
            "rate_card": _ANYTHING,
            "rate_information": _ANYTHING,
            "estimated_total_cost": _NUMBER,
            "estimated_cost": _NUMBER,
            "lowest_cost": _NUMBER,
            "highest_cost": _NUMBER,
            "price_model": _TEXT,
        }
    ),
    "Usage": _object(
        {
            "organization": _TEXT,
            "group_type": _TEXT,
            "modality": _TEXT,
            "usage_unit": _TEXT,
            "job_count": _COUNT,
            "amount_total": _NUMBER,
            "usage_from": _TEXT,
            "usage_to": _TEXT,
            "usage_data": _list(_USAGE_ROW),
        }
    ),
    "Health": _object({"status": {"enum": ["ok"]}}),
    "Ready": _object({"ready": {"type": "boolean"}}),
}  # fmt: skip

_WHY = {
    400: "the request is malformed, or does not fit the backend",
    401: "the API key is missing or unknown",
    402: "the job may cost more than the tenant or the session has left",
    404: "there is no such thing, or it belongs to somebody else",
    409: "the job has ended otherwise already",
    413: "the body is too large",
    429: "too many unfinished jobs or shots; try again after Retry-After seconds",
    503: "the database does not answer; try again after Retry-After seconds",
}


def answers(status: int | None, schema: str, *errors: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: what it answers when all is well (None: never), and its errors."""
    found: dict[int | str, dict[str, Any]] = {}
    if status is not None:
        found[status] = _described(HTTPStatus(status).phrase, schema)
    return {**found, **{error: _described(_WHY[error], "Error") for error in errors}}


def body_of(schema: str, required: bool = True) -> dict[str, Any]:
    """The `openapi_extra` of a route with a JSON body, which is read without regard to its content type."""
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": _ref(schema)}}}}


def _described(text: str, schema: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": _ref(schema)}}}
