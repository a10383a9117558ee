"""Finding the checkout: pipelines and components are in the repository, not in the wheel."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from quantum_db.errors import ConfigurationError

_MARK = Path("pipelines") / "local_run.py"
_PATIENCE_S = 10.0
_STOPPING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


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

    The program and what it starts are one process group: when this process is interrupted, told to end or loses its
    terminal, the whole group is ended, and Stopped is raised. Standard input of the program is a pipe that stays open
    as long as this process lives, so that the program can notice that it was killed.
    """
    command = [sys.executable, "-m", module, *arguments]
    with _stopping_signals():
        process = subprocess.Popen(
            command, cwd=checkout, stdin=subprocess.PIPE, stdout=sys.stderr.fileno(), process_group=0
        )
        try:
            code = process.wait()
        except KeyboardInterrupt:
            _say("stopping ...")
            _end(process)
            raise
    if code != 0:  # the program itself may have been killed; what it had started must not go on alone
        _kill_group(process)
    return code


class Stopped(KeyboardInterrupt):
    """This process was told to end by the signal `number`."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by signal {number}")
        self.number = number

    @property
    def exit_code(self) -> int:
        """What a shell shows for a process that this signal ended."""
        return 128 + self.number


@contextlib.contextmanager
def _stopping_signals() -> Iterator[None]:
    """Raise Stopped on signals that end a process; one that is ignored, as under nohup, stays ignored."""
    earlier = {number: signal.getsignal(number) for number in _STOPPING}
    handled = [number for number, handler in earlier.items() if handler is not signal.SIG_IGN]
    for number in handled:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, earlier[number])


def _stop(number: int, frame: object) -> None:
    raise Stopped(number)


def _say(line: str) -> None:
    """Write to standard error, which may be a terminal that has been closed."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt the group of `process`, wait for all of it, and kill what is left after ten seconds.

    A further signal meanwhile kills at once.
    """
    deadline = time.monotonic() + _PATIENCE_S
    try:
        os.killpg(process.pid, signal.SIGINT)
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.05)
    except ProcessLookupError:
        pass  # all of it has ended
    finally:
        _kill_group(process)
        process.wait()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
