from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from quantum_db.errors import ConfigurationError, StoreError
from quantum_db.gateway.ledger.records import TenantLimits
from quantum_db.gateway.tenants import Tenant, Tenants, tenants_from_file, tenants_from_text


def test_tenants_with_several_keys_from_text() -> None:
    tenants = tenants_from_text(" lab:secret-one, lab:secret-two ,other:with:colons:in-it,")
    assert tenants.names() == ("lab", "other")
    assert tenants.authenticate("apiKey secret-one") == tenants.authenticate("APIKEY  secret-two ") == Tenant("lab")
    assert tenants.authenticate("apiKey with:colons:in-it") == Tenant("other")


@pytest.mark.parametrize(
    "header", [None, "", "apiKey", "apiKey ", "secret-one", "Bearer secret-one", "apiKey Secret-one"]
)
def test_everything_else_is_nobody(header: str | None) -> None:
    assert tenants_from_text("lab:secret-one").authenticate(header) is None


def write(folder: Path, content: Any) -> Path:
    file = folder / "keys.json"
    file.write_text(json.dumps(content))
    return file


def test_tenants_with_limits_from_a_file(tmp_path: Path) -> None:
    limits = {"queued_jobs": 5, "shots": 1000, "usd": "250.10"}
    content = [
        {"tenant": "lab", "key": "secret-one", "limits": limits, "coalesce": True},
        {"tenant": "lab", "key": "secret-two"},
        {"tenant": "other", "key": "secret-three", "coalesce_sampled": True},
    ]
    tenants = tenants_from_file(write(tmp_path, content))
    lab = Tenant("lab", TenantLimits(5, 1000, Decimal("250.10")), coalesce=True)
    assert (
        tenants.authenticate("apiKey secret-one") == tenants.authenticate("apiKey secret-two") == tenants["lab"] == lab
    )
    assert tenants["other"] == Tenant("other", coalesce_sampled=True)
    assert tenants_from_file(write(tmp_path, content[::-1]))["lab"] == lab


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there is no API key"),
        ("secret-key-alone", "entry 1 of QSTORE_GATEWAY_API_KEYS has no colon"),
        ("a b:secret-key-1", "no valid name"),
        (":secret-key-1", "no valid name"),
        ("lab:short", "shorter than 8"),
        ("lab:secret key", "holds blanks"),
        ("lab:sécret-key", "outside ASCII"),
        ("lab:secret-key-1,other:secret-key-1", "have the same API key"),
    ],
)
def test_wrong_text_is_refused_without_showing_a_key(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        tenants_from_text(text)
    assert says in str(error.value)
    assert "secret" not in str(error.value).replace("import secrets; print(secrets", "")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({}, "is no list of objects"),
        ([1], "is no list of objects"),
        ([], "there is no API key"),
        ([{"tenant": "a"}], "has no key"),
        ([{"tenant": "a", "key": "secret-key", "limit": 1}], "unknown field 'limit'"),
        ([{"key": "secret-key"}], "no valid name"),
        ([{"tenant": "a", "key": "secret-key", "coalesce": 1}], "coalesce is 1"),
        ([{"tenant": "a", "key": "secret-key", "limits": {"usd": "much"}}], "limits.usd is 'much'"),
        ([{"tenant": "a", "key": "secret-key", "limits": {"usd": "NaN"}}], "limits.usd is 'NaN'"),
        ([{"tenant": "a", "key": "secret-key", "limits": {"usd": -1}}], "limits.usd is -1"),
        ([{"tenant": "a", "key": "secret-key", "limits": {"shots": 1.5}}], "limits.shots is 1.5"),
        ([{"tenant": "a", "key": "secret-key", "limits": {"jobs": 1}}], "limits must be an object with some of"),
        (
            [
                {"tenant": "a", "key": "secret-key", "limits": {"shots": 1}},
                {"tenant": "a", "key": "secret-two", "limits": {"shots": 2}},
            ],
            "in two ways",
        ),
    ],
)
def test_a_wrong_file_is_refused_without_showing_a_key(content: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        tenants_from_file(write(tmp_path, content))
    assert says in str(error.value)
    assert "secret" not in str(error.value)
    with pytest.raises(StoreError):
        tenants_from_file(tmp_path / "none.json")


def test_only_digests_are_kept() -> None:
    tenants = Tenants([(Tenant("lab"), "secret-one")])
    assert "secret-one" not in repr(vars(tenants))
