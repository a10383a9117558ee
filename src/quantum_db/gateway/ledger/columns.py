"""Column types that mean the same on SQLite and PostgreSQL: money, packed JSON, and the database's clock."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Dialect, LargeBinary, Numeric, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from quantum_db.errors import StoreError

_COMPRESS_FROM = 512  # bytes; below, zlib saves nothing worth its time


class Money(TypeDecorator[Decimal]):
    """Exact US dollars: NUMERIC on PostgreSQL, decimal text on SQLite, which has no exact numbers. Sum in Python."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the type of this database."""
        return dialect.type_descriptor(String(40) if dialect.name == "sqlite" else Numeric(asdecimal=True))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Write a Decimal; anything else is a programming error."""
        if value is None:
            return None
        if not isinstance(value, Decimal) or not value.is_finite():
            raise TypeError(f"money must be a finite Decimal, not {value!r}")
        return format(value, "f") if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Read a Decimal."""
        return None if value is None else Decimal(value)


class Packed(TypeDecorator[Any]):
    """JSON data as bytes, compressed when large; the first byte says which."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes | None:
        """Pack JSON data; None stays NULL."""
        if value is None:
            return None
        content = msgspec.json.encode(value)
        return b"z" + zlib.compress(content, 1) if len(content) >= _COMPRESS_FROM else b"j" + content

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Unpack; StoreError when the bytes are damaged."""
        if value is None:
            return None
        content = bytes(value)
        try:
            return msgspec.json.decode(zlib.decompress(content[1:]) if content[:1] == b"z" else content[1:])
        except (zlib.error, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StoreError(
                f"a record of the ledger is damaged ({error}): its bytes on disk changed; restore the database from a "
                "backup"
            ) from error


class now_ms(FunctionElement[int]):  # noqa: N801 - it reads as the SQL function that it is
    """Milliseconds since 1970 by the database's clock, so that workers' clocks need not agree."""

    type = BigInteger()
    inherit_cache = True


@compiles(now_ms, "sqlite")  # type: ignore[no-untyped-call, untyped-decorator, unused-ignore]
def _now_sqlite(element: now_ms, compiler: Any, **options: Any) -> str:
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"


@compiles(now_ms, "postgresql")  # type: ignore[no-untyped-call, untyped-decorator, unused-ignore]
def _now_postgresql(element: now_ms, compiler: Any, **options: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


def instant(milliseconds: int) -> datetime:
    """The moment as an aware datetime in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def maybe_instant(milliseconds: int | None) -> datetime | None:
    """The moment as an aware datetime in UTC, or None."""
    return None if milliseconds is None else instant(milliseconds)
