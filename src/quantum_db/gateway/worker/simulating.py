"""Runs leased circuits on the embedded simulators: those of many jobs as one batch, results in one transaction."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quantum_db.circuits.ionq import WireCircuit, WireError, read_input
from quantum_db.errors import ConfigurationError, QStoreError
from quantum_db.gateway.ledger import CircuitQueue, JobLedger
from quantum_db.gateway.ledger.errors import JobNotFoundError, LeaseLostError, LedgerUnavailableError
from quantum_db.gateway.ledger.records import LeasedTask, ResultKind, TaskResult
from quantum_db.gateway.recent_programs import RecentPrograms
from quantum_db.gateway.simulation import machine_noise, run_exact, run_noisy
from quantum_db.gateway.targets import MACHINES
from quantum_db.gateway.worker.coalescing import HistogramCache
from quantum_db.gateway.worker.leases import Leases
from quantum_db.gateway.worker.options import WorkerOptions
from quantum_db.telemetry.prometheus_metrics import PrometheusMetrics

_LOG = logging.getLogger(__name__)
IDEAL = "ideal"
_AMPLITUDES_AT_ONCE = 2**24  # of all circuits that are run without a look at whether to go on
_RETRY_S = 1.0
_FIRST_IDLE_S = 0.005


class _StoppedError(Exception):
    """The worker is to stop, or lost the task, between two parts of a run."""


@dataclass(frozen=True)
class _Work:
    """One task with its circuits, read."""

    task: LeasedTask
    circuits: Sequence[WireCircuit]
    noise: str
    seed: int

    @property
    def is_exact(self) -> bool:
        return self.noise == IDEAL


class Simulating:
    """One thread's work: lease, simulate, complete, until `stopped`. `wanted` is set when there may be work."""

    def __init__(
        self,
        options: WorkerOptions,
        jobs: JobLedger,
        queue: CircuitQueue,
        leases: Leases,
        metrics: PrometheusMetrics,
        cache: HistogramCache,
        stopped: threading.Event,
        wanted: threading.Event,
        programs: RecentPrograms,
    ) -> None:
        self._options = options
        self._jobs = jobs
        self._queue = queue
        self._leases = leases
        self._metrics = metrics
        self._cache = cache
        self._stopped = stopped
        self._wanted = wanted
        self._programs = programs

    def run(self) -> None:
        """Work until stopped. A ledger that is away is waited for; what it holds then is taken up again later."""
        idle = _FIRST_IDLE_S
        while not self._stopped.is_set():
            try:
                found = self.run_once()
            except LedgerUnavailableError as error:
                _LOG.warning("the ledger is not available: %s", error)
                self._stopped.wait(_RETRY_S)
                continue
            idle = _FIRST_IDLE_S if found else min(2 * idle, self._options.idle_s)
            if not found and self._wanted.wait(idle):
                self._wanted.clear()

    def run_once(self) -> bool:
        """Lease and run what there is at once; whether there was anything."""
        options = self._options
        if not self._queue.waiting(options.simulated):
            return False
        tasks = self._queue.lease(options.worker_id, options.simulated, options.max_circuits, options.lease_s)
        for task in tasks:
            self._leases.hold(task)
        try:
            self._run(tasks)
        finally:
            self._leases.drop(*(task.token for task in tasks))
        return bool(tasks)

    def _run(self, tasks: Sequence[LeasedTask]) -> None:
        inputs: dict[str, Sequence[WireCircuit]] = {}
        exact: list[_Work] = []
        for task in tasks:
            work = self._prepared(task, inputs)
            if work is None:
                continue
            if not work.is_exact:
                self._run_together([work])
                continue
            exact.append(work)
            if sum(_amplitudes(part.circuits) for part in exact) > _AMPLITUDES_AT_ONCE:
                self._run_together(exact)
                exact = []
        self._run_together(exact)

    def _prepared(self, task: LeasedTask, inputs: dict[str, Sequence[WireCircuit]]) -> _Work | None:
        """The task's circuits; None when it cannot be run, which is then in the ledger."""
        if task.forwarded:  # accepted by a gateway with an upstream, of which this worker knows nothing
            _LOG.error(
                "job %s is for an upstream service and this worker has none; start a worker with --upstream-url for %s",
                task.job_id,
                task.target,
            )
            self._give_back(task, self._options.lease_s)
            return None
        if task.details.get("fail_with"):  # only a gateway that was started with --inject-faults writes this
            self._fail(task, str(task.details["fail_with"]), "injected fault")
            return None
        try:
            if task.job_id not in inputs:
                inputs[task.job_id] = self._circuits(task)
            noise = _noise_of(task)
            if noise != IDEAL:
                machine_noise(noise)
        except JobNotFoundError:
            return None  # deleted while it was being leased
        except QStoreError as error:
            self._fail(task, error.code if isinstance(error, WireError) else "InvalidInput", str(error))
            return None
        end = task.first + task.circuits
        if end == task.n_circuits:  # the last task; whoever needs the circuits again reads the ledger
            self._programs.drop(task.job_id)
        circuits = inputs[task.job_id][task.first : end]
        return _Work(task, circuits, noise, _seed_of(task))

    def _circuits(self, task: LeasedTask) -> Sequence[WireCircuit]:
        """All circuits of the task's job."""
        kept = self._programs.get(task.job_id)
        return read_input(task.kind, self._jobs.body(task.job_id)).circuits if kept is None else kept

    def _run_together(self, works: Sequence[_Work]) -> None:
        """Run and complete; when that fails for several together, each on its own, so that one cannot fail another."""
        if not works:
            return
        began = time.perf_counter()
        try:
            histograms = self._exact(works) if works[0].is_exact else [self._noisy(works[0])]
        except _StoppedError:
            self._release(works)
            return
        except (QStoreError, MemoryError, RuntimeError, ValueError) as error:
            self._failed(works, error)
            return
        seconds = time.perf_counter() - began
        kind = ResultKind.PROBABILITIES if works[0].is_exact else ResultKind.COUNTS
        total = sum(len(work.circuits) for work in works)
        results = [
            TaskResult(work.task.token, maps, kind, execution_ms=1000 * seconds * len(maps) / total)
            for work, maps in zip(works, histograms, strict=True)
        ]
        for token in self._queue.complete(results):
            self._leases.lost(token)
        for work in works:
            self._metrics.observe("qstore_gateway_run_seconds", seconds, (work.task.target,))

    def _failed(self, works: Sequence[_Work], error: Exception) -> None:
        if len(works) > 1:
            for work in works:
                self._run_together([work])
            return
        task = works[0].task
        _LOG.warning("circuits of job %s could not be simulated (%s)", task.job_id, type(error).__name__)
        if isinstance(error, WireError):
            self._fail(task, error.code, str(error))
        elif isinstance(error, QStoreError):
            self._fail(task, "SimulationError", str(error))
        elif isinstance(error, MemoryError):
            self._fail(task, "SimulationError", "the simulation did not fit into memory; use fewer qubits or shots")
        else:
            _LOG.error("the simulator failed", exc_info=error)
            self._fail(task, "SimulationError", "the simulator failed; its worker's log says why")

    def _exact(self, works: Sequence[_Work]) -> list[list[Mapping[str, float]]]:
        """Probabilities per task. A circuit that its tenant wants to be run once is looked up, and kept, by digest."""
        found: dict[tuple[str, str], Mapping[str, float]] = {}
        plan: list[list[tuple[str, str] | int]] = []
        fresh: list[WireCircuit] = []
        keys: dict[tuple[str, str], int] = {}
        for work in works:
            places: list[tuple[str, str] | int] = []
            for circuit in work.circuits:
                if not work.task.details.get("coalesce"):
                    places.append(len(fresh))
                    fresh.append(circuit)
                    continue
                key = (work.task.tenant, circuit.digest)
                places.append(key)
                if key in found or key in keys:
                    continue
                known = self._cache.get(key)
                if known is not None:
                    found[key] = known
                else:
                    keys[key] = len(fresh)
                    fresh.append(circuit)
            plan.append(places)
        run = self._in_parts(works, fresh)
        for key, place in keys.items():
            found[key] = run[place]
            self._cache.put(key, run[place])
        return [[run[place] if isinstance(place, int) else found[place] for place in places] for places in plan]

    def _in_parts(self, works: Sequence[_Work], circuits: Sequence[WireCircuit]) -> list[Mapping[str, float]]:
        done: list[Mapping[str, float]] = []
        while len(done) < len(circuits):
            self._check_going_on(works)
            end, amplitudes = len(done), 0
            while end < len(circuits) and (amplitudes == 0 or amplitudes <= _AMPLITUDES_AT_ONCE):
                amplitudes += _amplitudes(circuits[end : end + 1])
                end += 1
            done.extend(run_exact(circuits[len(done) : end]))
        return done

    def _noisy(self, work: _Work) -> list[Mapping[str, float]]:
        """Counts of each circuit, one after the other: their random numbers depend on the circuit's place only."""
        noise, task = machine_noise(work.noise), work.task
        counts: list[Mapping[str, float]] = []
        for index, circuit in enumerate(work.circuits, start=task.first):
            self._check_going_on([work])
            given = (task.noise or {}).get("seed")
            key = (task.tenant, circuit.digest, work.noise, task.shots, given)
            known = self._cache.get(key) if task.details.get("coalesce_sampled") else None
            if known is None:
                known = run_noisy([circuit], noise, task.shots, work.seed, first=index)[0]
                if task.details.get("coalesce_sampled"):
                    self._cache.put(key, known)
            counts.append(known)
        return counts

    def _check_going_on(self, works: Sequence[_Work]) -> None:
        if self._stopped.is_set() or not any(self._leases.holds(work.task.token) for work in works):
            raise _StoppedError

    def _release(self, works: Sequence[_Work]) -> None:
        tokens = [work.task.token for work in works]
        self._leases.drop(*tokens)
        self._queue.release(tokens)

    def _give_back(self, task: LeasedTask, delay_s: float) -> None:
        try:
            self._queue.retry(task.token, delay_s)
        except LeaseLostError:
            self._leases.lost(task.token)

    def _fail(self, task: LeasedTask, code: str, message: str) -> None:
        self._metrics.count("qstore_gateway_errors_total", (code,))
        try:
            self._queue.fail(task.token, code, message)
        except LeaseLostError:
            self._leases.lost(task.token)


def _amplitudes(circuits: Sequence[WireCircuit]) -> int:
    return sum(1 << max(1, len(circuit.active)) for circuit in circuits)


def _noise_of(task: LeasedTask) -> str:
    """The name of the noise model that the job asked for, else the one of the machine that is played."""
    named = (task.noise or {}).get("model")
    if named:
        return str(named)
    machine = MACHINES.get(task.target)
    if machine is None or machine.noise is None:  # without noise it would be believed to be the machine
        raise ConfigurationError(
            f"the noise of {task.target} is not published, so it cannot be played; name a model in noise.model"
        )
    return machine.noise


def _seed_of(task: LeasedTask) -> int:
    """The job's own seed, else one from its id: a task that is run again gives the same counts."""
    given = (task.noise or {}).get("seed")
    if isinstance(given, int):
        return given
    return int.from_bytes(hashlib.sha256(task.job_id.encode()).digest()[:4], "big")
