"""Where in a directory blobs lie, and how their names become durable.

Theory of operation. A blob lies in `blobs/<ab>/<id>`, where `ab` is the fourth byte of its id. Ids begin with the time
in milliseconds, of which that byte counts spans of 65 seconds, so what is written at about the same time lies in one
directory, and a minute later in the next of 256: they fill evenly, and one sync of a directory makes many names
durable. A sync promises what was done before it began. So whoever has renamed a file notes how many syncs of the
directory have begun by then, and needs the next one, or any after that, whoever asked for it. One that failed since
before he renamed it may have been the one that lost the name, whatever the next one says.

A directory appears when a blob first needs it, and its own name is synced then, as at the first use in each process:
one that exists was perhaps made just before a power cut.

Stores made before that have blobs in `blobs/<cd>/<ef>/<id>`, after the last two bytes of the id. They stay there, and
are looked for where a blob is not in its place: a blob that is costs nothing more (docs/decisions/0011).
"""

from __future__ import annotations

import os
import re
from threading import Condition

from attrs import define, field

from post3tw.model.errors import StorageFailed
from post3tw.storage.files import Files

_NAME = re.compile(r"[0-9a-f]{32}")
_FANOUT = re.compile(r"[0-9a-f]{2}")


@define(eq=False)
class SharedSyncs:
    """Syncs of one directory, for threads that wait for them together.

    One that failed was the last that could say what had become of the names before it: the system forgets what it could
    not write. So it fails for all who needed it, also those who come later.
    """

    files: Files
    directory: str
    _turn: Condition = field(factory=Condition, init=False, repr=False)
    _busy: bool = field(default=False, init=False)
    _begun: int = field(default=0, init=False)
    _done: int = field(default=0, init=False)
    _failed: int = field(default=0, init=False)

    def moment(self) -> int:
        """Now: how many syncs have begun, each that failed counted twice."""
        return self._begun

    def keep(self, moment: int, since: int | None = None) -> None:
        """Return when a sync that began after `moment` is done: somebody else's, or one made here.

        Args:
            moment: after the change that is to be durable.
            since: before it, `moment` when not given. No sync may have failed since.

        Raises:
            StorageFailed, InsufficientStorage: it failed.
        """
        since = moment if since is None else since
        with self._turn:
            while self._failed <= since and self._done <= moment and self._busy:
                self._turn.wait()
            if self._failed > since:
                raise StorageFailed(path=self.directory, reason="a sync has failed")
            if self._done > moment:
                return
            self._busy = True
            self._begun += 1
            number = self._begun
        failed = True
        try:
            self.files.sync_directory(self.directory)
            failed = False
        finally:
            with self._turn:
                self._busy = False
                if failed:
                    self._begun += 1  # whoever has come by now may have had his change in it
                    self._failed = self._begun
                else:
                    self._done = number
                self._turn.notify_all()


@define(eq=False)
class Places:
    """The places of finished blobs. All but the names are for threads.

    Attributes:
        files: the file layer.
        directory: where they are; exists.
        durable: whether names are synced.
    """

    files: Files
    directory: str
    durable: bool
    _syncs: dict[str, SharedSyncs] = field(factory=dict, init=False, repr=False)
    _ready: set[str] = field(factory=set, init=False, repr=False)
    """Directories whose own names this process has made durable."""

    def path(self, blob_id: bytes) -> str:
        """Where a blob is put."""
        name = blob_id.hex()
        return os.path.join(self.directory, name[6:8], name)

    def old_path(self, blob_id: bytes) -> str:
        """Where stores had it that were made before."""
        name = blob_id.hex()
        return os.path.join(self.directory, name[-4:-2], name[-2:], name)

    def find(self, blob_id: bytes) -> str:
        """Where a blob is, or would be put if it is nowhere."""
        path, old = self.path(blob_id), self.old_path(blob_id)
        return path if self.files.exists(path) or not self.files.exists(old) else old

    def directories(self) -> list[str]:
        """Every directory in which there may be blobs."""
        tops = self._fanout(self.directory)
        return [*tops, *(below for top in tops for below in self._fanout(top))]

    def ids_in(self, directory: str) -> list[bytes]:
        """The blobs in one of them."""
        return [bytes.fromhex(name) for name in self.files.names(directory) if _NAME.fullmatch(name)]

    def prepare(self, directory: str) -> bool:
        """Make sure that the directory of a blob exists; whether its own name is durable."""
        if directory in self._ready:
            return True
        if os.path.dirname(directory) != self.directory:
            self.prepare(os.path.dirname(directory))
        self.files.make_directory(directory)
        return False

    def syncs(self, directory: str) -> SharedSyncs:
        """Those of a directory."""
        found = self._syncs.get(directory)
        if found is None:
            found = self._syncs.setdefault(directory, SharedSyncs(self.files, directory))
        return found

    def keep_directory(self, directory: str) -> None:
        """Make the name of a directory durable."""
        if directory == self.directory or directory in self._ready:
            return
        above = os.path.dirname(directory)
        if self.durable:
            syncs = self.syncs(above)
            syncs.keep(syncs.moment())
        self.keep_directory(above)
        self._ready.add(directory)

    def keep(self, path: str) -> None:
        """Make a name durable that an earlier process gave, and perhaps did not live to sync. One sync in each process
        is enough for a directory: whatever this one names it syncs itself."""
        directory = os.path.dirname(path)
        if directory not in self._ready:
            if self.durable:
                syncs = self.syncs(directory)
                syncs.keep(syncs.moment())
            self.keep_directory(directory)

    def remove(self, blob_ids: list[bytes]) -> None:
        """Remove blobs, durably. Also a directory where there was nothing to remove is synced: an earlier attempt may
        have failed, or died, between removing and syncing."""
        directories = set()
        for blob_id in blob_ids:
            for path in (self.path(blob_id), self.old_path(blob_id)):
                directories.add(os.path.dirname(path))
                if self.files.unlink(path):
                    break
        if self.durable:
            for directory in sorted(directories):
                if self.files.exists(directory):
                    syncs = self.syncs(directory)
                    syncs.keep(syncs.moment())

    def _fanout(self, directory: str) -> list[str]:
        return [os.path.join(directory, name) for name in self.files.names(directory) if _FANOUT.fullmatch(name)]
