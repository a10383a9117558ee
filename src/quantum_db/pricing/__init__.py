"""What circuits cost: one versioned price table, and quotes from it. Money is Decimal in US dollars.

`load_price_table(path | None)` reads a table, `PriceTable.quote(...)` prices a job.
"""

from quantum_db.pricing.rates import CircuitSize, QuoteLine
from quantum_db.pricing.table import PriceTable, Quote, load_price_table, mitigation_applies

__all__ = ["CircuitSize", "PriceTable", "Quote", "QuoteLine", "load_price_table", "mitigation_applies"]
