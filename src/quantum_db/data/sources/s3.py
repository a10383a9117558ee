"""Files in S3 or a store that speaks its protocol: downloaded into a temporary folder, then read by their suffix.

Credentials, region and endpoint come from where boto3 looks for them (environment, mounted files, instance role);
none is ever part of an address.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from quantum_db.data.sources.source import RemoteStore
from quantum_db.errors import StageInputError
from quantum_db.registry import require_package

_ADDRESS = re.compile(r"s3://(?P<bucket>[a-zA-Z0-9][a-zA-Z0-9._-]{1,253}[a-zA-Z0-9])/(?P<key>.+)", re.DOTALL)


def _check(address: str) -> str:
    return PurePosixPath(_parts(address)[1]).name + ("/" if address.endswith("/") else "")


def _fetch(address: str, folder: Path) -> Path:
    """Download an object, or with "/" at the end everything below that prefix; return the local file or folder."""
    bucket, key = _parts(address)
    boto3 = require_package("boto3", "s3", "data at an s3:// address")
    exceptions = require_package("botocore.exceptions", "s3", "data at an s3:// address")
    try:
        client = boto3.session.Session().client("s3")  # of its own: the default session keeps old credentials
        if not key.endswith("/"):
            target = folder / PurePosixPath(key).name
            client.download_file(bucket, key, str(target))
            return target
        return _fetch_folder(client, bucket, key, folder)
    except exceptions.ClientError as error:
        _refused(address, str(error.response.get("Error", {}).get("Code", "unknown")), error)
    except exceptions.BotoCoreError as error:  # no credentials, no region, no connection
        raise StageInputError(
            f"{address} could not be reached ({type(error).__name__}); check the credentials, AWS_DEFAULT_REGION and "
            "AWS_ENDPOINT_URL that this process sees, and the network"
        ) from error


def _fetch_folder(client: Any, bucket: str, prefix: str, folder: Path) -> Path:
    target = folder / PurePosixPath(prefix).name
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            relative = PurePosixPath(item["Key"][len(prefix) :])
            if item["Key"].endswith("/"):
                continue
            if relative.is_absolute() or ".." in relative.parts:
                raise StageInputError(f"the key {item['Key']!r} leads out of its folder; rename the object")
            file = target.joinpath(*relative.parts)
            file.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(bucket, item["Key"], str(file))
    if not target.is_dir():
        raise StageInputError(f"s3://{bucket}/{prefix} holds no objects; check bucket and prefix")
    return target


def _parts(address: str) -> tuple[str, str]:
    match = _ADDRESS.fullmatch(address)
    if match is None:  # the address is not repeated: someone may have put a key into it
        raise StageInputError(
            "the s3:// address is malformed; it needs the form s3://<bucket>/<key>, with the credentials outside of "
            "it, in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a role"
        )
    if not PurePosixPath(match["key"]).name or PurePosixPath(match["key"]).name == "..":
        raise StageInputError(f"{address} names no object; the key needs a name, as in s3://<bucket>/flowers.csv")
    return match["bucket"], match["key"]


def _refused(address: str, code: str, error: Exception) -> NoReturn:
    if code in ("404", "NoSuchKey", "NoSuchBucket"):
        raise StageInputError(f"{address} does not exist ({code}); check bucket and key") from error
    raise StageInputError(
        f"{address} was refused by the store ({code}); check that the credentials of this process may read it"
    ) from error


STORE = RemoteStore(addresses=("s3://<bucket>/<key of a file, or folder/>",), check=_check, fetch=_fetch)
