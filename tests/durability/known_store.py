"""A small store with an object of each kind, and whether another one is the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from post3tw.testing.server import RunningServer
from tests.hostile.ledger import Content
from tests.hostile.raw import Client

_TABLES = ("store", "buckets", "bucket_documents", "versions", "current", "bodies", "blobs", "blob_references", "parts")


def fill(path: Path) -> None:
    """Make a store in a directory, by a server that is stopped then."""
    with RunningServer(data_dir=path, options=["--reserve=0"]) as server:
        client = Client(server.endpoint, server.access_key, server.secret_key)
        for method, target, body in (
            ("PUT", "", b""),
            ("PUT", "?versioning", b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
            ("PUT", "/small", b"small"),
            ("PUT", "/empty", b""),
            ("PUT", "/large", Content(1, 70_000).body),
            ("PUT", "/large", Content(2, 1_200_000).body),
        ):
            assert client.ask(method, f"/bucket{target}", body=body).status == 200, target
        copied = client.ask("PUT", "/bucket/copy", [(b"x-amz-copy-source", b"/bucket/large")])
        assert copied.status == 200


def same(one: Path, other: Path) -> bool:
    """Whether two stores have the same rows and the same blobs."""
    return _blobs(one) == _blobs(other) and all(_rows(one, table) == _rows(other, table) for table in _TABLES)


def _blobs(path: Path) -> dict[str, bytes]:
    return {blob.name: blob.read_bytes() for blob in path.rglob("blobs/**/*") if blob.is_file()}


def _rows(path: Path, table: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{path / 'index.sqlite3'}?mode=ro", uri=True)) as index:
        return sorted(index.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
