"""The errors of Q-Store.

Every message says what happened with the offending value, why, and what to do about it. No message carries a
secret or the body of a request. The exit code is what the command line returns for that error.

QStoreError
├── ConfigurationError        a setting, a name or an option is wrong (exit code 2)
│   └── MissingDependencyError    an optional package is needed and not installed (exit code 2)
├── CircuitError              a circuit, gate, slot or observable is malformed (exit code 2)
├── StageInputError           the data or artifacts given to a stage cannot be used (exit code 2)
├── StoreError                a checkpoint, model or record is missing, corrupt or of another run (exit code 2)
├── BackendError              a machine that runs circuits failed (exit code 1)
│   ├── TransientBackendError     it takes nothing for now; nothing was submitted (exit code 1)
│   ├── RejectedJobError          it refused or failed this job (exit code 1)
│   └── LostJobError              whether a job runs, or what became of it, cannot be told now (exit code 1)
├── BudgetExceededError       the next job may cost more than the budget leaves (exit code 3)
├── TrainingError            training cannot go on, for example because the loss is no number (exit code 1)
└── DeploymentError           a model passed its gate but could not be rolled out (exit code 1)
"""

from __future__ import annotations

from typing import ClassVar


class QStoreError(Exception):
    """Base of all errors that Q-Store raises on purpose."""

    exit_code: ClassVar[int] = 1


class ConfigurationError(QStoreError):
    """A setting, a name or an option is wrong."""

    exit_code: ClassVar[int] = 2


class MissingDependencyError(ConfigurationError):
    """An optional package is needed for what was asked and is not installed."""


class CircuitError(QStoreError):
    """A circuit, gate, slot or observable is malformed, or was given values that do not fit it."""

    exit_code: ClassVar[int] = 2


class StageInputError(QStoreError):
    """The data or artifacts given to a stage cannot be used."""

    exit_code: ClassVar[int] = 2


class StoreError(QStoreError):
    """A checkpoint, model or record is missing, corrupt, or belongs to something else."""

    exit_code: ClassVar[int] = 2


class BackendError(QStoreError):
    """A machine that runs circuits, real or simulated, could not complete a batch."""


class TransientBackendError(BackendError):
    """A machine takes nothing for now; nothing was submitted, so the batch may be tried again, here or elsewhere.

    `retry_after_s` is how long the machine asked to wait, in seconds; None when it did not say.
    """

    retry_after_s: float | None = None


class RejectedJobError(BackendError):
    """A machine refused a job or failed it; the same job would be refused again."""


class LostJobError(BackendError):
    """Whether a job runs at the provider, or what became of it, cannot be told now; it is never submitted blindly."""


class BudgetExceededError(QStoreError):
    """The next job may cost more than the budget leaves; nothing was submitted."""

    exit_code: ClassVar[int] = 3


class TrainingError(QStoreError):
    """Training cannot go on; the last checkpoint is kept."""


class DeploymentError(QStoreError):
    """A model passed its gate but its server or its registration failed; the previous version is kept."""
