"""The ledger: jobs, bodies, results, the queue of circuits, sessions and money, in one database.

`Database.open(url)` gives the database to `JobLedger`, `CircuitQueue`, `UpstreamJournal`, `Accounts` and `Sessions`.
Whatever belongs together (a job with its reservation and its tasks; a result with the settlement) is one transaction.
"""

from quantum_db.gateway.ledger.accounts import Accounts
from quantum_db.gateway.ledger.database import Database
from quantum_db.gateway.ledger.jobs import JobLedger
from quantum_db.gateway.ledger.queue import CircuitQueue
from quantum_db.gateway.ledger.sessions import Sessions
from quantum_db.gateway.ledger.upstream_journal import UpstreamJournal

__all__ = ["Accounts", "CircuitQueue", "Database", "JobLedger", "Sessions", "UpstreamJournal"]
