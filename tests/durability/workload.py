"""A client that makes every kind of change, and writes down what it was answered."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from random import Random
from urllib.parse import urlencode

from attrs import define, evolve, field

from tests.durability.ledger import MARKER, Content, Deed, Name, Value
from tests.hostile.raw import Client, Connection, Fields, Reply

PLAIN, VERSIONED = "plain", "versioned"
"""Two buckets."""

SMALL, LARGE, PART = 3000, 150_000, 5 << 20
"""Bytes: in the index; in a file; of every part but the last."""


_KEYS = 6


class Unexpected(Exception):
    """A request that should have succeeded did not."""


@define
class Person:
    """A client with keys of its own. Does one thing after the other.

    Attributes:
        client: of the running server; another one after each restart.
        name: begins its keys.
        random: what it does.
        deeds: what it was answered.
        holds: what there is of its own.
        asked: the requests, as far as they name keys.
        sent: digests of what it has ever sent.
    """

    client: Client
    name: str
    random: Random
    deeds: list[Deed] = field(factory=list)
    holds: dict[Name, Value] = field(factory=dict)
    asked: list[str] = field(factory=list)
    sent: set[str] = field(factory=set)
    _connection: Connection | None = field(default=None, init=False)

    def work(self, count: int, chosen: Sequence[str] = ()) -> None:
        """Do so many things, of those that are `chosen`, by name, or of all."""
        weights = {name: weight for name, weight in _WEIGHTS.items() if not chosen or name in chosen}
        with self.client.connect() as self._connection:
            for name in self.random.choices(list(weights), list(weights.values()), k=count):
                getattr(self, name)()

    def see(self) -> dict[Name, Value]:
        """What there is behind its keys and versions now, but for tags, which GetObject does not tell."""
        seen: dict[Name, Value] = {}
        keys = [f"{self.name}-{number}" for number in range(_KEYS)]
        names: list[Name] = [("object", bucket, key) for bucket in (PLAIN, VERSIONED) for key in keys]
        names += [name for name, value in self.holds.items() if name[0] == "version" and value != MARKER]
        with self.client.connect() as self._connection:
            for name in names:
                self._connection.send(self.client.message("GET", _target(name)))
                reply = self._connection.reply("GET")
                if reply.status == 200:
                    seen[name] = _seen(reply)
                elif reply.status != 404:
                    seen[name] = f"{reply.status} {reply.code}"
        return seen

    def prepare(self) -> None:
        """Make the buckets."""
        with self.client.connect() as self._connection:
            for bucket in (PLAIN, VERSIONED):
                self._do("PUT", f"/{bucket}", {("bucket", bucket): ""})
            document = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
            self._do("PUT", f"/{VERSIONED}?versioning", {("bucket", VERSIONED): "Enabled"}, body=document)

    # -- what it does -------------------------------------------------------------------------------------------------

    def put_small(self) -> None:
        """An object that is kept in the index."""
        self._put(PLAIN, self.random.randrange(SMALL))

    def put_large(self) -> None:
        """An object that is kept in a file."""
        self._put(PLAIN, LARGE + self.random.randrange(SMALL))

    def put_version(self) -> None:
        """Another version of a key."""
        self._put(VERSIONED, self.random.choice((self.random.randrange(SMALL), LARGE)))

    def _put(self, bucket: str, size: int) -> None:
        key, body = self._key(), self.random.randbytes(size)
        content = evolve(_content(body), content_type="text/plain", metadata=self._metadata(), tags=self._tags())
        headers = _headers(content)
        if content.tags:
            headers.append((b"x-amz-tagging", urlencode(content.tags).encode()))
        reply = self._ask("PUT", f"/{bucket}/{key}", headers, body)
        self._wrote(bucket, key, content, reply, f"put {size} bytes")

    def _wrote(self, bucket: str, key: str, content: Content, reply: Reply, what: str) -> None:
        etag = reply.headers.get("etag", "") or _found("ETag", reply).replace("&quot;", "")
        content = evolve(content, etag=etag.strip('"'))
        after: dict[Name, Value | None] = {("object", bucket, key): content}
        if version := reply.headers.get("x-amz-version-id"):
            after["version", bucket, key, version] = content
        self._note(reply, after, f"{what} at {bucket}/{key}")

    def delete(self) -> None:
        """Delete a key that may be there."""
        key = self._key()
        self._do("DELETE", f"/{PLAIN}/{key}", {("object", PLAIN, key): None})

    def delete_many(self) -> None:
        """Delete some keys at once."""
        keys = sorted({self._key() for _ in range(3)})
        listed = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys)
        document = f"<Delete><Quiet>true</Quiet>{listed}</Delete>".encode()
        checksum = [(b"x-amz-checksum-sha256", base64.b64encode(hashlib.sha256(document).digest()))]
        gone: dict[Name, Value | None] = {("object", PLAIN, key): None for key in keys}
        self._do("POST", f"/{PLAIN}?delete", gone, checksum, document, each=True)

    def hide_version(self) -> None:
        """Put a delete marker on a key."""
        key = self._key()
        reply = self._ask("DELETE", f"/{VERSIONED}/{key}")
        marker = ("version", VERSIONED, key, reply.headers["x-amz-version-id"])
        self._note(reply, {("object", VERSIONED, key): None, marker: MARKER}, f"hide {key}")

    def delete_version(self) -> None:
        """Delete one version for good, and see the one before it again."""
        versions = [name for name in self.holds if name[0] == "version"]
        if not versions:
            return
        name = self.random.choice(versions)
        _, bucket, key, version = name
        others = sorted(other for other in versions if other[1:3] == (bucket, key) and other != name)
        latest = self.holds[others[-1]] if others else MARKER
        after: dict[Name, Value | None] = {name: None, ("object", bucket, key): None if latest == MARKER else latest}
        self._do("DELETE", f"/{bucket}/{key}?versionId={version}", after)

    def copy(self) -> None:
        """Copy an object to another key."""
        source = self._some_object()
        if source is None:
            return
        bucket, key = source[1], self._key()
        if (bucket, source[2]) == (PLAIN, key):
            return
        header = (b"x-amz-copy-source", f"/{bucket}/{source[2]}".encode())
        content = self.holds[source]
        assert isinstance(content, Content)
        self._wrote(PLAIN, key, content, self._ask("PUT", f"/{PLAIN}/{key}", [header]), f"copy {source[2]}")

    def tag(self) -> None:
        """Give an object other tags."""
        name = self._some_object(PLAIN)
        if name is None:
            return
        content = self.holds[name]
        assert isinstance(content, Content)
        tags = (("n", str(self.random.randrange(1000))),)
        document = f"<Tagging><TagSet><Tag><Key>n</Key><Value>{tags[0][1]}</Value></Tag></TagSet></Tagging>".encode()
        self._do("PUT", f"/{PLAIN}/{name[2]}?tagging", {name: evolve(content, tags=tags)}, body=document)

    def complete(self) -> None:
        """Upload an object in parts."""
        self._upload((LARGE,))

    def complete_two(self) -> None:
        """Upload an object in two parts, one of them sent twice."""
        self._upload((PART, 100))

    def abort(self) -> None:
        """Upload a part, and abort."""
        key, upload, parts = self._begin((LARGE,))
        gone: dict[Name, Value | None] = {("upload", PLAIN, key, upload): None, **dict.fromkeys(parts)}
        self._do("DELETE", f"/{PLAIN}/{key}?uploadId={upload}", gone)

    def leave(self) -> None:
        """Begin an upload, and leave it at that."""
        self._begin((LARGE, 100))

    def _upload(self, sizes: Sequence[int]) -> None:
        key, upload, parts = self._begin(sizes)
        listed = "".join(
            f"<Part><PartNumber>{name[2]}</PartNumber><ETag>{content.etag}</ETag></Part>"
            for name, (content, _) in parts.items()
        )
        document = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        content = _content(b"".join(body for _, body in parts.values()))
        self.sent.add(content.sha256)
        reply = self._ask("POST", f"/{PLAIN}/{key}?uploadId={upload}", body=document)
        whole = evolve(
            content,
            content_type="text/plain",
            metadata=(("upload", key),),
            etag=_found("ETag", reply).replace("&quot;", "").strip('"'),
        )
        after: dict[Name, Value | None] = {("upload", PLAIN, key, upload): None, **dict.fromkeys(parts)}
        self._note(reply, {**after, ("object", PLAIN, key): whole}, f"complete {key}")

    def _begin(self, sizes: Sequence[int]) -> tuple[str, str, dict[Name, tuple[Content, bytes]]]:
        """An upload and its parts."""
        key = self._key()
        headers = [(b"content-type", b"text/plain"), (b"x-amz-meta-upload", key.encode())]
        reply = self._ask("POST", f"/{PLAIN}/{key}?uploads", headers)
        upload = _found("UploadId", reply)
        self._note(reply, {("upload", PLAIN, key, upload): ""}, f"begin an upload of {key}")
        parts: dict[Name, tuple[Content, bytes]] = {}
        for number, size in enumerate(sizes, 1):
            body = self.random.randbytes(size)
            target = f"/{PLAIN}/{key}?partNumber={number}&uploadId={upload}"
            for sent in (body[:50], body) if number > 1 else (body,):  # the second is sent twice, the last time counts
                reply = self._ask("PUT", target, body=sent)
                content = evolve(_content(sent), etag=reply.headers["etag"].strip('"'))
                name: Name = ("part", upload, str(number))
                self._note(reply, {name: content}, f"part {number} of {key}")
                parts[name] = (content, sent)
        return key, upload, parts

    # -- how ----------------------------------------------------------------------------------------------------------

    def _key(self) -> str:
        return f"{self.name}-{self.random.randrange(_KEYS)}"

    def _some_object(self, *buckets: str) -> Name | None:
        names = [name for name in self.holds if name[0] == "object" and (not buckets or name[1] in buckets)]
        return self.random.choice(names) if names else None

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("number", str(self.random.randrange(1000))),)

    def _tags(self) -> tuple[tuple[str, str], ...]:
        return (("a", "b"),) if self.random.random() < 0.3 else ()

    def _do(
        self,
        method: str,
        target: str,
        after: Mapping[Name, Value | None],
        headers: Fields = (),
        body: bytes = b"",
        *,
        each: bool = False,
    ) -> None:
        self._note(self._ask(method, target, headers, body), after, f"{method} {target}", each=each)

    def _ask(self, method: str, target: str, headers: Fields = (), body: bytes = b"") -> Reply:
        assert self._connection is not None
        self.asked.append(target + body[:1000].decode("latin-1"))
        self.sent.add(hashlib.sha256(body).hexdigest())
        self._connection.send(self.client.message(method, target, headers, body))
        reply = self._connection.reply(method)
        if reply.status not in (200, 204) or b"<Error>" in reply.body:
            raise Unexpected(f"{method} {target}: {reply.status} {reply.body[:500]!r}")
        return reply

    def _note(self, reply: Reply, after: Mapping[Name, Value | None], what: str, *, each: bool = False) -> None:
        self.deeds.append(Deed(self.name, reply.headers["x-amz-request-id"], after, each, what))
        for name, value in after.items():
            if value is None:
                self.holds.pop(name, None)
            else:
                self.holds[name] = value


_WEIGHTS = {
    "put_small": 12,
    "put_large": 5,
    "put_version": 6,
    "delete": 4,
    "delete_many": 2,
    "hide_version": 2,
    "delete_version": 3,
    "copy": 4,
    "tag": 3,
    "complete": 2,
    "complete_two": 0.3,
    "abort": 1,
    "leave": 0.5,
}


def _content(body: bytes) -> Content:
    return Content(hashlib.sha256(body).hexdigest(), len(body))


def _target(name: Name) -> str:
    return f"/{name[1]}/{name[2]}" + (f"?versionId={name[3]}" if name[0] == "version" else "")


def _seen(reply: Reply) -> Content:
    prefix = "x-amz-meta-"
    metadata = [(name.removeprefix(prefix), value) for name, value in reply.headers.items() if name.startswith(prefix)]
    return evolve(
        _content(reply.body),
        etag=reply.headers["etag"].strip('"'),
        content_type=reply.headers["content-type"],
        metadata=tuple(sorted(metadata)),
    )


def _headers(content: Content) -> list[tuple[bytes, bytes]]:
    headers = [(b"content-type", content.content_type.encode())]
    return headers + [(f"x-amz-meta-{name}".encode(), value.encode()) for name, value in content.metadata]


def _found(element: str, reply: Reply) -> str:
    found = re.search(f"<{element}>([^<]*)</{element}>", reply.body.decode())
    return found[1] if found else ""
