"""A file of JSON lines that only grows, each line sealed with a hash that covers all lines before it.

A line is `{"hash":"<64 hex digits>","record":<JSON>}`; the hash is SHA-256 of the hash of the line before (64 zeros for
the first) followed by the bytes of the record. A process that is killed while it writes leaves a last line without an
end of line: that one is known never to have been relied upon, and is dropped. Anything else that does not fit is
damage, and is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quantum_db.errors import StoreError

START = "0" * 64
_HEAD, _MIDDLE, _TAIL = b'{"hash":"', b'","record":', b"}\n"
_RECORD_AT = len(_HEAD) + 64 + len(_MIDDLE)


@dataclass(frozen=True)
class Line:
    """One sealed line: its record, where it starts in the file, its length in bytes, and its hash."""

    record: dict[str, Any]
    offset: int
    size: int
    hash: str


def seal(record: Mapping[str, Any], before: str) -> tuple[bytes, str]:
    """The line of `record` after the line with the hash `before`, and its own hash."""
    content = json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
    digest = hashlib.sha256(before.encode() + content).hexdigest()
    return _HEAD + digest.encode() + _MIDDLE + content + _TAIL, digest


def read_lines(path: Path) -> Iterator[Line]:
    """All sealed lines of the file; a torn last line is left out.

    Raises StoreError at the first line that was changed, moved or taken out, and says which.
    """
    before, offset = START, 0
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, 1):
            if not raw.endswith(b"\n"):
                return
            line = _unsealed(raw, before, offset)
            if line is None:
                raise StoreError(
                    f"line {number} of {path} does not fit the lines before it: the file was damaged or changed after "
                    f"it was written. Restore it from a copy; until then nothing in it from this line on is believed"
                )
            yield line
            before, offset = line.hash, offset + len(raw)


def read_line(path: Path, line: Line) -> dict[str, Any]:
    """The record of `line`, read again from the file; StoreError when it is no longer what it was."""
    with path.open("rb") as stream:
        stream.seek(line.offset)
        raw = stream.read(line.size)
    if raw[len(_HEAD) : len(_HEAD) + 64] != line.hash.encode():
        raise StoreError(f"{path} changed while it was open; it has one writer only. Restore it from a copy")
    record: dict[str, Any] = json.loads(raw[_RECORD_AT:-2])
    return record


def _unsealed(raw: bytes, before: str, offset: int) -> Line | None:
    stated, content = raw[len(_HEAD) : len(_HEAD) + 64], raw[_RECORD_AT:-2]
    digest = hashlib.sha256(before.encode() + content).hexdigest()
    if raw != _HEAD + digest.encode() + _MIDDLE + content + _TAIL or stated != digest.encode():
        return None
    return Line(json.loads(content), offset, len(raw), digest)


class ChainWriter:
    """Appends records; each is on disk when `append` returns. Not for several threads at once."""

    def __init__(self, path: Path, end: int, before: str) -> None:
        """Write after byte `end`; whatever stands behind it is a torn line and is cut off."""
        self._path, self._end, self._before = path, end, before
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._take_back()
        os.fsync(self._file)
        folder = os.open(path.parent, os.O_RDONLY)  # the name of a new file must be on disk too
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def append(self, record: Mapping[str, Any]) -> Line:
        """Seal and write `record`; StoreError when the disk does not take it (the file then ends as before)."""
        raw, digest = seal(record, self._before)
        try:
            view = memoryview(raw)
            while view:
                view = view[os.write(self._file, view) :]
            os.fsync(self._file)
        except OSError as error:
            self._take_back()
            raise StoreError(
                f"{self._path} cannot be written ({error.strerror}); make room or repair the disk. Nothing is "
                f"submitted that is not written down first"
            ) from error
        line = Line(dict(record), self._end, len(raw), digest)
        self._end, self._before = self._end + len(raw), digest
        return line

    def _take_back(self) -> None:
        os.ftruncate(self._file, self._end)
        os.lseek(self._file, self._end, os.SEEK_SET)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
