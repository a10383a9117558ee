"""An executor that simulates and remembers every batch, to count what would be paid for on a machine."""

from quantum_db.backends.statevector import StatevectorExecutor


class RecordingExecutor:
    """Not differentiable, like a machine."""

    name = "recording"
    differentiable = False

    def __init__(self, **options):
        self.inner = StatevectorExecutor(**options)
        self.batches = []

    def run(self, batch):
        self.batches.append(batch)
        return self.inner.run(batch)

    @property
    def n_circuits(self):
        return sum(batch.n_circuits for batch in self.batches)
