"""What can be chosen about jobs at IonQ, beside circuits, shots and seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from quantum_db.errors import ConfigurationError

SIMULATOR = "simulator"
NOISE_MODELS = ("ideal", "aria-1", "aria-2", "forte-1", "forte-enterprise-1", "harmony", "harmony-1", "harmony-2")
"""Noise models of IonQ's cloud simulator (https://docs.ionq.com/guides/simulation-with-noise-models)."""
RETIRED = {
    "qpu.aria-1": "qpu.forte-1",
    "qpu.aria-2": "qpu.forte-1",
    "qpu.harmony": "qpu.forte-1",
    "qpu.harmony-1": "qpu.forte-1",
    "qpu.aria": "qpu.forte-1",
}
"""Machines that IonQ has switched off, and what to use instead."""
ALIASES = {"qpu.forte": "qpu.forte-1", "qpu.forte-enterprise": "qpu.forte-enterprise-1"}
"""Short names of machines, as in older documents."""


@dataclass(frozen=True)
class IonQOptions:
    """How jobs are run.

    `noise_model`: of the simulator; "ideal" gives exact probabilities. `debiasing`: IonQ's own error mitigation; it
    raises the minimum price several times over (facts: docs/ionq.md), so it is off unless asked for, and always sent.
    `optimization`: how far IonQ's compiler may rewrite circuits (0 or 1; None leaves it to IonQ); circuits that must
    run as written get 0. `native` compiles here, to the gates of the machine ("zz" for Forte, "ms" for Aria), instead
    of in the cloud. `session_id`: a session at the provider, whose limits hold for every job.
    """

    noise_model: str = "ideal"
    debiasing: bool = False
    optimization: Literal[0, 1] | None = None
    native: Literal["zz", "ms"] | None = None
    session_id: str = ""

    def __post_init__(self) -> None:
        if self.noise_model not in NOISE_MODELS:
            raise ConfigurationError(f"unknown noise model {self.noise_model!r}; IonQ has: {', '.join(NOISE_MODELS)}")
        if not isinstance(self.debiasing, bool):
            raise ConfigurationError(f"debiasing is True or False, got {self.debiasing!r}")
        if self.optimization not in (None, 0, 1):
            raise ConfigurationError(f"optimization is 0, 1 or None, got {self.optimization!r}")
        if self.native not in (None, "zz", "ms"):
            raise ConfigurationError(f"native is 'zz' (Forte), 'ms' (Aria) or None, got {self.native!r}")

    def check_target(self, target: str) -> str:
        """The full name of `target`; ConfigurationError for an option that it would ignore."""
        name = ALIASES.get(target, target)
        if name != SIMULATOR and self.noise_model != "ideal":
            raise ConfigurationError(
                f"noise_model is {self.noise_model!r}, but {target} is a machine with noise of its own; use the "
                f"target 'simulator', or leave noise_model out"
            )
        if name == SIMULATOR and self.debiasing:
            raise ConfigurationError("debiasing is for machines; the target 'simulator' would ignore it. Leave it out")
        return name

    def for_results(self) -> Mapping[str, Any]:
        """What results depend on, as JSON: part of a job's digest."""
        return {
            "noise_model": self.noise_model,
            "debiasing": self.debiasing,
            "optimization": self.optimization,
            "native": self.native,
        }
