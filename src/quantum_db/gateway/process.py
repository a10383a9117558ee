"""The process of `qstore gateway`: listen, open the ledger, run the application and, on a laptop, workers beside it."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quantum_db.errors import ConfigurationError
from quantum_db.gateway.faults import read_fault_plan
from quantum_db.gateway.generated_key import GENERATED_TENANT, generated_key
from quantum_db.gateway.recent_programs import RecentPrograms
from quantum_db.gateway.targets import SIMULATOR, SIMULATOR_QUBITS, TargetTable, target_table
from quantum_db.gateway.tenants import Tenants, tenants_from_file, tenants_from_text
from quantum_db.gateway.worker import Worker, WorkerOptions
from quantum_db.pricing import PriceTable, load_price_table
from quantum_db.registry import require_package
from quantum_db.settings import gateway_api_keys, gateway_api_keys_file, log_level, upstream_url
from quantum_db.telemetry.gateway_metrics import GATEWAY_METRICS
from quantum_db.telemetry.prometheus_metrics import PrometheusMetrics

_LOG = logging.getLogger(__name__)
_SECONDS_TO_FINISH = 20
_SECONDS_FOR_WORKERS = 15
_BACKLOG = 2048
_GARBAGE_THRESHOLDS = (100_000, 20, 100)
_LONGEST_HOLD_S = 29.0  # qiskit-ionq gives up on a request after 30 s


@dataclass(frozen=True)
class GatewayProcessOptions:
    """How a gateway is run, as `qstore gateway --help` says; ConfigurationError for values that make no sense."""

    host: str = "127.0.0.1"
    port: int = 8765
    database: str = "sqlite:///gateway.db"
    workers: int = 0
    price_table: Path | None = None
    upstream_url: str = ""
    simulate_qpus: bool = False
    long_poll_s: float = 20.0
    max_body_mb: float = 12.0
    idempotency_window_s: float = 2.0
    inject_faults: Path | None = None
    worker_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks = (
            (1 <= self.port <= 65535, f"port {self.port} is not a TCP port; choose one from 1 to 65535"),
            (0 <= self.workers <= 64, f"--workers is {self.workers}; choose a number from 0 to 64"),
            (
                0 <= self.long_poll_s <= _LONGEST_HOLD_S,
                f"--long-poll-s is {self.long_poll_s:g}; choose 0 to {_LONGEST_HOLD_S:g} seconds, as clients give up "
                "after 30",
            ),
            (
                0.001 <= self.max_body_mb <= 1024,
                f"--max-body-mb is {self.max_body_mb:g}; choose megabytes above 0, up to 1024",
            ),
            (
                self.idempotency_window_s == -1 or 0 <= self.idempotency_window_s <= 3600,
                f"--idempotency-window-s is {self.idempotency_window_s:g}; choose 0 to 3600 seconds, or -1",
            ),
        )
        for fine, message in checks:
            if not fine:
                raise ConfigurationError(message)


def run_gateway(options: GatewayProcessOptions, say: Callable[[str], None]) -> int:
    """Serve until the process is told to stop; return the exit code.

    `say` is given lines for the user: the address, and how to point clients at it. Held requests are answered and
    workers give their leases back before this returns. Raises ConfigurationError, StoreError (the ledger), and whatever
    a worker broke on.
    """
    uvicorn = require_package("uvicorn", "gateway", "The circuit gateway")
    require_package("fastapi", "gateway", "The circuit gateway")
    targets = _targets(options)
    prices = load_price_table(options.price_table)
    with ExitStack() as stack:
        listener = stack.enter_context(listening(options.host, options.port))
        tenants, key_file = read_tenants(options.database)
        service = stack.enter_context(_service(options, tenants, targets, prices))
        from quantum_db.gateway.api.app import create_app

        config = uvicorn.Config(
            create_app(service),
            http=_http_protocol(options.inject_faults is not None),
            log_level=log_level().lower(),
            access_log=False,  # requests are counted at /metrics, and no address is logged
            server_header=False,
            timeout_graceful_shutdown=_SECONDS_TO_FINISH,
        )
        server = uvicorn.Server(config)
        workers = stack.enter_context(_running_workers(options, service, targets, server))
        service.wake_workers = workers.notify
        server.handle_exit = _stopper(server, service)
        _collect_garbage_rarely()
        for line in _welcome(options, key_file, tenants, targets):
            say(line)
        server.run(sockets=[listener])
    return workers.result()


def read_tenants(database: str) -> tuple[Tenants, Path | None]:
    """The tenants from the settings; without any, one with a key made here, and the file that holds it.

    Raises ConfigurationError when both QSTORE_GATEWAY_API_KEYS and QSTORE_GATEWAY_API_KEYS_FILE are set.
    """
    text, file = gateway_api_keys(), gateway_api_keys_file()
    if text and file is not None:
        raise ConfigurationError("QSTORE_GATEWAY_API_KEYS and QSTORE_GATEWAY_API_KEYS_FILE are both set; keep one")
    if file is not None:
        return tenants_from_file(file), None
    if text:
        return tenants_from_text(text), None
    key, path = generated_key(database)
    return tenants_from_text(f"{GENERATED_TENANT}:{key}", str(path)), path


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens on `host` and `port`; ConfigurationError when that cannot be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(
            f"the host {host!r} is not known here ({error}); give an address of this machine, for example 127.0.0.1"
        ) from error
    with socket.socket(family, kind, protocol) as listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {host}, port {port}: {error.strerror}; choose another port or host"
            ) from error
        yield listener


class Workers:
    """Workers in threads of this process. When one breaks, the process ends: it is to be started again."""

    def __init__(self, stop_process: Callable[[], None]) -> None:
        self._stop_process = stop_process
        self._workers: list[Worker] = []
        self._threads: list[threading.Thread] = []
        self._failure: BaseException | None = None

    def start(self, worker: Worker) -> None:
        """Run `worker` in a thread."""
        thread = threading.Thread(target=self._run, args=(worker,), name="gateway-worker", daemon=True)
        self._workers.append(worker)
        self._threads.append(thread)
        thread.start()

    def notify(self) -> None:
        """There is new work."""
        for worker in self._workers:
            worker.notify()

    def stop(self) -> None:
        """Let every worker give its leases back, and wait for that."""
        for worker in self._workers:
            worker.stop()
        for thread in self._threads:
            thread.join(_SECONDS_FOR_WORKERS)

    def result(self) -> int:
        """Exit code 0; raises what a worker broke on."""
        if self._failure is not None:
            raise self._failure
        return 0

    def _run(self, worker: Worker) -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001 - raised again by `result`
            _LOG.error("a worker of this gateway broke, so the gateway stops: %s", error)
            self._failure = self._failure or error
            self._stop_process()


def _targets(options: GatewayProcessOptions) -> TargetTable:
    return target_table(options.simulate_qpus, bool(_upstream(options)), _largest_qubits(options))


def _largest_qubits(options: GatewayProcessOptions) -> int:
    """What a circuit may use: what fits into the memory here, or where workers run elsewhere, what IonQ allows."""
    if options.workers == 0:
        return SIMULATOR_QUBITS
    from quantum_db.gateway.simulation import largest_qubits  # loads torch, which a gateway without workers never needs

    return largest_qubits()


def _collect_garbage_rarely() -> None:
    """A body with 500 circuits makes 100,000 objects without a cycle; looking for cycles would double its time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE_THRESHOLDS)


def _upstream(options: GatewayProcessOptions) -> str:
    return options.upstream_url or ("" if options.simulate_qpus else upstream_url())


@contextmanager
def _service(
    options: GatewayProcessOptions, tenants: Tenants, targets: TargetTable, prices: PriceTable
) -> Iterator[Any]:
    from quantum_db.gateway.api.service import ApiSettings, Service
    from quantum_db.gateway.ledger import Database

    faults = None if options.inject_faults is None else read_fault_plan(options.inject_faults)
    settings = ApiSettings(
        long_poll_s=options.long_poll_s,
        max_body_bytes=int(options.max_body_mb * 2**20),
        idempotency_window_s=options.idempotency_window_s,
    )
    database = Database.open(options.database)
    try:
        yield Service(database, tenants, targets, prices, PrometheusMetrics(GATEWAY_METRICS), settings, faults)
    finally:
        database.close()


@contextmanager
def _running_workers(
    options: GatewayProcessOptions, service: Any, targets: TargetTable, server: Any
) -> Iterator[Workers]:
    def stop_process() -> None:
        server.should_exit = True
        service.watcher.release()

    workers = Workers(stop_process)
    given = WorkerOptions(targets=targets.names(), upstream_url=_upstream(options), **options.worker_options)
    try:
        if options.workers:
            service.programs = RecentPrograms()
        for _ in range(options.workers):
            workers.start(Worker(given, service.database, service.metrics, service.programs))
        yield workers
    finally:
        workers.stop()


def _stopper(server: Any, service: Any) -> Callable[[int, object], None]:
    """What SIGTERM and SIGINT do: answer the held requests, finish the others, then end; a second SIGINT ends at once.

    It takes the place of uvicorn's, which would raise the signal again before the workers have given their leases back.
    """

    def stop(number: int, _: object) -> None:
        service.watcher.release()
        if server.should_exit and number == signal.SIGINT:
            server.force_exit = True
        server.should_exit = True

    return stop


def _http_protocol(droppable: bool) -> Any:
    """uvicorn's HTTP protocol; for fault injection one that lets the application close a connection at once."""
    if not droppable:
        return "h11"
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from quantum_db.gateway.api.middleware import ABORT

    def connection_made(self: Any, transport: Any) -> None:
        H11Protocol.connection_made(self, transport)
        inner = self.app

        async def with_abort(scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("extensions", {})[ABORT] = transport.abort
            await inner(scope, receive, send)

        self.app = with_abort

    return type("DroppableProtocol", (H11Protocol,), {"connection_made": connection_made})


def _welcome(
    options: GatewayProcessOptions, key_file: Path | None, tenants: Tenants, targets: TargetTable
) -> Iterator[str]:
    host = f"[{options.host}]" if ":" in options.host else options.host
    url = f"http://{host}:{options.port}"
    yield f"Circuit gateway on {url}/v0.4 for the tenants {', '.join(tenants.names())}"
    yield f"Targets: {', '.join(targets.names())}"
    if key_file is not None:
        yield f"An API key was made for you; it is in {key_file}"
    yield f'  export IONQ_API_KEY="{"$(cat " + str(key_file) + ")" if key_file else "<your key>"}"'
    yield f"  export CIRQ_IONQ_REMOTE_HOST={url}            # cirq_ionq.Service()"
    yield f"  export IONQ_API_URL={url}/v0.4                # qiskit_ionq.IonQProvider(url=...) with the same address"
    yield f'  pennylane_ionq.api_client.APIClient.BASE_URL = "{url}/v0.4"   # a line of Python'
    if options.workers == 0:
        yield f"No worker runs here; start one with: qstore worker --database <the same> --targets {SIMULATOR}"
    if options.inject_faults is not None:
        yield f"Faults are injected as {options.inject_faults} says: every answer carries X-QStore-Faults: on"
