"""Clients that write versions, and know of each key which there must be.

Like the clients of `tests.hostile.ledger`, which they also are: each has keys of its own and makes one request at a
time, so that when the server goes away one request at most may have happened or not.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from hashlib import md5
from xml.etree import ElementTree

from attrs import define, evolve, field, frozen

from tests.hostile.ledger import Content, Writer
from tests.hostile.raw import Fields, Reply

BUCKET = "versions"
MOST = 6
"""Versions of a key, before some are removed."""


@frozen
class Entry:
    """A version, or a delete marker (no content). `id` is None as long as nobody has said it."""

    id: str | None
    content: Content | None = None
    tag: str = ""

    @property
    def etag(self) -> str:
        """As listings show it."""
        return "" if self.content is None else f'"{md5(self.content.body).hexdigest()}"'


@define
class VersionWriter(Writer):
    """See the module's text.

    Attributes:
        versions: of each key, what the server has confirmed, the newest first.
        instead: of each key that a request without an answer was about, what there is if it has happened.
    """

    versions: dict[str, list[Entry]] = field(factory=dict)
    instead: dict[str, list[Entry]] = field(factory=dict)

    def actions(self) -> list[tuple[int, Callable[[], None]]]:
        """See Writer; small writes prevail, because there are to be many."""
        return [
            (24, self._put_small),
            (1, self._put_large),
            (8, self._delete),
            (6, self._copy),
            (24, self._put_version),
            (6, self._mark_deleted),
            (4, self._delete_many),
            (10, self._delete_version),
            (6, self._retag),
            (4, self._copy_version),
        ] + ([(1, self._multipart)] if self.random.random() < 0.2 else [])

    # -- what it does

    def _at_versions(self, method: str, target: str, headers: Fields = (), body: bytes = b"") -> Reply:
        assert self._connection is not None
        self._connection.send(self.client.message(method, f"/{BUCKET}/{target}", headers, body))
        return self._connection.reply(method)

    def _change(self, after: dict[str, list[Entry]], ask: Callable[[], Reply]) -> Reply | None:
        """A request after which keys have these versions; None when it was refused, which is noted."""
        self.instead.update(after)
        reply = ask()
        if reply.status not in (200, 204) or b"<Error>" in reply.body:
            self._refuse(reply)
            return None
        for key in after:
            del self.instead[key]
        self.versions.update(after)
        self.ledger.count += 1
        return reply

    def _add(self, key: str, entry: Entry, ask: Callable[[], Reply]) -> None:
        """A request that makes a version, whose id the answer says."""
        before = self.versions.get(key, [])
        if (reply := self._change({key: [entry, *before]}, ask)) is not None:
            self.versions[key] = [evolve(entry, id=reply.headers["x-amz-version-id"]), *before]

    def _put_version(self) -> None:
        key, content = self._key(), self._content(self.random.choice((10, 3000, 9000, 70_000)))
        tag = str(content.seed)
        headers = [(b"x-amz-meta-seed", tag.encode()), (b"x-amz-tagging", b"seed=" + tag.encode())]
        self._add(key, Entry(None, content, tag), partial(self._at_versions, "PUT", key, headers, content.body))

    def _copy_version(self) -> None:
        source, key = self._key(), self._key()
        latest = (self.versions.get(source) or [Entry(None)])[0]
        if latest.content is not None and source != key:
            headers = [(b"x-amz-copy-source", f"/{BUCKET}/{source}".encode())]
            self._add(key, evolve(latest, id=None), partial(self._at_versions, "PUT", key, headers))

    def _mark_deleted(self) -> None:
        key = self._key()
        self._add(key, Entry(None), partial(self._at_versions, "DELETE", key))

    def _delete_version(self) -> None:
        key = self._key()
        for _ in range(1 if len(self.versions.get(key, [])) < MOST else 3):
            if not (entries := self.versions.get(key)):
                return
            gone = self.random.choice(entries)
            left = [each for each in entries if each is not gone]
            self._change({key: left}, partial(self._at_versions, "DELETE", f"{key}?versionId={gone.id}"))

    def _delete_many(self) -> None:
        """Versions of several keys at once, each of which is deleted for itself."""
        chosen = {
            key: self.random.choice(found)
            for key in {self._key() for _ in range(4)}
            if (found := self.versions.get(key))
        }
        objects = "".join(
            f"<Object><Key>{k}</Key><VersionId>{gone.id}</VersionId></Object>" for k, gone in chosen.items()
        )
        body = f"<Delete><Quiet>true</Quiet>{objects}</Delete>".encode()
        after = {key: [each for each in self.versions[key] if each is not gone] for key, gone in chosen.items()}
        digest = [(b"content-md5", _content_md5(body))]
        if chosen:
            self._change(after, partial(self._at_versions, "POST", "?delete", digest, body))

    def _retag(self) -> None:
        key = self._key()
        entries = self.versions.get(key) or [Entry(None)]
        if entries[0].content is None:
            return
        tag = str(self.random.getrandbits(40))
        body = f"<Tagging><TagSet><Tag><Key>seed</Key><Value>{tag}</Value></Tag></TagSet></Tagging>".encode()
        after = [evolve(entries[0], tag=tag), *entries[1:]]
        headers = [(b"content-md5", _content_md5(body))]
        self._change({key: after}, partial(self._at_versions, "PUT", f"{key}?tagging", headers, body))

    # -- afterwards

    def check(self) -> list[str]:
        """Look at every key and every version: what is wrong. What was open is settled."""
        wrong = super().check()
        listed = self._listed_versions()
        for key in sorted({*self.versions, *self.instead, *listed}):
            allowed = [self.versions.get(key, []), *([self.instead[key]] if key in self.instead else [])]
            fits = [states for states in allowed if _fits(states, listed.get(key, []))]
            # Two states may differ in the tags alone.
            tag = self._tag(key) if fits and fits[0] and fits[0][0].content is not None else ""
            fits = [states for states in fits if not states or states[0].content is None or states[0].tag == tag]
            if not fits:
                wrong.append(f"{key}: {listed.get(key)} with tag {tag!r}, allowed {allowed}")
                fits = [[]]
            found = zip(fits[0], listed.get(key, []), strict=False)
            self.versions[key] = [evolve(entry, id=each[0]) for entry, each in found]
            wrong += self._look_at_latest(key)
        self.instead.clear()
        return wrong

    def _look_at_latest(self, key: str) -> list[str]:
        reply, entries = self.client.ask("GET", f"/{BUCKET}/{key}"), self.versions[key]
        latest = entries[0].content if entries else None
        if latest is None:
            return [] if reply.status == 404 else [f"{key}: {reply.status} instead of 404"]
        meta = reply.headers.get("x-amz-meta-seed")
        sound = reply.status == 200 and reply.body == latest.body and meta == str(latest.seed)
        return [] if sound else [f"{key}: {reply.status}, {len(reply.body)} bytes, seed {meta}, not {latest}"]

    def _tag(self, key: str) -> str:
        found = re.search(r"<Value>(\d+)</Value>", self.client.ask("GET", f"/{BUCKET}/{key}?tagging").body.decode())
        return found[1] if found else ""

    def _listed_versions(self) -> dict[str, list[tuple[str, str]]]:
        """Of each key, ids and ETags, the newest first: ids begin with a number that rises."""
        page = self.client.ask("GET", f"/{BUCKET}?versions&prefix={self.name}-").body.decode()
        found: dict[str, list[tuple[str, str]]] = {}
        for each in ElementTree.fromstring(re.sub(' xmlns="[^"]*"', "", page)):
            if each.tag in ("Version", "DeleteMarker"):
                shown = each.findtext("VersionId") or "", each.findtext("ETag") or ""
                found.setdefault(each.findtext("Key") or "", []).append(shown)
        return {key: sorted(entries, reverse=True) for key, entries in found.items()}


def _fits(states: list[Entry], found: list[tuple[str, str]]) -> bool:
    return len(states) == len(found) and all(
        entry.id in (None, version_id) and entry.etag == etag
        for entry, (version_id, etag) in zip(states, found, strict=True)
    )


def _content_md5(body: bytes) -> bytes:
    return b64encode(md5(body).digest())
