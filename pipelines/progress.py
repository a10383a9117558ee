"""What the local runner prints, turned into a log file, short progress lines, and the reason of a failure.

The runner frames each task with "Executing task 'x'" and "Task 'x' finished with status SUCCESS"; what the task's
process prints comes in between, indented by four spaces.
"""

import io
import re
import time
from typing import Any, TextIO

_COLOUR = re.compile(r"\x1b\[\d+m")
_STARTED = re.compile(r"- INFO - Executing task '(?P<task>[^']+)'")
_FINISHED = re.compile(r"- (?:INFO|ERROR) - Task '(?P<task>[^']+)' finished with status (?P<status>\w+)")
_RUNNER_PROBLEM = re.compile(r"^[\d:.]+ - (?:WARNING|ERROR) - (?P<message>.*)")
_LOGGED = re.compile(r"^\[KFP Executor [\d-]+ [\d:,]+ (?P<level>[A-Z]+)\]: (?P<message>.*)")
_CHATTER = ("--component_module_path", "Looking for component", "Loading KFP component", "Wrote executor output file")
_TRACEBACK = "Traceback (most recent call last):"
_ERROR = re.compile(r"^(?P<type>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?$")
_KEPT_LINES = 20


class Progress(io.TextIOBase):
    """A text stream for the runner's output: everything goes to `log`, what a person wants to see to `screen`."""

    def __init__(self, log: TextIO, screen: TextIO) -> None:
        self.tasks: list[dict[str, Any]] = []
        self.failed_task: str | None = None
        self.error: dict[str, str] | None = None
        self.last_lines: list[str] = []
        self._log = log
        self._screen = screen
        self._partial = ""
        self._task: str | None = None
        self._started = 0.0
        self._lines: list[str] = []  # of the current task
        self._held: list[str] = []  # a traceback, and what follows it, until it is known whether the task failed
        self._in_json = False

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Take some output; whole lines are handled at once."""
        *lines, self._partial = (self._partial + text).split("\n")
        for line in lines:
            self._take(_COLOUR.sub("", line))
        return len(text)

    def flush(self) -> None:
        """Pass on to the log file."""
        self._log.flush()

    def skipped(self, task: str) -> None:
        """Say that a task was not run because its condition was not met."""
        self._show(f"{task}: skipped")

    def _take(self, line: str) -> None:
        self._log.write(line + "\n")
        if started := _STARTED.search(line):
            self._start(started["task"])
        elif finished := _FINISHED.search(line):
            self._finish(finished["status"] == "SUCCESS")
        elif self._task is not None and line.startswith("    "):
            self._take_task_line(line[4:])
        elif problem := _RUNNER_PROBLEM.match(line):
            self._show(f"warning: {problem['message']}")

    def _start(self, task: str) -> None:
        self._task, self._started = task, time.monotonic()
        self._lines, self._held, self._in_json = [], [], False
        self._show(f"{task}: started")

    def _finish(self, succeeded: bool) -> None:
        seconds = time.monotonic() - self._started
        self.tasks.append({"name": self._task, "seconds": round(seconds, 3), "succeeded": succeeded})
        if succeeded:
            self._release()
            self._show(f"{self._task}: done in {seconds:.1f} s")
        else:
            self.failed_task, self.error = self._task, _error_in(self._held)
            self.last_lines = [line for line in self._lines if line.strip()][-_KEPT_LINES:]
            self._show(f"{self._task}: failed after {seconds:.1f} s")
        self._task = None

    def _take_task_line(self, line: str) -> None:
        logged = _LOGGED.match(line)
        if self._in_json:  # the runner's arguments, printed over many lines
            self._in_json = line != "}"
        elif logged and logged["message"] == "Got executor_input:":
            self._in_json = True
        elif logged and logged["message"].startswith(_CHATTER):
            return
        elif logged:
            self._release()
            mark = "" if logged["level"] == "INFO" else f"{logged['level'].lower()}: "
            self._pass_on(mark + logged["message"])
        elif self._held or line == _TRACEBACK:
            self._held.append(line)
            self._lines.append(line)
        elif line.strip():
            self._pass_on(line)

    def _release(self) -> None:
        """The task went on after a traceback: it was not the end, so it is shown like anything else."""
        held, self._held = self._held, []
        for line in held:
            self._show(f"    {line}")

    def _pass_on(self, line: str) -> None:
        self._lines.append(line)
        self._show(f"    {line}")

    def _show(self, line: str) -> None:
        # Not print: the runner replaces it, while a task runs, by one that also indents standard output.
        self._screen.write(line + "\n")
        self._screen.flush()


def _error_in(lines: list[str]) -> dict[str, str] | None:
    """The type and message of the exception that the last traceback in `lines` ends with."""
    if _TRACEBACK not in lines:
        return None
    last = len(lines) - 1 - lines[::-1].index(_TRACEBACK)
    for number, line in enumerate(lines[last + 1 :], start=last + 1):
        if line[:1].strip() and (found := _ERROR.match(line)):
            message = [found["message"] or "", *lines[number + 1 :]]
            return {"type": found["type"], "message": "\n".join(message).strip()}
    return None
