"""`qstore gateway`: IonQ's API over a queue, a ledger and workers of your own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quantum_db.stages.arguments import parser_for, spec_from

DESCRIPTION = """\
Serve IonQ's API v0.4 until interrupted: accept jobs of cirq-ionq, qiskit-ionq,
pennylane-ionq and ionq-core, keep them in a ledger, and hand their circuits to workers
that simulate them or forward them to IonQ. API keys come from QSTORE_GATEWAY_API_KEYS
(tenant:key,tenant2:key2) or the JSON file QSTORE_GATEWAY_API_KEYS_FILE; without any, one
is made and its place is printed."""

EXAMPLES = (
    "qstore gateway --workers 1",
    "qstore gateway --workers 1 --simulate-qpus",
    "qstore gateway --host 0.0.0.0 --database postgresql+pg8000://ledger@db/ledger --upstream-url https://api.ionq.co/v0.4",
)


@dataclass(frozen=True)
class GatewayOptions:
    """The options of `qstore gateway`."""

    host: str = field(default="127.0.0.1", metadata={"help": "address to listen on"})
    port: int = field(default=8765, metadata={"help": "port to listen on"})
    database: str = field(
        default="sqlite:///gateway.db",
        metadata={"help": "the ledger: sqlite:///FILE, or postgresql+pg8000://USER@HOST/NAME"},
    )
    workers: int = field(default=0, metadata={"help": "workers in this process; 0 leaves the work to `qstore worker`"})
    price_table: Path | None = field(default=None, metadata={"help": "JSON file with prices; none means the built-in"})
    upstream_url: str = field(default="", metadata={"help": "IonQ's address, to forward jobs for machines there"})
    simulate_qpus: bool = field(
        default=False, metadata={"help": "play machines on the simulator, with their noise and their prices"}
    )
    long_poll_s: float = field(default=20.0, metadata={"help": "seconds that GET of an unfinished job is held"})
    max_body_mb: float = field(default=12.0, metadata={"help": "largest body of a request, in MiB"})
    idempotency_window_s: float = field(
        default=2.0,
        metadata={"help": "seconds in which an identical body is the same job; 0: never; -1: nor by intent id"},
    )
    inject_faults: Path | None = field(
        default=None, metadata={"help": "JSON plan of faults, to test clients (never in production)"}
    )


def main(arguments: Sequence[str]) -> int:
    """Serve until told to stop."""
    options = spec_from(
        parser_for(GatewayOptions, "qstore gateway", DESCRIPTION, EXAMPLES).parse_args(arguments), GatewayOptions
    )
    from quantum_db.gateway.process import GatewayProcessOptions, run_gateway

    given = GatewayProcessOptions(
        host=options.host,
        port=options.port,
        database=options.database,
        workers=options.workers,
        price_table=options.price_table,
        upstream_url=options.upstream_url,
        simulate_qpus=options.simulate_qpus,
        long_poll_s=options.long_poll_s,
        max_body_mb=options.max_body_mb,
        idempotency_window_s=options.idempotency_window_s,
        inject_faults=options.inject_faults,
    )
    return run_gateway(given, lambda line: print(line, flush=True))
