"""Damage to what is stored, under a real server: no reply is complete and wrong, and nothing that is there is absent.

One bit of each of many objects is flipped on the disk, at a random offset: in blobs, in the bodies inside the index, in
parts. Some blobs are cut short, removed, or swapped with each other. Then every object is read whole, in a range over
the damage, copied and read again, and looked up; some are written anew; and others, that nobody touched, are read. In
the end the scrub of the server and `post3 fsck` each must have found exactly the damaged ones.

`bitrot_pages` damages the index itself.

    python -m tests.durability.bitrot [--pairs 1120] [--seed N]
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing, redirect_stdout
from io import StringIO
from pathlib import Path
from random import Random
from threading import Event

from attrs import define, field, frozen

from post3tw.cli import main as post3
from post3tw.testing.server import RunningServer
from tests.hostile.ledger import MIB, PART, Content
from tests.hostile.raw import Client, Reply
from tests.processes import ROOT
from tests.storage.integrity.damaging import flip_file

_PATIENCE = 600
"""Tenths of a second for a round of the scrub."""

_INLINE = 64 * 1024
_PATCHED = Path(__file__).parent / "patched"
_SCRUBBED = "--scrub-interval=1s", "--scrub-rate=1GiB", "--durability=relaxed", "--reserve=0"


@frozen
class Target:
    """An object, and where it was damaged.

    Attributes:
        key: its key.
        content: what it should hold.
        offset: of the damage in the object.
        parts: whether it was uploaded in parts, each of PART bytes but the last.
    """

    key: str
    content: Content
    offset: int
    parts: bool = False


@define
class Outcome:
    """What came of a run."""

    pairs: int = 0
    replies: int = 0
    errors: int = 0
    cut: int = 0
    found_by_scrub: int = 0
    found_by_fsck: int = 0
    violations: list[str] = field(factory=list)

    def line(self) -> str:
        """The summary."""
        return (
            f"bitrot: {self.pairs} damaged objects, {self.replies} requests for them: {self.errors} errors, {self.cut}"
            f" connections cut; found by the scrub {self.found_by_scrub}, by fsck {self.found_by_fsck};"
            f" {len(self.violations)} violations"
        )


@define
class Run:
    """One store, damaged once.

    Attributes:
        server: on it.
        random: decides everything.
        outcome: is filled in.
    """

    server: RunningServer
    random: Random
    outcome: Outcome = field(factory=Outcome)

    @property
    def client(self) -> Client:
        """Of the running server."""
        return Client(self.server.endpoint, self.server.access_key, self.server.secret_key)

    @property
    def data(self) -> Path:
        """The data directory."""
        assert self.server.data_dir is not None
        return self.server.data_dir

    # -- writing ------------------------------------------------------------------------------------------------------

    def fill(self, count: int) -> tuple[list[Target], list[Target]]:
        """Objects to be damaged, and as many as a tenth of them that are not to be."""
        targets = [self._put(f"{number:05}") for number in range(count)]
        return targets, [self._put(f"untouched{number:05}") for number in range(max(count // 10, 3))]

    def fill_files(self, count: int) -> list[Target]:
        """Objects that have a file each."""
        return [self._put(f"file{number:05}", 0.6) for number in range(count)]

    def _put(self, key: str, kind: float | None = None) -> Target:
        kind = self.random.random() if kind is None else kind
        if kind < 0.5:
            size = self.random.randrange(1, 20_000)
        elif kind < 0.94:
            size = self.random.randrange(_INLINE + 1, 300_000)
        else:
            size = self.random.randrange(2 * MIB, 4 * MIB)
        content = Content(self.random.getrandbits(48), size)
        parts = kind > 0.99
        if parts:
            content = Content(content.seed, PART + size)
            self._upload(key, content)
        else:
            self._require(self.client.ask("PUT", f"/bucket/{key}", body=content.body))
        return Target(key, content, self.random.randrange(content.size), parts)

    def _upload(self, key: str, content: Content) -> None:
        created = self._require(self.client.ask("POST", f"/bucket/{key}?uploads"))
        upload, listed = created.body.decode().partition("<UploadId>")[2].partition("<")[0], ""
        for number, part in enumerate((content.body[:PART], content.body[PART:]), 1):
            query = f"partNumber={number}&uploadId={upload}"
            reply = self._require(self.client.ask("PUT", f"/bucket/{key}?{query}", body=part))
            listed += f"<Part><PartNumber>{number}</PartNumber><ETag>{reply.headers.get('etag')}</ETag></Part>"
        document = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        self._require(self.client.ask("POST", f"/bucket/{key}?uploadId={upload}", body=document))

    def _require(self, reply: Reply) -> Reply:
        if reply.status != 200:
            raise AssertionError(f"not stored: {reply.status} {reply.code}")
        return reply

    # -- damaging -----------------------------------------------------------------------------------------------------

    def flip(self, targets: list[Target]) -> None:
        """Flip a bit of each, while no server is running."""
        pages = self._index.read_bytes()
        for target in targets:
            path, start = self._blob(target)
            if path is not None:
                flip_file(path, target.offset - start)
            else:
                self._flip_body(target, pages)

    def _flip_body(self, target: Target, pages: bytes) -> None:
        """Flip a bit in the file of the index: of what is left of a page that moved as well, until it counts."""
        body, first = target.content.body, max(0, target.offset - 12)
        known, at = body[first : target.offset + 12], -1
        while len(known) > 7 and (at := pages.find(known, at + 1)) >= 0:
            flip_file(self._index, at + target.offset - first)
            if self._body(target) != body:
                return
        with closing(sqlite3.connect(self._index, isolation_level=None)) as index:  # across two pages, or too short
            changed = bytearray(body)
            changed[target.offset] ^= 1
            sql = "UPDATE bodies SET data = ? WHERE id = (SELECT body FROM versions WHERE key = ?)"
            index.execute(sql, (bytes(changed), target.key.encode()))

    def _body(self, target: Target) -> bytes:
        with closing(sqlite3.connect(f"file:{self._index}?mode=ro", uri=True)) as index:
            sql = "SELECT b.data FROM versions v JOIN bodies b ON b.id = v.body WHERE v.key = ?"
            data: bytes = index.execute(sql, (target.key.encode(),)).fetchone()[0]
            return data

    @property
    def _index(self) -> Path:
        return self.data / "index.sqlite3"

    def _blob(self, target: Target) -> tuple[Path | None, int]:
        """The file that has the bytes at a target's offset, and where in the object it begins."""
        with closing(sqlite3.connect(f"file:{self._index}?mode=ro", uri=True)) as index:
            if target.parts:
                sql = (
                    'SELECT p.blob, p."offset" FROM versions v JOIN parts p ON p.owner = v.id'
                    ' WHERE v.key = ? AND p."offset" <= ? ORDER BY p."offset" DESC LIMIT 1'
                )
                blob, start = index.execute(sql, (target.key.encode(), target.offset)).fetchone()
            else:
                sql = "SELECT blob FROM versions WHERE key = ?"
                (blob,), start = index.execute(sql, (target.key.encode(),)).fetchone(), 0
        if blob is None:
            return None, 0
        name = blob.hex()
        return self.data / "blobs" / name[6:8] / name, start

    def spoil_files(self, targets: list[Target]) -> list[Target]:
        """Cut blobs short, remove them, swap them with each other, a third each; which ones it was."""
        files = [
            (target, path) for target in targets if (path := self._blob(target)[0]) is not None and not target.parts
        ]
        for number, (_, path) in enumerate(files):
            if number % 3 == 0:
                os.truncate(path, path.stat().st_size // 2)
            elif number % 3 == 1:
                path.unlink()
            elif number + 3 < len(files):
                other = files[number + 3][1]
                path.rename(path.with_suffix(".swap"))
                other.rename(path)
                path.with_suffix(".swap").rename(other)
        return [target for target, path in files if not path.exists() or path.read_bytes() != target.content.body]

    # -- reading ------------------------------------------------------------------------------------------------------

    def check(self, targets: list[Target], whole: list[Target]) -> None:
        """Read everything in every way."""
        self.outcome.pairs += len(targets)
        for target in targets:
            self._check_damaged(target)
        for target in whole:
            reply = self.client.ask("GET", f"/bucket/{target.key}")
            self._expect(
                reply.body == target.content.body, f"{target.key}, which is whole: {reply.status} {reply.code}"
            )
        listed = self.client.ask("GET", "/bucket?list-type=2")
        self._expect(listed.status == 200, f"a listing: {listed.status} {listed.code}")

    def _check_damaged(self, target: Target) -> None:
        key, body = target.key, target.content.body
        head = self.client.ask("HEAD", f"/bucket/{key}")
        self._expect(head.status == 200, f"HEAD of {key}: {head.status}")
        self._refused(f"GET of {key}", lambda: self.client.ask("GET", f"/bucket/{key}"))
        first = max(0, target.offset - self.random.randrange(1000))
        last = min(len(body) - 1, target.offset + self.random.randrange(1000))
        ranged = [(b"range", b"bytes=%d-%d" % (first, last))]
        self._refused(f"GET of {first}-{last} of {key}", lambda: self.client.ask("GET", f"/bucket/{key}", ranged))
        self._elsewhere(target)
        source = [(b"x-amz-copy-source", f"/bucket/{key}".encode())]
        copied = self.client.ask("PUT", f"/bucket/copy-of-{key}", source)
        if copied.status == 200 and b"<Error>" not in copied.body:
            self._refused(f"GET of a copy of {key}", lambda: self.client.ask("GET", f"/bucket/copy-of-{key}"))
            self.client.ask("DELETE", f"/bucket/copy-of-{key}")

    def _elsewhere(self, target: Target) -> None:
        """A range in another MiB of the same file is not damaged, and is read. (Parts: it may be in another file.)"""
        body, first = target.content.body, target.offset // MIB * MIB - MIB
        if first < 0 or target.parts:
            return
        what, ranged = f"another MiB of {target.key}", [(b"range", b"bytes=%d-%d" % (first, first + 99))]
        try:
            reply = self.client.ask("GET", f"/bucket/{target.key}", ranged)
        except OSError as error:
            self.outcome.violations.append(f"{what}: {error!r}")
            return
        right = reply.status == 206 and reply.body == body[first : first + 100]
        self._expect(right, f"{what}: {reply.status} {reply.code}, {len(reply.body)} bytes")

    def _refused(self, what: str, ask: Callable[[], Reply]) -> None:
        """A request for damaged bytes: an error of the server, or no complete reply."""
        self.outcome.replies += 1
        try:
            reply = ask()
        except TimeoutError:
            self.outcome.violations.append(f"{what}: no answer")
            return
        except ConnectionError:
            self.outcome.cut += 1
            return
        self.outcome.errors += 1
        self._expect(reply.status == 500, f"{what}: {reply.status} with {len(reply.body)} bytes")

    def write_anew(self, targets: list[Target]) -> list[Target]:
        """Write every tenth anew; those that stay damaged."""
        for target in targets[::10]:
            self._require(self.client.ask("PUT", f"/bucket/{target.key}", body=b"new " + target.key.encode()))
            reply = self.client.ask("GET", f"/bucket/{target.key}")
            self._expect(reply.body == b"new " + target.key.encode(), f"{target.key}, written anew: {reply.status}")
        return [target for number, target in enumerate(targets) if number % 10]

    # -- finding ------------------------------------------------------------------------------------------------------

    def find(self, damaged: list[Target]) -> None:
        """The scrub of the server, and fsck beside it, must have found these and no others."""
        wanted = {target.key for target in damaged}
        waiting, scrubbed = Event(), set[str]()
        for _ in range(_PATIENCE):
            with closing(sqlite3.connect(f"file:{self._index}?mode=ro", uri=True)) as index:
                scrubbed = {key.decode() for (key,) in index.execute("SELECT key FROM damage")}
            if scrubbed == wanted:
                break
            waiting.wait(0.1)
        out = StringIO()
        with redirect_stdout(out):
            post3(["fsck", str(self.data), "--json"])
        findings = [json.loads(line) for line in out.getvalue().splitlines()[:-1]]
        checked = {line["what"].removeprefix("s3://bucket/").partition("?")[0] for line in findings}
        for name, found in (("the scrub", scrubbed), ("fsck", checked)):
            self._expect(found == wanted, f"{name}: {len(wanted - found)} not found, {len(found - wanted)} too many")
        self.outcome.found_by_scrub += len(scrubbed & wanted)
        self.outcome.found_by_fsck += len(checked & wanted)

    def _expect(self, holds: bool, violation: str) -> None:
        if not holds:
            self.outcome.violations.append(violation)


def main(pairs: int = 1120, seed: int = 0, place: Path | None = None, patch: str = "") -> Outcome:
    """Damage as many objects by a bit each, and some by more. `patch` is a mistake that the server is to make."""
    with tempfile.TemporaryDirectory(dir=place) as directory:
        mistake = {"DURABILITY_PATCHES": patch, "PYTHONPATH": f"{_PATCHED}:{ROOT}"} if patch else {}
        run = Run(RunningServer(data_dir=Path(directory), options=_SCRUBBED, environment=mistake), Random(seed))
        with run.server:
            run.client.ask("PUT", "/bucket")
            targets, whole = run.fill(pairs)
            spoilt = run.fill_files(max(pairs // 10, 9))
        run.flip(targets)
        targets += run.spoil_files(spoilt)
        with run.server:
            run.check(targets, whole)
            if not patch:  # whose scrub may never find what is damaged
                run.find(run.write_anew(targets))
    return run.outcome


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=1120)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    result = main(options.pairs, options.seed)
    sys.stdout.write("".join(f"{violation}\n" for violation in result.violations[:20]) + result.line() + "\n")
    sys.exit(1 if result.violations else 0)
