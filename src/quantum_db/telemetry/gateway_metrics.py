"""The table of metrics of the circuit gateway and of its workers (`qstore gateway`, `qstore worker`).

Gauges are read from the ledger whenever /metrics is asked for, so that several gateways on one database tell the same;
counters and histograms belong to the process that exports them. Labels take few values: a target is one of the
gateway's, an error a code of the closed list in IonQ's API.
"""

from __future__ import annotations

from quantum_db.telemetry.metrics import Metric

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_MILLISECONDS_TO_A_DAY = (
    0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0, 86400.0,
)  # fmt: skip

QUEUE_LENGTH = "quantum_circuit_queue_length"
"""The gauge that workers are scaled on."""

GATEWAY_METRICS: tuple[Metric, ...] = (
    Metric(QUEUE_LENGTH, "gauge", "Circuits waiting for a worker or in its hands, by target.", ("target",)),
    Metric("qstore_gateway_jobs", "gauge", "Jobs in the ledger, by status.", ("status",)),
    Metric("qstore_gateway_reserved_usd", "gauge", "US dollars reserved for unfinished jobs, by tenant.", ("tenant",)),
    Metric("qstore_gateway_spent_usd", "gauge", "US dollars charged for finished jobs, by tenant.", ("tenant",)),
    Metric(
        "qstore_gateway_remaining_usd",
        "gauge",
        "US dollars that a tenant with a limit may still spend.",
        ("tenant",),
    ),
    Metric("qstore_gateway_waiting_requests", "gauge", "Requests held open until their job ends."),
    Metric(
        "qstore_gateway_requests_total",
        "counter",
        "Requests answered by the gateway, by route, method and status.",
        ("route", "method", "status"),
    ),
    Metric(
        "qstore_gateway_request_seconds",
        "histogram",
        "Seconds from a request's arrival to the end of its answer, by route; without requests held for a job.",
        ("route",),
        _SECONDS,
    ),
    Metric("qstore_gateway_circuits_total", "counter", "Circuits accepted, by target.", ("target",)),
    Metric("qstore_gateway_jobs_joined_total", "counter", "Repeated submissions that were given their first job."),
    Metric("qstore_gateway_faults_total", "counter", "Faults injected on request, by kind.", ("kind",)),
    Metric(
        "qstore_gateway_queue_wait_seconds",
        "histogram",
        "Seconds from a job's acceptance to its first lease, by target.",
        ("target",),
        _MILLISECONDS_TO_A_DAY,
    ),
    Metric(
        "qstore_gateway_run_seconds",
        "histogram",
        "Seconds from a task's lease to its result, by target.",
        ("target",),
        _MILLISECONDS_TO_A_DAY,
    ),
    Metric(
        "qstore_gateway_errors_total",
        "counter",
        "Tasks and requests that failed, by IonQ's failure code or the kind of trouble.",
        ("type",),
    ),
    Metric(
        "qstore_gateway_upstream_seconds",
        "histogram",
        "Seconds one call of the upstream service took, by operation.",
        ("operation",),
        _SECONDS,
    ),
    Metric(
        "qstore_gateway_upstream_errors_total",
        "counter",
        "Calls of the upstream service that gave no answer to work with, by operation and kind.",
        ("operation", "kind"),
    ),
    Metric(
        "qstore_gateway_upstream_adopted_total",
        "counter",
        "Upstream jobs found again by their intent id after an uncertain submit.",
    ),
    Metric("qstore_gateway_upstream_waiting", "gauge", "Upstream jobs that this worker waits for."),
    Metric("qstore_gateway_leases_lost_total", "counter", "Tasks whose lease ran out before their result came."),
)
