"""The runner's output becomes a log, short lines for people, and the reason of a failure."""

from __future__ import annotations

import io

from pipelines.progress import Progress

PREFIX = "[KFP Executor 2026-11-22 08:19:43,926 INFO]: "


def started(task: str) -> str:
    return f"08:19:43.855 - INFO - Executing task \x1b[96m'{task}'\x1b[0m\n08:19:43.856 - INFO - Streamed logs:\n\n"


def finished(task: str, status: str) -> str:
    level = "INFO" if status == "SUCCESS" else "ERROR"
    return f"08:19:45.160 - {level} - Task \x1b[96m'{task}'\x1b[0m finished with status \x1b[92m{status}\x1b[0m\n"


def indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def told(text: str) -> tuple[Progress, list[str], str]:
    log, screen = io.StringIO(), io.StringIO()
    progress = Progress(log, screen)
    for character in text:  # pieces of any size must do
        progress.write(character)
    return progress, screen.getvalue().splitlines(), log.getvalue()


def test_a_task_is_shown_with_its_own_lines_only() -> None:
    body = (
        f"{PREFIX}--component_module_path is not specified.\n{PREFIX}Looking for component `train` in x\n"
        f'{PREFIX}Loading KFP component "train" from x\n{PREFIX}Got executor_input:\n'
        '{\n    "inputs": {\n        "seed": 0\n    }\n}\n'
        f"{PREFIX}epoch 1: loss 0.5\nepoch 2: loss 0.4\n\n"
        "[KFP Executor 2026-11-22 08:19:43,926 WARNING]: slow\n"
        f"{PREFIX}Wrote executor output file to y."
    )
    progress, screen, log = told(started("train") + indented(body) + finished("train", "SUCCESS"))
    assert screen[0] == "train: started"
    assert screen[1:-1] == ["    epoch 1: loss 0.5", "    epoch 2: loss 0.4", "    warning: slow"]
    assert screen[-1].startswith("train: done in 0.")
    assert progress.tasks == [{"name": "train", "seconds": progress.tasks[0]["seconds"], "succeeded": True}]
    assert (progress.failed_task, progress.error) == (None, None)
    assert "\x1b" not in log
    assert '"seed": 0' in log


def test_a_failure_gives_type_and_whole_message_of_the_last_exception() -> None:
    body = (
        "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nKeyError: 'x'\n\n"
        "The above exception was the direct cause of the following exception:\n\n"
        'Traceback (most recent call last):\n  File "b.py", line 2, in h\n    raise\n'
        "quantum_db.errors.StoreError: model.json is corrupt: the digest differs\nRestore it."
    )
    progress, screen, _ = told(started("evaluate") + indented(body) + finished("evaluate", "FAILURE"))
    assert progress.failed_task == "evaluate"
    assert progress.error == {
        "type": "quantum_db.errors.StoreError",
        "message": "model.json is corrupt: the digest differs\nRestore it.",
    }
    assert progress.last_lines[-1] == "Restore it."
    assert screen[0] == "evaluate: started"
    assert screen[1].startswith("evaluate: failed after")
    assert len(screen) == 2


def test_a_failure_without_an_exception_keeps_the_last_lines() -> None:
    progress, _, _ = told(started("train") + indented("epoch 1\nKilled") + finished("train", "FAILURE"))
    assert progress.error is None
    assert progress.last_lines == ["epoch 1", "Killed"]


def test_a_traceback_that_was_not_the_end_is_shown() -> None:
    body = f'Traceback (most recent call last):\n  File "a.py"\nOSError: store away\n{PREFIX}going on'
    progress, screen, _ = told(started("train") + indented(body) + finished("train", "SUCCESS"))
    assert screen[1:5] == [
        "    Traceback (most recent call last):",
        '      File "a.py"',
        "    OSError: store away",
        "    going on",
    ]
    assert progress.error is None


def test_problems_of_the_runner_are_shown() -> None:
    _, screen, _ = told("08:19:43.855 - WARNING - Could not resolve channel reference: x\n")
    assert screen == ["warning: Could not resolve channel reference: x"]
