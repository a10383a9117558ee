"""Finding the checkout: pipelines and components are in the repository, not in the wheel."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from quantum_db.errors import ConfigurationError

_MARK = Path("pipelines") / "local_run.py"
_PATIENCE_S = 10.0


def find_checkout(named: Path | None) -> Path:
    """Return the root of the Q-Store checkout.

    That is `named` if given, else the working directory or the nearest folder above it that is one, else the folder
    that an editable installation points to. Raises ConfigurationError when there is none.
    """
    if named is not None:
        if not (named / _MARK).is_file():
            raise ConfigurationError(
                f"--project {named} is no Q-Store checkout: it has no {_MARK}; give its root folder"
            )
        return named.resolve()
    here = Path.cwd()
    installed = Path(__file__).resolve().parents[3]
    for folder in (here, *here.parents, installed):
        if (folder / _MARK).is_file():
            return folder
    raise ConfigurationError(
        f"no Q-Store checkout found in {here} or above it, and quantum_db is not installed from one; the pipelines are "
        "in the repository. Clone it and call this inside, or give its root with --project"
    )


def run_module(checkout: Path, module: str, arguments: Sequence[str]) -> int:
    """Run `python -m module arguments` in the checkout and return its exit code; its output goes to standard error.

    The program and what it starts are one process group: when this process is interrupted or told to end, the whole
    group is, and KeyboardInterrupt is raised.
    """
    command = [sys.executable, "-m", module, *arguments]
    process = subprocess.Popen(command, cwd=checkout, stdout=sys.stderr.fileno(), process_group=0)
    earlier = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return process.wait()
    except KeyboardInterrupt:
        _end(process)
        raise
    finally:
        signal.signal(signal.SIGTERM, earlier)


def _interrupt(signal_number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt the group of `process`, wait for all of it, and kill what is left after ten seconds."""
    deadline = time.monotonic() + _PATIENCE_S
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
