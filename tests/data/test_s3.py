from __future__ import annotations

from pathlib import Path

import boto3
import numpy as np
import pytest
from moto.server import ThreadedMotoServer

from quantum_db.data.sources import load_source
from quantum_db.errors import StageInputError


@pytest.fixture(scope="module")
def endpoint():
    """A server on this machine that speaks S3's protocol."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hushhush")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3")
    client.create_bucket(Bucket="samples")
    yield client
    for item in client.list_objects_v2(Bucket="samples").get("Contents", []):
        client.delete_object(Bucket="samples", Key=item["Key"])
    client.delete_bucket(Bucket="samples")


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """Where downloads go, to see that nothing stays behind."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz"])
def test_objects_are_read_by_their_suffix(bucket, tmp_path, temporary, iris, iris_frame, suffix):
    path = tmp_path / f"iris.{suffix}"
    if suffix == "csv":
        iris_frame.to_csv(path, index=False)
    elif suffix == "parquet":
        iris_frame.to_parquet(path)
    else:
        np.savez(path, x=iris.features, y=iris.labels)
    bucket.upload_file(str(path), "samples", f"flowers/{path.name}")
    raw = load_source(f"s3://samples/flowers/{path.name}")
    assert raw.name == f"s3://samples/flowers/{path.name}"
    assert np.array_equal(raw.features, iris.features)
    assert np.array_equal(raw.labels, iris.labels)
    assert list(temporary.iterdir()) == []


def test_folders_are_read_as_local_ones(bucket, idx_folder, digits, temporary):
    for file in idx_folder.iterdir():
        bucket.upload_file(str(file), "samples", f"sets/digits/{file.name}")
    bucket.put_object(Bucket="samples", Key="sets/digits/", Body=b"")  # the marker that consoles write
    raw = load_source("s3://samples/sets/digits/")
    assert np.array_equal(np.sort(raw.labels), np.sort(digits.labels))
    assert raw.features.sum() == digits.features.sum()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://samples/none.csv", r"s3://samples/none.csv does not exist \(404\)"),
        ("s3://no-such-bucket/iris.csv", r"does not exist \(404\)"),
        ("s3://no-such-bucket/sets/", r"does not exist \(NoSuchBucket\)"),
        ("s3://samples/none/", "holds no objects"),
    ],
)
def test_missing_objects_are_refused(bucket, temporary, address, message):
    with pytest.raises(StageInputError, match=message):
        load_source(address)
    assert list(temporary.iterdir()) == []


def test_keys_do_not_lead_out_of_the_folder(bucket, temporary):
    bucket.put_object(Bucket="samples", Key="sets/../../escaped.csv", Body=b"a,label\n")
    with pytest.raises(StageInputError, match=r"'sets/../../escaped.csv' leads out of its folder"):
        load_source("s3://samples/sets/")
    assert list(temporary.iterdir()) == []


def test_bad_content_is_refused_and_cleaned_up(bucket, temporary):
    bucket.put_object(Bucket="samples", Key="bad.csv", Body=b"a,label\nred,1\n")
    with pytest.raises(StageInputError, match="the column 'a' is not numeric"):
        load_source("s3://samples/bad.csv")
    assert list(temporary.iterdir()) == []


def test_unreachable_store_is_reported_without_secrets(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StageInputError, match=r"could not be reached \(EndpointConnectionError\)") as caught:
        load_source("s3://samples/iris.csv")
    assert "hushhush" not in str(caught.value)
    monkeypatch.undo()


def test_missing_credentials_are_reported(bucket, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(StageInputError, match=r"could not be reached \(NoCredentialsError\)"):
        load_source("s3://samples/iris.csv")
