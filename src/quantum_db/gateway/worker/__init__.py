"""Workers: they lease circuits from the ledger, run them here or forward them upstream, and write the results back.

`Worker` does both, in threads of its own. Simulating (`simulating.py`) needs torch; forwarding (`forwarding.py`) keeps
thousands of upstream jobs in one event loop and does not.
"""

from quantum_db.gateway.worker.options import WorkerOptions
from quantum_db.gateway.worker.worker import Worker

__all__ = ["Worker", "WorkerOptions"]
