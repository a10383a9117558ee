"""The published contract of executors, under the names that the tests here use."""

from quantum_db.testing import COUNTED, MEASURED
from quantum_db.testing import ExecutorContract as ExecutorSuite
from quantum_db.testing.executor_contract import row, rows_of

__all__ = ["COUNTED", "MEASURED", "ExecutorSuite", "row", "rows_of"]
