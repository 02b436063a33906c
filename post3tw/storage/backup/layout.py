"""What is where in a backup.

BACKUP/post3-backup     which store it is of; its lock (flock) belongs to whoever works on it
BACKUP/blobs/           the blobs of all snapshots, each once, named as in a data directory
BACKUP/snapshots/NAME/  one moment of the store: the index, and a manifest
BACKUP/tmp/             what is in the making

Everything is made in `tmp`, synced, and renamed to where it belongs, so what is in `blobs` and `snapshots` is whole;
what is in `tmp` is nothing. (A server names a blob first: there a row says later that it is whole.) A backup that was
ended in whatever way is gone on with by making it again: the blobs that it had copied are there.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrs import asdict, define, field, frozen
from attrs.validators import instance_of

from post3tw.model.errors import DomainError
from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.files import Files, open_regular
from post3tw.storage.interfaces import StoreRefused
from post3tw.storage.threads import NoThreads

INDEX = "index.sqlite3"
MANIFEST = "manifest.json"
BLOBS_ONLY = "blobs only"
"""In place of the id of a store: what this backup belongs to is not in it."""

_FORMAT = 1
_NAME = re.compile(r"\d{8}T\d{6}Z(-\d+)?")
_PIECE = 1 << 20


@frozen
class Manifest:
    """What is said of a snapshot.

    Attributes:
        taken: when, in milliseconds since the epoch.
        store: the id of the store.
        index_size: bytes of the index.
        index_sha256: of the same, in hex.
        blobs: how many blobs it needs.
        blob_bytes: how many bytes these have.
        damaged: ids, in hex, of blobs that were damaged when it was taken, and are not in the backup.
        format: of the backup.
    """

    taken: int = field(validator=instance_of(int))
    store: str = field(validator=instance_of(str))
    index_size: int = field(validator=instance_of(int))
    index_sha256: str = field(validator=instance_of(str))
    blobs: int = field(validator=instance_of(int))
    blob_bytes: int = field(validator=instance_of(int))
    damaged: list[str] = field(validator=instance_of(list))
    format: int = _FORMAT


@define(eq=False)
class Backup:
    """A backup directory, made when it is not there.

    Attributes:
        path: where it is.
        files: the file layer.
        blobs: its blobs.
    """

    path: str
    files: Files = field(factory=Files)
    blobs: FileBlobs = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.blobs = FileBlobs(self.files, NoThreads(), self._path("blobs"), self.temporary, named_last=True)

    @property
    def temporary(self) -> str:
        """Where everything is made."""
        return self._path("tmp")

    @contextmanager
    def written(self, store: str) -> Iterator[None]:
        """Add to it, as nobody else does meanwhile.

        Args:
            store: whose backup it is to be.

        Raises:
            StoreRefused: it is another store's, or no backup; or somebody else works on it.
        """
        try:
            self._make(store)
        except DomainError as error:
            raise StoreRefused(f"{self.path} cannot be made a backup: {error}") from error
        with self._locked(fcntl.LOCK_EX) as label:
            if label["store"] != store:
                raise StoreRefused(f"{self.path} is the backup of another store")
            shutil.rmtree(self.temporary, ignore_errors=True)
            self.files.make_directory(self.temporary)
            yield

    @contextmanager
    def read(self) -> Iterator[None]:
        """Read from it, while nobody adds to it. It may be on a medium that cannot be written to.

        Raises:
            StoreRefused: it is no backup; or somebody works on it.
        """
        with self._locked(fcntl.LOCK_SH):
            yield

    def snapshots(self) -> list[str]:
        """The names of its snapshots, the oldest first."""
        return [name for name in self.files.names(self._path("snapshots")) if _NAME.fullmatch(name)]

    def snapshot(self, name: str, file: str) -> str:
        """The path of a snapshot's file."""
        return os.path.join(self._path("snapshots"), name, file)

    def manifest(self, name: str) -> Manifest:
        """What is said of a snapshot.

        Raises:
            StoreRefused: there is none of this name, or it cannot be read.
        """
        try:
            with open(open_regular(self.snapshot(name, MANIFEST)), encoding="utf-8") as file:
                manifest = Manifest(**json.load(file))
        except FileNotFoundError:
            raise StoreRefused(
                f"{self.path} has no snapshot {name}; `post3 restore {self.path} --list` lists them"
            ) from None
        except (OSError, ValueError, TypeError) as error:
            raise StoreRefused(f"{self.path} has no snapshot {name} that can be read: {error}") from error
        if manifest.format != _FORMAT:
            raise StoreRefused(f"snapshot {name} was made by another release (format {manifest.format})")
        return manifest

    def add_snapshot(self, name: str, directory: str, manifest: Manifest) -> str:
        """Make a snapshot of a directory in `tmp` that has the index; its name, which nobody has yet."""
        write_durably(self.files, os.path.join(directory, MANIFEST), json.dumps(asdict(manifest), indent=1).encode())
        self.files.sync_directory(directory)
        taken, number, given = set(self.snapshots()), 1, name
        while name in taken:
            number += 1
            name = f"{given}-{number}"
        self.files.rename(directory, os.path.join(self._path("snapshots"), name))
        self.files.sync_directory(self._path("snapshots"))
        return name

    def remove_snapshot(self, name: str) -> None:
        """Remove a snapshot, at once as far as anybody can see; its blobs stay."""
        doomed = os.path.join(self.temporary, name)
        self.files.rename(os.path.join(self._path("snapshots"), name), doomed)
        self.files.sync_directory(self._path("snapshots"))
        shutil.rmtree(doomed)

    @property
    def _label(self) -> str:
        return self._path("post3-backup")

    def _path(self, name: str) -> str:
        return os.path.join(self.path, name)

    def _make(self, store: str) -> None:
        """Make what is missing. The label comes last: a directory without one is no backup, and must be empty."""
        files = self.files
        files.make_directory(self.path)
        if files.exists(self._label):
            return
        left = set(files.names(self.path)) - {"blobs", "snapshots", "tmp", "label"}
        if left:
            raise StoreRefused(f"{self.path} is neither a backup nor empty: there is {sorted(left)[0]}")
        for name in ("blobs", "snapshots", "tmp"):
            files.make_directory(self._path(name))
        files.unlink(self._path("label"))
        write_durably(files, self._path("label"), json.dumps({"format": _FORMAT, "store": store}).encode())
        files.rename(self._path("label"), self._label)
        files.sync_directory(self.path)
        files.sync_directory(os.path.dirname(os.path.abspath(self.path)))

    @contextmanager
    def _locked(self, how: int) -> Iterator[dict[str, Any]]:
        """Its label, while it is locked."""
        try:
            descriptor = open_regular(self._label)
        except (FileNotFoundError, NotADirectoryError):
            raise StoreRefused(f"{self.path} is no backup") from None
        with open(descriptor, encoding="utf-8") as file:
            try:
                fcntl.flock(file, how | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreRefused(f"another program is at work on {self.path}") from None
            try:
                label = json.load(file)
                made, _ = label["format"], label["store"]
            except (ValueError, TypeError, KeyError) as error:
                raise StoreRefused(f"{self._label} cannot be read: {error}") from error
            if made != _FORMAT:
                raise StoreRefused(f"{self.path} was made by another release (format {made})")
            yield label


def require_outside(path: str, directory: str) -> None:
    """See that what is to be made is not within what it is made of: it would go with that, or be taken for a part.

    Raises:
        StoreRefused: it is, by whatever links.
    """
    whole = os.path.realpath(directory)
    if os.path.commonpath([whole, os.path.realpath(path)]) == whole:
        raise StoreRefused(f"{path} is within {directory}: it needs a place of its own")


# -- files ------------------------------------------------------------------------------------------------------------


def write_durably(files: Files, path: str, data: bytes) -> None:
    """Make a file; its name is durable when its directory is synced."""
    file = files.create(path)
    try:
        file.write(data)
        file.sync()
    finally:
        file.close()


def sha256_of(files: Files, path: str, copy: str | None = None) -> tuple[int, str]:
    """Size and SHA-256 (in hex) of a file; with `copy`, while a durable copy of it is made."""
    source, digest, size = files.open(path), hashlib.sha256(), 0
    target = None if copy is None else files.create(copy)
    try:
        while data := source.read(size, _PIECE):
            digest.update(data)
            size += len(data)
            if target is not None:
                target.write(data)
        if target is not None:
            target.sync()
    finally:
        source.close()
        if target is not None:
            target.close()
    return size, digest.hexdigest()
