"""What a worker is told."""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass, field

from quantum_db.errors import ConfigurationError
from quantum_db.gateway.upstream import UpstreamOptions
from quantum_db.settings import upstream_api_key

QPU_PREFIX = "qpu."


def new_worker_id() -> str:
    """A name for the leases of one worker: where it runs, and something that no other worker has."""
    return f"{socket.gethostname()[:40]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker works. Times in seconds.

    `targets`: what it leases. With an `upstream_url` those whose name begins with `qpu.` are forwarded there, and the
    others are simulated here; without one all are simulated. `lease_s`: after how long without a sign of life another
    worker takes its circuits. `concurrency`: threads that simulate. `max_circuits`: leased at once by each of them.
    `max_waiting`: upstream jobs held at once. `idle_s`: the longest pause between looks for work.
    `settle_s`, `submit_s`, `poll_s`, `poll_longest_s`, `requests_per_s`: see UpstreamOptions.
    `stop_s`: how long a stopping worker finishes what it has begun.
    """

    targets: tuple[str, ...]
    upstream_url: str = ""
    lease_s: float = 30.0
    concurrency: int = 1
    max_circuits: int = 2000
    max_waiting: int = 5000
    idle_s: float = 0.5
    settle_s: float = 60.0
    submit_s: float = 30.0
    poll_s: float = 1.0
    poll_longest_s: float = 30.0
    requests_per_s: float = 10.0
    stop_s: float = 5.0
    worker_id: str = field(default_factory=new_worker_id)

    def __post_init__(self) -> None:
        if not self.targets:
            raise ConfigurationError("a worker without targets would do nothing; name some, for example simulator")
        for name in ("lease_s", "idle_s", "poll_s", "stop_s", "concurrency", "max_circuits", "max_waiting"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be above 0")
        if self.poll_longest_s < self.poll_s:
            raise ConfigurationError(
                f"the longest time between polls, {self.poll_longest_s:g} s, is below the first, {self.poll_s:g} s"
            )

    @property
    def forwarded(self) -> tuple[str, ...]:
        """The targets whose jobs go upstream."""
        return tuple(name for name in self.targets if self.upstream_url and name.startswith(QPU_PREFIX))

    @property
    def simulated(self) -> tuple[str, ...]:
        """The targets whose jobs run here."""
        return tuple(name for name in self.targets if name not in self.forwarded)

    def upstream(self) -> UpstreamOptions:
        """How the upstream is asked, with the key from IONQ_API_KEY or its file; ConfigurationError without one."""
        return UpstreamOptions(
            url=self.upstream_url,
            api_key=upstream_api_key(),
            requests_per_s=self.requests_per_s,
            burst=max(1, round(2 * self.requests_per_s)),
            submit_s=self.submit_s,
            settle_s=self.settle_s,
            poll_first_s=self.poll_s,
            poll_longest_s=self.poll_longest_s,
        )
