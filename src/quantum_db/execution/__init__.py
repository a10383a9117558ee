"""How batches reach a machine."""

from quantum_db.execution.assemble import ExecutionConfig, assemble

__all__ = ["ExecutionConfig", "assemble"]
