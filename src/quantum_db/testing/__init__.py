"""What an executor promises, as pytest classes: subclass one in your tests to hold your own executor against it.

Needs pytest. Nothing else of the wheel imports this package.
"""

import pytest

pytest.register_assert_rewrite("quantum_db.testing.executor_contract", "quantum_db.testing.billing_contract")

from quantum_db.testing.billing_contract import BillingContract  # noqa: E402
from quantum_db.testing.executor_contract import COUNTED, MEASURED, ExecutorContract, rows_of  # noqa: E402

__all__ = ["COUNTED", "MEASURED", "BillingContract", "ExecutorContract", "rows_of"]
