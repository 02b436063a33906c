"""Tests of post3tw.storage.blobs.places and recent."""

from __future__ import annotations

import errno
import os
from threading import Event, Thread

from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import TestCase

from post3tw.model.errors import CorruptedData, DomainError, StorageFailed
from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.blobs.places import SharedSyncs
from post3tw.storage.blobs.recent import Recent
from post3tw.storage.files import Files
from post3tw.storage.threads import NoThreads
from post3tw.testing.blob_fixture import ONE, TWO
from tests.storage.faulty import FaultyFiles


class SlowFiles(Files):
    """Files whose syncs of directories wait until they are let go, or fail then."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[Event] = [Event() for _ in range(5)]
        self.go: list[Event] = [Event() for _ in range(5)]
        self.count = 0
        self.failing: set[int] = set()

    def sync_directory(self, path: str) -> None:
        """Wait for `go`."""
        number = self.count
        self.count += 1
        self.begun[number].set()
        self.go[number].wait(10)
        if number in self.failing:
            raise StorageFailed(path=path, reason="test")


class SharedSyncsTests(TestCase):
    """Threads that want a directory synced."""

    def setUp(self) -> None:
        """Syncs that are held."""
        self.files = SlowFiles()
        self.syncs = SharedSyncs(self.files, "directory")
        self.outcomes: list[str] = []
        for event in self.files.go:
            self.addCleanup(event.set)

    def keep(self, moment: int) -> Thread:
        """Ask for a sync in a thread; what comes of it goes to `outcomes`."""

        def run() -> None:
            try:
                self.syncs.keep(moment)
            except DomainError:
                self.outcomes.append("failed")
            else:
                self.outcomes.append("kept")

        thread = Thread(target=run, daemon=True)
        thread.start()
        return thread

    def under_way(self) -> Thread:
        """A first sync that has begun."""
        thread = self.keep(self.syncs.moment())
        self.files.begun[0].wait(10)
        return thread

    def test_begun_too_early(self) -> None:
        """A sync that had begun before a change does not count for it; the next counts for all who came meanwhile."""
        first = self.under_way()
        later = [self.keep(self.syncs.moment()) for _ in range(3)]
        self.files.go[0].set()
        first.join(10)
        self.files.begun[1].wait(10)
        self.assertEqual(self.outcomes, ["kept"])
        self.files.go[1].set()
        for thread in later:
            thread.join(10)
        self.assertEqual((self.outcomes, self.files.count), (["kept"] * 4, 2))

    def test_begun_since(self) -> None:
        """Whoever finds that a sync has begun and ended since his change needs none."""
        moment = self.syncs.moment()
        self.files.go[0].set()
        self.syncs.keep(self.syncs.moment())
        self.syncs.keep(moment)
        self.assertEqual(self.files.count, 1)

    def test_failure_is_everybodys(self) -> None:
        """A sync that failed fails all who needed it, also those who ask when it is over and another succeeded."""
        self.files.failing.add(0)
        late = self.syncs.moment()
        first = self.under_way()
        waiting = self.keep(late)
        self.files.go[0].set()
        self.files.go[1].set()
        first.join(10)
        waiting.join(10)
        self.assertEqual(self.outcomes, ["failed", "failed"])
        self.syncs.keep(self.syncs.moment())
        with self.assertRaises(StorageFailed):
            self.syncs.keep(late)

    def test_failure_between(self) -> None:
        """It fails those as well who had changed something before it was over, and come when it is: the next one would
        succeed without having written that."""
        self.files.failing.add(0)
        for event in self.files.go[1:]:
            event.set()
        before = self.syncs.moment()
        first = self.under_way()
        during = self.syncs.moment()
        self.files.go[0].set()
        first.join(10)
        after = self.syncs.moment()
        for moment, since in ((after, before), (after, during), (during, None)):
            with self.assertRaises(StorageFailed):
                self.syncs.keep(moment, since)
        self.assertEqual(self.files.count, 1)
        self.syncs.keep(after, after)
        self.assertEqual(self.files.count, 2)


class OldStoreTests(TestCase):
    """Blobs where earlier releases put them."""

    def setUp(self) -> None:
        """Two blobs, one of them in its old place."""
        self.directory = self.mktemp()
        self.files = FaultyFiles()
        blobs, temporary = os.path.join(self.directory, "blobs"), os.path.join(self.directory, "tmp")
        for path in (blobs, temporary):
            os.makedirs(path)
        self.store = FileBlobs(self.files, NoThreads(), blobs, temporary)
        for blob_id in (ONE, TWO):
            self.successResultOf(ensureDeferred(self.put(blob_id)))
        self.old = os.path.join(blobs, "0e", "0f", ONE.hex())
        os.makedirs(os.path.dirname(self.old))
        os.rename(self.store.path(ONE), self.old)
        self.files.calls.clear()

    async def put(self, blob_id: bytes) -> None:
        """Write a blob that holds its own id."""
        writer = await self.store.create(blob_id)
        await writer.write(blob_id)
        await writer.finish()

    async def test_read(self) -> None:
        """They are read; a blob in its new place is opened without looking elsewhere."""
        for blob_id in (ONE, TWO):
            reader = await self.store.open(blob_id)
            self.assertEqual(await reader.read(0, 16), blob_id)
            reader.close()
        new = [self.store.path(blob_id) for blob_id in (ONE, TWO)]
        self.assertEqual(self.files.called("open"), [new[0], self.old, new[1]])
        self.assertEqual(self.files.called("stat"), [])

    async def test_found(self) -> None:
        """They are in the inventory, and whoever wants the file finds it."""
        self.assertEqual(sorted(await self.store.blob_ids()), [ONE, TWO])
        self.assertEqual(
            [self.store.find(blob_id) for blob_id in (ONE, TWO)], [self.old, os.path.join(self.store.path(TWO))]
        )

    async def test_deleted(self) -> None:
        """They are deleted durably, wherever they are."""
        await self.store.delete([ONE, TWO])
        self.assertEqual(await self.store.blob_ids(), [])
        synced = {os.path.dirname(self.store.path(TWO)), os.path.dirname(self.old)}
        self.assertEqual(set(self.files.called("fsync")), synced)
        with self.assertRaises(CorruptedData):
            await self.store.open(ONE)

    async def test_replaced(self) -> None:
        """What takes the place of one takes its old place: there are never two."""
        self.store.replaces = self.store.named_last = True
        await self.put(ONE)
        self.assertEqual((os.path.exists(self.store.path(ONE)), os.path.exists(self.old)), (False, True))

    def test_name_is_kept(self) -> None:
        """Their names, and those of their directories, can be made durable."""
        self.store.places.keep(self.old)
        below, above = os.path.dirname(self.old), os.path.dirname(os.path.dirname(self.old))
        self.assertEqual(self.files.called("fsync"), [below, above, self.store.directory])


class RecentTests(TestCase):
    """What stays in memory."""

    def test_oldest_first(self) -> None:
        """The oldest are overdue, until the others are within the bound; nothing is overdue twice."""
        recent = Recent(10)
        for name in "abcd":
            recent.add(name, 4)
        self.assertEqual((recent.overdue(), recent.overdue(), recent.size), (["a", "b"], [], 8))

    def test_read(self) -> None:
        """What was read stays."""
        recent = Recent(10)
        for name in "abc":
            recent.add(name, 4)
        recent.drop("a")
        recent.drop("unknown")
        self.assertEqual((recent.overdue(), recent.size), ([], 8))

    async def test_forgotten(self) -> None:
        """The bytes of overdue blobs are advised away when the next is begun, and neither a missing file nor a system
        that fails is in its way."""
        directory, files = self.mktemp(), FaultyFiles()
        os.makedirs(directory)
        store = FileBlobs(files, NoThreads(), directory, directory, recent=20)
        ids = [bytes([number]) * 16 for number in range(4)]
        for blob_id in ids:
            writer = await store.create(blob_id)
            await writer.write(bytes(16))
            await writer.finish()
        self.assertEqual(files.called("posix_fadvise"), [store.path(ids[0]), store.path(ids[1])])
        os.unlink(store.path(ids[2]))
        files.calls.clear()
        await (await store.create(bytes([9]) * 16)).abandon()
        self.assertEqual(files.called("posix_fadvise"), [])
        store.written.add(store.path(ids[3]), 30)
        writer = await store.create(bytes([10]) * 16)
        self.assertEqual(files.called("posix_fadvise"), [store.path(ids[3])])
        await writer.abandon()
        store.written.add(store.path(ids[3]), 30)
        files.fail["posix_fadvise"] = files.fail["close"] = errno.EIO
        writer = await store.create(bytes([11]) * 16)
        files.fail.clear()
        await writer.abandon()
