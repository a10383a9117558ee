"""The budget as a session of the service: one limit for all pods of a run, held where the jobs are accepted."""

from __future__ import annotations

from decimal import Decimal

from quantum_db.backends.ionq.client import IonQClient
from quantum_db.backends.ionq.sessions import read_session
from quantum_db.errors import BudgetExceededError
from quantum_db.execution.budget import Balance


class SessionBudget:
    """The ledger of a session (`begin_session`), whose jobs carry its id (`IonQOptions.session_id`).

    The service reserves when it accepts a job and settles when the job ends, in one transaction each; so reserving
    here only looks whether it is worth asking. What decides is the service's answer, which becomes
    BudgetExceededError too.
    """

    def __init__(self, client: IonQClient, session_id: str) -> None:
        self._client, self.session_id = client, session_id

    def reserve(self, key: str, amount: Decimal, force: bool = False) -> None:
        """BudgetExceededError when the session has less than `amount` left; the service reserves by itself."""
        if force:
            return
        balance = self.balance()
        if balance.left is not None and amount > balance.left:
            raise BudgetExceededError(
                f"the next job may cost {amount} USD, and of the {balance.limit} USD of session {self.session_id} "
                f"{balance.left} are left ({balance.spent} spent, {balance.reserved} reserved for jobs in flight). "
                f"Nothing was submitted. Go on with a new session of a higher limit: what is paid for is not paid again"
            )

    def settle(self, key: str, cost: Decimal | None) -> None:
        """The service has settled already."""

    def release(self, key: str) -> None:
        """The service has released already."""

    def reserved_keys(self, prefix: str) -> tuple[str, ...]:
        """None: reservations are the service's."""
        return ()

    def balance(self) -> Balance:
        """How the session stands, from the service; an ended session has nothing left."""
        money = read_session(self._client, self.session_id)
        spent, reserved = money.spent or Decimal(0), money.reserved or Decimal(0)
        return Balance(money.limit if money.active else min(money.limit or spent, spent), spent, reserved)
