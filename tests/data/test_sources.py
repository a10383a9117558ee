from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
import pytest

from quantum_db.data.sources import REMOTE_STORES, SOURCES, list_sources, load_source, resolve_source
from quantum_db.errors import StageInputError


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("digits", (1797, 64), 10),
        ("iris", (150, 4), 3),
        ("wine", (178, 13), 3),
        ("breast_cancer", (569, 30), 2),
    ],
)
def test_bundled_sets_are_the_real_ones(name, shape, classes):
    raw = load_source(f"builtin:{name}")
    assert raw.features.shape == shape
    assert len(raw.class_names) == classes
    assert raw.name == f"builtin:{name}"
    assert (raw.features.dtype, raw.labels.dtype) == (np.float64, np.int64)


def test_list_names_every_kind():
    listed = list_sources()
    assert {"builtin:digits", "builtin:iris", "builtin:wine", "builtin:breast_cancer", "<path>.csv"} <= set(listed)
    assert len(listed) == len(SOURCES.names()) + len(REMOTE_STORES.names()) + 3  # four bundled sets


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("digits", r"unknown data source 'digits'.* Did you mean 'builtin:digits'\? Known: .*builtin:digits.*s3://"),
        ("", "unknown data source ''"),
        ("data.xlsx", "unknown data source 'data.xlsx'"),
        ("builtin:mnist", "unknown data source 'builtin:mnist'; known bundled sets: builtin:digits"),
        ("builtin:", "unknown data source 'builtin:'"),
        ("flowers.csv", "flowers.csv does not exist"),
        ("csv:flowers.txt", "flowers.txt does not exist"),
        ("train-images-idx3-ubyte.gz", "does not exist"),
        ("images:nowhere", "nowhere is no directory"),
        ("gs://bucket/data.csv", "unknown data source 'gs://...'"),
        ("s3://bucket", "the s3:// address is malformed"),
        ("s3://bucket/data.xlsx", "unknown data source 's3://...'"),
        ("s3://bucket/..", "names no object"),
    ],
)
def test_unknown_and_missing_sources_are_refused(tmp_path, monkeypatch, dataset, message):
    monkeypatch.chdir(tmp_path)
    for function in (resolve_source, load_source):
        with pytest.raises(StageInputError, match=message):
            function(dataset)


@pytest.mark.parametrize("dataset", ["s3://AKIAKEY:hushhush@bucket/data.csv", "https://me:hushhush@host/data.csv"])
def test_secrets_in_an_address_are_not_repeated(dataset):
    with pytest.raises(StageInputError) as caught:
        resolve_source(dataset)
    assert "hushhush" not in str(caught.value)
    assert "AKIAKEY" not in str(caught.value)


def test_resolve_reads_nothing_and_needs_no_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def no_network(*_: object) -> None:
        raise AssertionError("network used")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    Path("flowers.csv").write_text("not,a\nproper,table\n")
    found = resolve_source("flowers.csv")
    assert (found.kind, found.address, found.dataset) == ("csv", "flowers.csv", f"csv:{tmp_path}/flowers.csv")
    assert resolve_source("builtin:digits").dataset == "builtin:digits"
    assert resolve_source("s3://bucket/flowers.csv").kind == "s3"


def test_absolute_address_works_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("flowers.txt").write_text("a,label\n1,x\n2,y\n")
    absolute = resolve_source("csv:flowers.txt").dataset
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    raw = load_source(absolute)
    assert raw.name == "flowers.txt"
    assert raw.features.tolist() == [[1.0], [2.0]]


def test_folder_of_nothing_known_is_refused(tmp_path):
    with pytest.raises(StageInputError, match="unknown data source"):
        load_source(str(tmp_path))


def test_folder_in_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(StageInputError, match=r"unknown data source"):
        load_source(str(tmp_path / "a.csv"))
    with pytest.raises(StageInputError, match=r"a.csv is a directory, and a file is needed"):
        load_source(f"csv:{tmp_path / 'a.csv'}")


def test_unreadable_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(StageInputError, match="a file is needed"):
        load_source(f"csv:{tmp_path / 'a.csv'}")
