"""New chunks into PostgreSQL by COPY in its binary format. Blocking.

As the text of an INSERT, 1,536 numbers of a vector are most of a chunk's work, here and in the database. Source:
PostgreSQL's documentation of COPY, "Binary Format", and the ``*recv`` functions of its types.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from django.db import connections, router

from django_wp_ai.models import Chunk

_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)  # no flags, no extension
_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_LENGTH, _SHORT = struct.Struct(">i"), struct.Struct(">H")
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def insert(chunks: Sequence[Chunk]) -> None:
    """Write chunks that are not stored yet; other than ``bulk_create``, PostgreSQL's way leaves them without a key."""
    connection = connections[router.db_for_write(Chunk)]
    if connection.vendor != "postgresql":
        Chunk.objects.bulk_create(chunks)
    elif chunks:
        statement, encoders = _plan(connection.alias)
        count = _SHORT.pack(len(encoders))
        rows = (count + b"".join(_field(encode, getattr(chunk, name)) for name, encode in encoders) for chunk in chunks)
        connection.ensure_connection()
        with (
            connection.wrap_database_errors,
            connection.connection.cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            copy.write(b"".join([_HEADER, *rows, _TRAILER]))


@cache
def _plan(alias: str) -> tuple[str, tuple[tuple[str, Callable[[Any], bytes]], ...]]:
    """The statement, and of each column its attribute and what writes its values."""
    connection, model = connections[alias], Chunk._meta
    fields = [field for field in model.concrete_fields if not field.primary_key]
    named = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
    statement = f"COPY {connection.ops.quote_name(model.db_table)} ({named}) FROM STDIN (FORMAT BINARY)"
    kinds = [str(field.db_type(connection)).partition("(")[0] for field in fields]
    return statement, tuple((field.attname, _ENCODERS[kind]) for field, kind in zip(fields, kinds, strict=True))


def _field(encode: Callable[[Any], bytes], value: Any) -> bytes:
    if value is None:
        return _NULL
    written = encode(value)
    return _LENGTH.pack(len(written)) + written


def _moment(value: datetime) -> bytes:
    return struct.pack(">q", (value - _EPOCH) // _MICROSECOND)


def _lexemes(written: str) -> bytes:
    """What ``lexemes_of`` wrote: of each term itself and its places, which count from 1."""
    parts: list[bytes] = []
    for entry in written.split():
        name, _, places = entry.rpartition(":")
        parts += [name[1:-1].encode(), b"\x00", _places(places.count(",") + 1)]
    return _LENGTH.pack(len(parts) // 3) + b"".join(parts)


@cache
def _places(count: int) -> bytes:
    return struct.pack(f">{count + 1}H", count, *range(1, count + 1))


_ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "bigint": struct.Struct(">q").pack,
    "boolean": struct.Struct(">?").pack,
    "halfvec": lambda vector: vector.to_binary(),
    "integer": _LENGTH.pack,
    "jsonb": lambda value: b"\x01" + json.dumps(value).encode(),
    "smallint": struct.Struct(">h").pack,
    "text": str.encode,
    "timestamp with time zone": _moment,
    "tsvector": _lexemes,
    "varchar": str.encode,
}
