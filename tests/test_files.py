import hashlib
import os
import signal
import subprocess
import sys
import time

import pytest

from quantum_db.errors import StoreError
from quantum_db.files import new_directory, read_json, sha256_of, write_bytes, write_json, write_text


def names(path):
    return sorted(entry.name for entry in path.iterdir())


def test_round_trips(tmp_path):
    assert write_bytes(tmp_path / "deep" / "er" / "a.bin", b"\x00\xff").read_bytes() == b"\x00\xff"
    assert write_text(tmp_path / "a.txt", "Grüße\n").read_text(encoding="utf-8") == "Grüße\n"
    content = {"b": [1, 2.5, None], "a": "é"}
    assert read_json(write_json(tmp_path / "a.json", content)) == content
    assert (tmp_path / "a.json").read_text().index('"a"') < (tmp_path / "a.json").read_text().index('"b"')
    assert sha256_of(tmp_path / "a.txt") == hashlib.sha256("Grüße\n".encode()).hexdigest()
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o644


def test_a_file_is_replaced_as_a_whole(tmp_path):
    write_text(tmp_path / "a", "old")
    with (tmp_path / "a").open() as reader:
        write_text(tmp_path / "a", "new and longer")
        assert reader.read() == "old"
    assert (tmp_path / "a").read_text() == "new and longer"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), {1, 2}])
def test_what_is_not_json_is_refused_before_anything_is_written(tmp_path, bad):
    write_json(tmp_path / "a.json", 1)
    with pytest.raises((ValueError, TypeError)):
        write_json(tmp_path / "a.json", {"x": bad})
    assert read_json(tmp_path / "a.json") == 1
    assert names(tmp_path) == ["a.json"]


def test_reading_what_is_missing_or_torn(tmp_path):
    with pytest.raises(StoreError, match=r"none\.json does not exist"):
        read_json(tmp_path / "none.json")
    (tmp_path / "torn.json").write_text('{"a": 1')
    with pytest.raises(StoreError, match=r"torn\.json cannot be read as JSON"):
        read_json(tmp_path / "torn.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StoreError, match="cannot be read"):
        read_json(tmp_path / "binary.json")
    with pytest.raises(StoreError):
        read_json(tmp_path)


def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    write_text(tmp_path / "a", "old")

    def refuse(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_a_directory_appears_when_its_block_ends(tmp_path):
    with new_directory(tmp_path / "sub" / "model", "inner") as folder:
        write_text(folder / "inner" / "weights", "1")
        assert not (tmp_path / "sub" / "model").exists()
    assert (tmp_path / "sub" / "model" / "inner" / "weights").read_text() == "1"
    assert (tmp_path / "sub" / "model").stat().st_mode & 0o777 == 0o755
    assert names(tmp_path / "sub") == ["model"]


def fill_and_fail(path, error):
    with new_directory(path, "weights") as folder:
        write_text(folder / "weights", "new")
        raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failing_block_leaves_nothing(tmp_path, error):
    with pytest.raises(error):
        fill_and_fail(tmp_path / "model", error)
    assert names(tmp_path) == []


def test_a_failing_block_keeps_the_directory_before(tmp_path):
    with new_directory(tmp_path / "model", "weights") as folder:
        write_text(folder / "weights", "old")
    with pytest.raises(RuntimeError):
        fill_and_fail(tmp_path / "model", RuntimeError)
    assert (tmp_path / "model" / "weights").read_text() == "old"
    assert names(tmp_path) == ["model"]


def test_a_directory_replaces_one_of_its_kind_as_a_whole(tmp_path):
    for number in (1, 2):
        with new_directory(tmp_path / "model", "weights") as folder:
            write_text(folder / "weights", str(number))
            write_text(folder / f"part-{number}", "1")
    assert names(tmp_path) == ["model"]
    assert names(tmp_path / "model") == ["part-2", "weights"]


def test_an_empty_directory_is_filled(tmp_path):
    (tmp_path / "model").mkdir()
    with new_directory(tmp_path / "model", "weights") as folder:
        write_text(folder / "weights", "1")
    assert names(tmp_path / "model") == ["weights"]


def test_what_is_not_ours_is_never_replaced(tmp_path, monkeypatch):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("x")
    monkeypatch.chdir(precious)
    for path, message in (
        (precious, "is the working directory or above it"),
        (tmp_path, "is the working directory or above it"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "file" / "below", "cannot be written"),
    ):
        with pytest.raises(StoreError, match=message):
            fill_and_fail(path, AssertionError("the block must not run"))
    monkeypatch.chdir("/")
    with pytest.raises(StoreError, match=r"holds files that are not Q-Store's \(there is no weights\)"):
        fill_and_fail(precious, AssertionError("the block must not run"))
    assert names(precious) == ["thesis.txt"]
    assert names(tmp_path) == ["file", "precious"]


def test_a_failing_replacement_puts_the_directory_before_back(tmp_path, monkeypatch):
    with new_directory(tmp_path / "model", "weights") as folder:
        write_text(folder / "weights", "old")
    replace = os.replace

    def refuse(source, target):
        if str(source).endswith(".partial") and str(target).endswith("model"):
            raise OSError("disk full")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"), new_directory(tmp_path / "model", "weights") as folder:
        (folder / "weights").write_text("new")
    assert (tmp_path / "model" / "weights").read_text() == "old"
    assert names(tmp_path) == ["model"]


WRITER = """
import sys
from itertools import cycle
from pathlib import Path
from quantum_db.files import new_directory, write_bytes
target = Path(sys.argv[1])
print("ready", flush=True)
for letter in cycle(b"ab"):
    write_bytes(target / "file", bytes([letter]) * 300_000)
    with new_directory(target / "folder", "1") as folder:
        for part in "12":
            write_bytes(folder / part, bytes([letter]) * 50_000)
"""


def kill_a_writer(tmp_path, seconds):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
    writer.stdout.readline()
    time.sleep(seconds)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()


def test_a_killed_writer_leaves_whole_files(tmp_path):
    write_bytes(tmp_path / "file", b"o" * 300_000)
    whole = {bytes([letter]) * 300_000 for letter in b"abo"}
    for attempt in range(12):
        kill_a_writer(tmp_path, 0.003 * attempt + 0.0007)
        assert (tmp_path / "file").read_bytes() in whole
        if (tmp_path / "folder").exists():  # a directory is whole or absent
            assert names(tmp_path / "folder") == ["1", "2"]
            first, second = ((tmp_path / "folder" / part).read_bytes() for part in "12")
            assert first == second
            assert first in {b"a" * 50_000, b"b" * 50_000}
