"""The six stages of a training: each turns artifacts on disk into artifacts on disk.

A stage is a module with a frozen spec of what it reads and writes, a frozen report of what came out, and
`run(spec) -> report`. It knows nothing of pipelines: the same function runs from the command line
(`qstore stage <name>`), from a pipeline component and from a test. Bad input raises an error with exit code 2 before
anything is written.
"""

from __future__ import annotations

from quantum_db.registry import Table

STAGES = Table(
    "stage",
    {
        "preprocess": "quantum_db.stages.preprocess:run",
        "quantum-encode": "quantum_db.stages.quantum_encode:run",
        "plan": "quantum_db.stages.plan:run",
        "train": "quantum_db.stages.train:run",
        "evaluate": "quantum_db.stages.evaluate:run",
        "deploy": "quantum_db.stages.deploy:run",
    },
)
