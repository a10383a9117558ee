"""`qstore worker`: runs circuits that gateways have accepted."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from quantum_db.errors import ConfigurationError
from quantum_db.registry import require_package
from quantum_db.stages.arguments import parser_for, spec_from

if TYPE_CHECKING:
    from quantum_db.gateway.worker import Worker, WorkerOptions
    from quantum_db.telemetry.prometheus_metrics import PrometheusMetrics

_LOG = logging.getLogger(__name__)
_LOOK_S = 0.1

DESCRIPTION = """\
Run circuits that gateways on the same database have accepted: simulate them here, or
forward jobs for machines (qpu.*) to an upstream IonQ API and bring their results back.
SIGTERM gives unfinished work back and ends the worker within seconds; an upstream job
goes on and is taken over by another worker."""

EXAMPLES = (
    "qstore worker --database sqlite:///gateway.db",
    "IONQ_API_KEY=... qstore worker --database sqlite:///gateway.db --targets qpu.forte-1 "
    "--upstream-url https://api.ionq.co",
)


@dataclass(frozen=True)
class WorkerCommandOptions:
    """The options of `qstore worker`. Times in seconds."""

    database: str = field(metadata={"help": "the gateway's database: sqlite:///PATH or postgresql+pg8000://..."})
    targets: str = field(default="simulator", metadata={"help": "targets to work for, separated by commas"})
    upstream_url: str = field(
        default="", metadata={"help": "where qpu.* jobs are forwarded; QSTORE_UPSTREAM_URL when not given"}
    )
    concurrency: int = field(default=1, metadata={"help": "threads that simulate"})
    lease_s: float = field(
        default=30.0, metadata={"help": "seconds without a sign of life after which others take over its circuits"}
    )
    settle_s: float = field(
        default=60.0, metadata={"help": "seconds after which a submission without an answer is looked for upstream"}
    )
    submit_s: float = field(default=30.0, metadata={"help": "seconds after which a submission is given up"})
    poll_s: float = field(default=1.0, metadata={"help": "seconds between the first polls of an upstream job"})
    poll_longest_s: float = field(default=30.0, metadata={"help": "seconds between its polls at most"})
    requests_per_s: float = field(default=10.0, metadata={"help": "requests to the upstream per second at most"})
    metrics_port: int = field(default=0, metadata={"help": "port of /metrics and /health; 0: none"})
    metrics_host: str = field(default="127.0.0.1", metadata={"help": "address that they listen on"})


def main(arguments: Sequence[str]) -> int:
    """Work until told to stop."""
    options = spec_from(
        parser_for(WorkerCommandOptions, "qstore worker", DESCRIPTION, EXAMPLES).parse_args(arguments),
        WorkerCommandOptions,
    )
    for package in ("sqlalchemy", "httpx", "msgspec"):
        require_package(package, "gateway", "The worker")
    from quantum_db.gateway.ledger import Database
    from quantum_db.gateway.worker import Worker
    from quantum_db.telemetry.gateway_metrics import GATEWAY_METRICS
    from quantum_db.telemetry.prometheus_metrics import PrometheusMetrics

    worker_options = _worker_options(options)
    metrics = PrometheusMetrics(GATEWAY_METRICS)
    database = Database.open(options.database)
    try:
        worker = Worker(worker_options, database, metrics)
        with _metrics(options, metrics):
            _LOG.info("worker %s works for %s", worker_options.worker_id, ", ".join(worker_options.targets))
            run_until_told_to_stop(worker)
    finally:
        database.close()
    return 0


def _worker_options(options: WorkerCommandOptions) -> WorkerOptions:
    from quantum_db.gateway.targets import MACHINES
    from quantum_db.gateway.worker import WorkerOptions
    from quantum_db.settings import upstream_url

    targets = tuple(dict.fromkeys(name.strip() for name in options.targets.split(",") if name.strip()))
    for name in targets:
        if name not in MACHINES:
            raise ConfigurationError(f"unknown target {name!r} in --targets; known: {', '.join(MACHINES)}")
    return WorkerOptions(
        targets=targets,
        upstream_url=options.upstream_url or upstream_url(),
        lease_s=options.lease_s,
        concurrency=options.concurrency,
        settle_s=options.settle_s,
        submit_s=options.submit_s,
        poll_s=options.poll_s,
        poll_longest_s=options.poll_longest_s,
        requests_per_s=options.requests_per_s,
    )


@contextlib.contextmanager
def _metrics(options: WorkerCommandOptions, metrics: PrometheusMetrics) -> Iterator[None]:
    from quantum_db.gateway.worker.metrics_server import metrics_served

    if options.metrics_port == 0:
        yield
        return
    with metrics_served(metrics, options.metrics_host, options.metrics_port) as port:
        _LOG.info("metrics on http://%s:%d/metrics", options.metrics_host, port)
        yield


def run_until_told_to_stop(worker: Worker) -> None:
    """Run `worker` until SIGTERM or an interrupt, then stop it; a second signal ends the process at once."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001 - raised again below, in the main thread
            failures.append(error)

    def tell(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        asked.append(number)

    asked: list[int] = []  # not an event: its lock may be held by the very code that the signal interrupts
    before = {number: signal.signal(number, tell) for number in (signal.SIGTERM, signal.SIGINT)}
    thread = threading.Thread(target=run, name="qstore-worker", daemon=True)
    try:
        thread.start()
        while thread.is_alive() and not asked:
            thread.join(_LOOK_S)
        if asked:
            _LOG.info("told to stop: giving unfinished work back")
            worker.stop()
        thread.join()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if failures:
        raise failures[0]
