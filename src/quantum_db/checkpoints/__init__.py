"""Checkpoints on disk."""

from quantum_db.checkpoints.checkpoint import Checkpoint
from quantum_db.checkpoints.local_store import CheckpointReference, LocalCheckpointStore

__all__ = ["Checkpoint", "CheckpointReference", "LocalCheckpointStore"]
