"""Ids of jobs and of their circuits.

A job id is a random UUID whose last four hexadecimal digits are 0000. Circuit k of a multi-circuit job has the same
UUID with k + 1 in those digits, so that children need no rows of their own.
"""

from __future__ import annotations

import uuid

MAX_CHILDREN = 0xFFFF
_TAIL = 4


def new_job_id() -> str:
    """A fresh job id."""
    return str(uuid.uuid4())[:-_TAIL] + "0000"


def child_id(job_id: str, index: int) -> str:
    """The id of circuit `index` (from 0) of a multi-circuit job; ValueError when the index is out of range."""
    if not 0 <= index < MAX_CHILDREN:
        raise ValueError(f"circuit {index} has no id of its own; a job has at most {MAX_CHILDREN} circuits")
    return f"{job_id[:-_TAIL]}{index + 1:04x}"


def parse_job_id(text: str) -> tuple[str, int | None]:
    """Split an id into the job's id and the index of the circuit, None for the job itself.

    Raises ValueError when `text` is no UUID in its usual form (lower or upper case, with hyphens).
    """
    if len(text) != 36 or str(uuid.UUID(text)) != text.lower():
        raise ValueError("an id of a job is a UUID, such as 2f7ab6bd-8b04-4ee7-9d65-5a0ed1290000")
    lowered = text.lower()
    tail = int(lowered[-_TAIL:], 16)
    return lowered[:-_TAIL] + "0000", tail - 1 if tail else None
