"""Who may use the gateway: tenants, their API keys and their limits.

Keys come from QSTORE_GATEWAY_API_KEYS (`tenant:key,tenant2:key2`) or from a JSON file, for example a mounted secret:

    [{"tenant": "physics", "key": "...", "limits": {"queued_jobs": 50, "shots": 1000000, "usd": "250.00"},
      "coalesce": true}]

A tenant may have several keys (several entries); limits and the rest belong to the tenant and stand in any one of
them. Only digests of keys are kept in memory, and no message here holds a key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from quantum_db import files
from quantum_db.errors import ConfigurationError
from quantum_db.gateway.ledger.records import TenantLimits

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_SHORTEST_KEY = 8
_SCHEME = "apikey"
_FIELDS = ("tenant", "key", "limits", "coalesce", "coalesce_sampled")


@dataclass(frozen=True)
class Tenant:
    """One user of the gateway.

    `coalesce`: identical circuits of its jobs may be run once for all of them when the result is exact;
    `coalesce_sampled`: also when it is drawn (same seed, same shots): such results are equal, not independent.
    """

    name: str
    limits: TenantLimits = field(default_factory=TenantLimits)
    coalesce: bool = False
    coalesce_sampled: bool = False


class Tenants:
    """The tenants by their keys."""

    def __init__(self, entries: Iterable[tuple[Tenant, str]]) -> None:
        """Take pairs of a tenant and one of its keys.

        Raises ConfigurationError for no key at all, one key of two tenants, or two descriptions of one tenant.
        """
        self._digests: dict[bytes, Tenant] = {}
        for tenant, key in entries:
            _check_key(tenant.name, key)
            other = self._digests.setdefault(_digest(key), tenant)
            if other != tenant:
                raise ConfigurationError(
                    f"the tenants {other.name!r} and {tenant.name!r} have the same API key; give each its own"
                )
        if not self._digests:
            raise ConfigurationError("there is no API key; set QSTORE_GATEWAY_API_KEYS, or put one into the key file")
        self._by_name = {tenant.name: tenant for tenant in self._digests.values()}

    def authenticate(self, authorization: str | None) -> Tenant | None:
        """The tenant whose key the header `Authorization: apiKey <key>` carries; None without a known key."""
        scheme, _, key = (authorization or "").strip().partition(" ")
        if scheme.lower() != _SCHEME or not key:
            return None
        given = _digest(key.strip())
        found = None
        for digest, tenant in self._digests.items():  # all of them, so that the time does not tell which came close
            if hmac.compare_digest(digest, given):
                found = tenant
        return found

    def names(self) -> tuple[str, ...]:
        """The names of all tenants, sorted."""
        return tuple(sorted(self._by_name))

    def __getitem__(self, name: str) -> Tenant:
        return self._by_name[name]


def tenants_from_text(text: str, source: str = "QSTORE_GATEWAY_API_KEYS") -> Tenants:
    """Read `tenant:key,tenant2:key2`; ConfigurationError says what is wrong without showing a key."""
    entries = []
    for position, part in enumerate(filter(None, (part.strip() for part in text.split(","))), start=1):
        name, colon, key = part.partition(":")
        if not colon:
            raise ConfigurationError(f"entry {position} of {source} has no colon; write tenant:key,tenant2:key2")
        entries.append((Tenant(_checked_name(name.strip(), source)), key.strip()))
    return Tenants(entries)


def tenants_from_file(path: Path) -> Tenants:
    """Read the JSON key file at `path`; see the top of this module for its form.

    Raises StoreError when the file cannot be read, ConfigurationError when its content does not fit.
    """
    content = files.read_json(path)
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise ConfigurationError(f'{path} is no list of objects; write [{{"tenant": "name", "key": "..."}}]')
    described: dict[str, Tenant] = {}
    keys = []
    for position, entry in enumerate(content, start=1):
        tenant, key = _entry(entry, f"entry {position} of {path}")
        known = described.get(tenant.name)
        if known is None or known == Tenant(tenant.name):
            described[tenant.name] = tenant
        elif tenant not in (known, Tenant(tenant.name)):
            raise ConfigurationError(f"{path} describes the tenant {tenant.name!r} in two ways; write its limits once")
        keys.append((tenant.name, key))
    return Tenants((described[name], key) for name, key in keys)


def _entry(entry: Mapping[str, Any], where: str) -> tuple[Tenant, str]:
    unknown = sorted(entry.keys() - set(_FIELDS))
    if unknown:
        raise ConfigurationError(f"{where} has the unknown field {unknown[0]!r}; known: {', '.join(_FIELDS)}")
    switches = {name: entry.get(name, False) for name in ("coalesce", "coalesce_sampled")}
    for switch, value in switches.items():
        if not isinstance(value, bool):
            raise ConfigurationError(f"{where}: {switch} is {value!r}; write true or false")
    if not isinstance(entry.get("key"), str):
        raise ConfigurationError(f"{where} has no key; add one")
    name = _checked_name(entry.get("tenant"), where)
    return Tenant(name, _limits(entry.get("limits", {}), where), **switches), entry["key"]


def _limits(given: Any, where: str) -> TenantLimits:
    known = ("queued_jobs", "shots", "usd")
    if not isinstance(given, dict) or given.keys() - set(known):
        raise ConfigurationError(f"{where}: limits must be an object with some of {', '.join(known)}")
    whole = {name: _whole(given.get(name), f"{where}: limits.{name}") for name in known[:2]}
    return TenantLimits(**whole, usd=_dollars(given.get("usd"), f"{where}: limits.usd"))


def _whole(value: Any, what: str) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ConfigurationError(f"{what} is {value!r}; write a whole number from 0")
    return value


def _dollars(value: Any, what: str) -> Decimal | None:
    if value is None:
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("nan")
    if isinstance(value, bool) or not amount.is_finite() or amount < 0:
        raise ConfigurationError(f'{what} is {value!r}; write US dollars from 0, for example "250.00"')
    return amount


def _checked_name(name: Any, where: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"the tenant {str(name)[:63]!r} in {where} has no valid name; use letters, digits, '_', '-' and '.'"
        )
    return name


def _check_key(tenant: str, key: str) -> None:
    if len(key) < _SHORTEST_KEY or not key.isprintable() or not key.isascii() or " " in key:
        raise ConfigurationError(
            f"an API key of the tenant {tenant!r} is shorter than {_SHORTEST_KEY} characters or holds blanks or "
            "characters outside ASCII; make one with: python3 -c 'import secrets; print(secrets.token_hex(24))'"
        )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
