"""Recovery as the server does it when it starts, and a look at everything that is there afterwards.

Theory of operation. A store is opened with the parts that the server opens (`FileBackend`), on a reactor of ours that
knows no time: `Loop` runs what is due and waits for nothing but threads. Then the sweeper runs, far in the future and
without grace: what it takes away nobody may miss. Then all is read, by the operations that serve clients.

To try 100,000 states, what was read once is not read again: what GetObject answers depends on the rows of one version
and on the files that they name, so it is kept under these (`_Memo`). Files that no recovery may change are hard links
to one copy; where a recovery does touch one, its inode's time tells.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar
from unittest.mock import patch

from attrs import define, field
from twisted.internet.defer import Deferred, maybeDeferred

from post3tw.api import types
from post3tw.model.bucket import Bucket
from post3tw.model.errors import DomainError
from post3tw.model.ids import IdSource
from post3tw.model.version import Placement, version_token
from post3tw.service.objects import Objects
from post3tw.service.reading import Piece, open_pieces
from post3tw.service.store import Store
from post3tw.storage import fs
from post3tw.storage.index.sqlite.failures import IndexFailed
from post3tw.storage.index.sqlite.migrations import schema_scripts
from post3tw.storage.index.transactions.buckets import find_bucket
from post3tw.storage.interfaces import ITransaction, OpenedStore, StoreRefused
from post3tw.storage.sweep import BlobSweep
from post3tw.storage.threads import NoThreads
from tests.durability.ledger import MARKER, Content, Name, Value
from tests.service.stores import admitted, read_body

T = TypeVar("T")

_SCRIPTS = schema_scripts()

FAR = 10 * 365 * 86400
"""Seconds: long after every lease and every grace period."""


@define(eq=False)
class _Call:
    """A call that is due, or was cancelled."""

    function: Callable[[], object] | None

    def cancel(self) -> None:
        """Do not make it."""
        self.function = None

    def active(self) -> bool:
        """Whether it will be made."""
        return self.function is not None


class Loop:
    """As much of a reactor as a store needs: what is to happen now, and what comes back from threads."""

    def __init__(self) -> None:
        self._due: SimpleQueue[_Call] = SimpleQueue()

    def seconds(self) -> float:
        """The time."""
        return time.monotonic()

    def callLater(self, delay: float, function: Callable[..., object], *arguments: object) -> _Call:
        """What is to happen later never does."""
        call = _Call(lambda: function(*arguments))
        if not delay:
            self._due.put(call)
        return call

    def callFromThread(self, function: Callable[..., object], *arguments: object) -> None:
        """Called in whatever thread."""
        self._due.put(_Call(lambda: function(*arguments)))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        outcome: list[T] = []
        failure: list[Any] = []
        Deferred.fromCoroutine(coroutine).addCallbacks(outcome.append, failure.append)
        while not outcome and not failure:
            call = self._due.get(timeout=30)
            if call.function is not None:
                call.function()
        if failure:
            failure[0].raiseException()
        return outcome[0]


class _SameThread:
    """The index's thread, without one: handing things over costs more than all the rest of a recovery."""

    def __init__(self, *_: object) -> None:
        pass

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def do(self, function: Callable[..., object], *arguments: object) -> None:
        """Call it."""
        function(*arguments)

    def call(self, function: Callable[..., T], *arguments: object) -> Deferred[T]:
        """Call it; its result."""
        return maybeDeferred(function, *arguments)


@define
class Found:
    """What is in a store that was recovered.

    Attributes:
        view: what clients see.
        accidents: what must never be, whatever was acknowledged.
    """

    view: dict[Name, Value] = field(factory=dict)
    accidents: list[str] = field(factory=list)


Memo = dict[object, Value]


@contextmanager
def opened(data_dir: Path, loop: Loop) -> Iterator[OpenedStore]:
    """A store, started as the server does it, and stopped."""
    options = {"data_dir": str(data_dir), "reserve": 0, "durability": "full"}
    with patch.object(fs, "Threads", lambda *_: NoThreads()):
        store: OpenedStore = fs.FileBackend().open(options, loop)
    store.index.worker = _SameThread
    store.index.scripts = _SCRIPTS
    started: list[Any] = []
    try:
        for part in (store.space, store.index, store.blobs):
            loop.run(part.start())
            started.append(part)
        yield store
    finally:
        for part in reversed(started):
            loop.run(part.stop())


def recovered(data_dir: Path, memo: Memo, *, identify: Callable[[str], object] = lambda name: name) -> Found:
    """Open what a power cut left, sweep, and look at it.

    Args:
        data_dir: where it is; recovery changes it, as a start does.
        memo: what was read before, in states of the same run.
        identify: of the name of a blob, what its bytes are known by.
    """
    loop, found = Loop(), Found()
    try:
        with opened(data_dir, loop) as parts:
            ids = IdSource(lambda: time.time() + FAR)
            loop.run(BlobSweep(parts.index, parts.blobs, ids, grace=0).run())
            look = _Look(loop, Store(parts.index, parts.blobs, ids), memo, identify, found, parts.blobs)
            look.at_everything(data_dir)
    except (StoreRefused, IndexFailed, DomainError, sqlite3.Error) as error:
        found.accidents.append(f"recovery failed: {error!r} {error}")
    return found


_TABLES = ("buckets", "versions", "parts", "uploads", "bodies", "blobs", "blob_references", "current")
_CONSISTENT = {
    "a current row of another version than the latest": "SELECT c.key FROM current c LEFT JOIN versions v"
    " ON v.bucket = c.bucket AND v.key = c.key AND v.seq = c.seq WHERE v.seq IS NULL OR v.delete_marker OR EXISTS"
    " (SELECT 1 FROM versions n WHERE n.bucket = c.bucket AND n.key = c.key AND n.seq > c.seq)",
    "an object that no listing shows": "SELECT v.key FROM versions v WHERE NOT v.delete_marker AND NOT EXISTS (SELECT 1"
    " FROM current c WHERE c.bucket = v.bucket AND c.key = v.key) AND v.seq = (SELECT max(n.seq) FROM versions n"
    " WHERE n.bucket = v.bucket AND n.key = v.key)",
    "a body that nobody has": "SELECT hex(id) FROM bodies WHERE id NOT IN (SELECT body FROM versions WHERE body IS NOT"
    " NULL) AND id NOT IN (SELECT body FROM parts WHERE body IS NOT NULL)",
}


@define
class _Look:
    """A look at an open store."""

    loop: Loop
    store: Store
    memo: Memo
    identify: Callable[[str], object]
    found: Found
    inventory: Any
    tables: dict[str, list[dict[str, Any]]] = field(factory=dict)
    buckets: dict[int, Bucket] = field(factory=dict)

    def at_everything(self, data_dir: Path) -> None:
        """Fill `found`."""
        self.loop.run(self._load())
        self._look_at_files(data_dir)
        bodies = {row["id"]: (row["crcs"], row["data"]) for row in self.tables["bodies"]}
        parts: dict[bytes, list[tuple[Any, ...]]] = {}
        for part in self.tables["parts"]:
            parts.setdefault(part["owner"], []).append((*part.values(), bodies.get(part["body"]), self._blob(part)))
        for bucket in self.tables["buckets"]:
            self.found.view["bucket", bucket["name"]] = bucket["versioning"]
        current = {(row["bucket"], row["key"], row["seq"]) for row in self.tables["current"]}
        for row in self.tables["versions"]:
            bytes_of = (bodies.get(row["body"]), self._blob(row), tuple(parts.get(row["id"], ())))
            self._look_at_version(row, bytes_of, current)
        self._look_at_uploads(bodies)

    async def _load(self) -> None:
        async def load(tx: ITransaction) -> None:
            for table in _TABLES:
                names = [row[1] for row in await tx.all(f"PRAGMA table_info({table})")]
                rows = await tx.all(f"SELECT * FROM {table}")
                self.tables[table] = [dict(zip(names, row, strict=True)) for row in rows]
            for row in self.tables["buckets"]:
                bucket = await find_bucket(tx, row["tenant"], row["name"])
                assert bucket is not None
                self.buckets[bucket.id] = bucket
            for (line,) in await tx.all("PRAGMA integrity_check"):
                if line != "ok":
                    self.found.accidents.append(f"integrity_check: {line}")
            for what, question in _CONSISTENT.items():
                self.found.accidents += [f"{what}: {key!r}" for (key,) in await tx.all(question)]

        await self.store.index.read(load)

    def _look_at_files(self, data_dir: Path) -> None:
        """Every reference has its row and its bytes; all bytes have a row; nothing is half made."""
        files = {blob_id.hex() for blob_id in self.loop.run(self.inventory.blob_ids())}
        wanted = {row["blob"].hex() for table in ("versions", "parts") for row in self.tables[table] if row["blob"]}
        known = {row["id"].hex() for row in self.tables["blobs"]}
        accidents = [f"blob {name} has no file" for name in sorted(wanted - files)]
        accidents += [f"blob {name} has no row" for name in sorted(wanted - known)]
        accidents += [f"file {name} has no row" for name in sorted(files - known)]
        accidents += [f"file {name} is left of a blob in the making" for name in sorted(os.listdir(data_dir / "tmp"))]
        self.found.accidents += accidents

    def _blob(self, row: dict[str, Any]) -> object:
        return self.identify(row["blob"].hex()) if row["blob"] else None

    def _look_at_version(
        self, row: dict[str, Any], bytes_of: tuple[object, ...], current: set[tuple[int, bytes, int]]
    ) -> None:
        bucket, key = self.buckets[row["bucket"]], row["key"].decode()
        memo_key = (*row.values(), bucket.versioning, *bytes_of)
        value = self.memo.get(memo_key)
        if value is None:
            value = self.memo[memo_key] = self._version(bucket, key, row)
        if not row["is_null"]:
            self.found.view["version", bucket.name, key, version_token(row["seq"], row["id"])] = value
        if (row["bucket"], row["key"], row["seq"]) in current:
            self.found.view["object", bucket.name, key] = value

    def _version(self, bucket: Bucket, key: str, row: dict[str, Any]) -> Value:
        if row["delete_marker"]:
            return MARKER
        version_id = "null" if row["is_null"] else version_token(row["seq"], row["id"])
        return self.loop.run(self._get(bucket, key, version_id, row["tags"]))

    async def _get(self, bucket: Bucket, key: str, version_id: str, tags: str | None) -> Value:
        question = types.GetObjectInput(bucket=bucket.name, key=key, version_id=version_id)
        try:
            answer = await Objects(self.store).get_object(admitted("GetObject", bucket), question)
            body = await read_body(answer.body or b"")
        except Exception as error:  # whatever it is, the object is not what it was
            return f"an error: {error!r}"
        return Content(
            hashlib.sha256(body).hexdigest(),
            len(body),
            (answer.etag or "").strip('"'),
            answer.content_type or "",
            tuple(sorted((answer.metadata or {}).items())),
            tuple(sorted(json.loads(tags or "{}").items())),
        )

    def _look_at_uploads(self, bodies: dict[bytes, tuple[bytes, bytes]]) -> None:
        uploads = {row["id"]: row for row in self.tables["uploads"]}
        for row in uploads.values():
            bucket = self.buckets[row["bucket"]]
            self.found.view["upload", bucket.name, row["key"].decode(), row["id"].hex()] = ""
        for part in self.tables["parts"]:
            if part["owner"] not in uploads:
                continue
            memo_key = (*part.values(), bodies.get(part["body"]), self._blob(part))
            if memo_key not in self.memo:
                self.memo[memo_key] = self.loop.run(self._part(part))
            self.found.view["part", part["owner"].hex(), str(part["number"])] = self.memo[memo_key]

    async def _part(self, part: dict[str, Any]) -> Value:
        crcs = next((blob["crcs"] for blob in self.tables["blobs"] if blob["id"] == part["blob"]), b"")
        placement = Placement(part["size"], part["body"], part["blob"], crcs or b"", part["coding"])
        try:
            body = await read_body(await open_pieces(self.store, [Piece(placement, 0, part["size"])]))
        except Exception as error:
            return f"an error: {error!r}"
        return Content(hashlib.sha256(body).hexdigest(), len(body), part["etag"])
