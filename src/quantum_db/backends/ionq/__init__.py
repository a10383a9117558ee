"""IonQ's machines and simulators, in their cloud or behind the gateway."""

from quantum_db.backends.ionq.backend import IonQBackend
from quantum_db.backends.ionq.client import IonQClient
from quantum_db.backends.ionq.options import IonQOptions

__all__ = ["IonQBackend", "IonQClient", "IonQOptions"]
