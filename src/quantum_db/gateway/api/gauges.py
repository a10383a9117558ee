"""The gauges of /metrics, read from the ledger whenever they are asked for."""

from __future__ import annotations

from collections import Counter

from quantum_db.gateway.api.service import Service
from quantum_db.gateway.ledger.states import JobState
from quantum_db.telemetry.gateway_metrics import QUEUE_LENGTH


def set_gauges(service: Service) -> None:
    """Set every gauge to what the ledger holds now. A target or tenant without anything is 0, not absent."""
    metrics = service.metrics
    lengths = service.queue.queue_length()
    for target in {*service.targets.names(), *lengths}:
        metrics.set(QUEUE_LENGTH, lengths.get(target, 0), (target,))
    by_state: Counter[JobState] = Counter()
    for (_, state), number in service.jobs.counts().items():
        by_state[state] += number
    for state in JobState:
        metrics.set("qstore_gateway_jobs", by_state[state], (state.value,))
    totals = service.accounts.totals()
    for tenant in service.tenants.names():
        reserved, spent = totals.get(tenant, (0, 0))
        metrics.set("qstore_gateway_reserved_usd", float(reserved), (tenant,))
        metrics.set("qstore_gateway_spent_usd", float(spent), (tenant,))
        limit = service.tenants[tenant].limits.usd
        if limit is not None:
            metrics.set("qstore_gateway_remaining_usd", float(limit - reserved - spent), (tenant,))
    metrics.set("qstore_gateway_waiting_requests", service.watcher.count)
