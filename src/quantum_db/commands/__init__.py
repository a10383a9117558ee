"""The sub-commands of `qstore`, each in a module that is only imported when it is called.

A command is a function that takes its arguments and returns the exit code; errors are raised.
"""

from __future__ import annotations

from quantum_db.registry import Table

COMMANDS = Table(
    "command",
    {
        "stage": "quantum_db.commands.stage:main",
        "pipeline": "quantum_db.commands.pipeline:main",
        "plan": "quantum_db.commands.plan:main",
        "serve": "quantum_db.commands.serve:main",
        "gateway": "quantum_db.commands.gateway:main",
        "worker": "quantum_db.commands.worker:main",
        "journal": "quantum_db.commands.journal:main",
        "trace": "quantum_db.commands.trace:main",
        "datasets": "quantum_db.commands.listings:datasets",
        "version": "quantum_db.commands.listings:version",
    },
)
