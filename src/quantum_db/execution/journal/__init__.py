"""The journal of a run: what was submitted to a machine and what came back, written down before it matters."""

from quantum_db.execution.journal.entries import JobEntry
from quantum_db.execution.journal.journal import Journal, JournalMissError

__all__ = ["JobEntry", "Journal", "JournalMissError"]
