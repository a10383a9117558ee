"""The errors of the ledger; `quantum_db.errors` has the tree they hang in."""

from __future__ import annotations

from quantum_db.errors import QStoreError, StoreError


class LedgerUnavailableError(StoreError):
    """The database cannot be reached or written now (restart, full disk, lock); certainly nothing was written."""

    exit_code = 1


class CommitUnknownError(LedgerUnavailableError):
    """The connection broke during a commit and did not come back; what was to be written may or may not be there."""


class JobNotFoundError(StoreError):
    """The job does not exist, was deleted, or belongs to another tenant (the three are not told apart)."""


class SessionNotFoundError(StoreError):
    """The session does not exist or belongs to another tenant."""


class SessionEndedError(QStoreError):
    """The session takes no more jobs: it was ended, or one of its limits was reached."""


class IllegalTransitionError(StoreError):
    """A job cannot go from its present state to the wanted one."""


class LeaseLostError(StoreError):
    """The task belongs to another worker by now, or its job was canceled or deleted: drop the work, write nothing."""


class QuotaError(QStoreError):
    """A tenant or a session has no room for a job now: too many jobs or shots are waiting or running."""
