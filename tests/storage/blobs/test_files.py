"""Tests of post3tw.storage.blobs.files."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Coroutine
from itertools import groupby
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from post3tw.model.errors import CorruptedData, DomainError, InsufficientStorage, StorageFailed
from post3tw.storage.blobs import files
from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.files import Files
from post3tw.storage.threads import IThreads, NoThreads, Threads
from post3tw.testing.blob_contract import BlobStoreContract
from post3tw.testing.blob_fixture import MIB, ONE, TWO, noise
from tests.service.bodies import HeldThreads
from tests.storage.faulty import FaultyFiles, open_files

NAME = "000102030405060708090a0b0c0d0e0f"
NEAR, FAR = ONE[:4] + b"another one!", b"far away from it"
"""In the same directory as ONE, and in another."""


def store_in(directory: str, files: Files, threads: IThreads, *, durable: bool = True) -> FileBlobs:
    """A store in a directory that is made when needed."""
    blobs, temporary = os.path.join(directory, "blobs"), os.path.join(directory, "tmp")
    os.makedirs(blobs, exist_ok=True)
    os.makedirs(temporary, exist_ok=True)
    return FileBlobs(files, threads, blobs, temporary, durable)


class FileBlobsTests(BlobStoreContract, TestCase):
    """The contract, with threads."""

    def setUp(self) -> None:
        """A place for the store."""
        self.directory = self.mktemp()

    def make_store(self) -> FileBlobs:
        """Blobs in files."""
        from twisted.internet import reactor

        return store_in(self.directory, Files(), Threads(reactor, "disk", 4))


class RelaxedFileBlobsTests(BlobStoreContract, TestCase):
    """The contract, without threads or syncs."""

    def setUp(self) -> None:
        """A place for the store."""
        self.directory = self.mktemp()

    def make_store(self) -> FileBlobs:
        """Blobs in files that a power cut may take."""
        return store_in(self.directory, Files(), NoThreads(), durable=False)


def ended(coroutine: Coroutine[Any, Any, None]) -> Deferred[None]:
    """Fires when it is."""
    return Deferred.fromCoroutine(coroutine)


class MarkedBlobsTests(TestCase):
    """Processes of one server that keep blobs in one directory."""

    async def test_left_over(self) -> None:
        """Who takes the place of a dead process removes what that one left behind, and nothing of the others'; who is
        the first of a server removes everything."""
        directory = self.mktemp()
        stores = [store_in(directory, Files(), NoThreads()) for _ in range(2)]
        for number, store in enumerate(stores):
            store.mark, store.alone = f".{number}", False
            writer = await store.create(bytes([number]) * 16)
            self.addCleanup(ended, writer.abandon())
        temporary = os.path.join(directory, "tmp")
        self.assertEqual(len(os.listdir(temporary)), 2)
        await stores[0].start()
        self.assertEqual(os.listdir(temporary), ["01" * 16 + ".1"])
        await store_in(directory, Files(), NoThreads()).start()
        self.assertEqual(os.listdir(temporary), [])


class FilesOnDiskTests(TestCase):
    """What FileBlobs does on disk, and what it does when the disk fails."""

    async def start(self, *, durable: bool = True) -> FileBlobs:
        """A started store over files that can fail."""
        self.directory = self.mktemp()
        self.full = 0
        self.files = FaultyFiles(self.count_full)
        store = store_in(self.directory, self.files, NoThreads(), durable=durable)
        await store.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(store.stop()))
        return store

    def count_full(self) -> None:
        """Called when the disk is full."""
        self.full += 1

    def found(self) -> list[str]:
        """Every file below the store's directory."""
        return sorted(
            os.path.relpath(os.path.join(top, name), self.directory)
            for top, _, names in os.walk(self.directory)
            for name in names
        )

    async def put(self, store: FileBlobs, blob_id: bytes = ONE, data: bytes = b"bytes") -> None:
        """Write a blob, or abandon it as its writer does."""
        writer = await store.create(blob_id)
        try:
            await writer.write(data)
            await writer.finish()
        except BaseException:
            await writer.abandon()
            raise

    async def get(self, store: FileBlobs, blob_id: bytes, length: int) -> bytes:
        """Read a blob."""
        reader = await store.open(blob_id)
        try:
            return await reader.read(0, length)
        finally:
            reader.close()

    async def test_layout(self) -> None:
        """A blob's file is named after its id and lies under its fourth byte."""
        await self.put(await self.start())
        self.assertEqual(self.found(), [f"blobs/03/{NAME}"])

    async def test_private(self) -> None:
        """Files and directories are ours alone."""
        await self.put(await self.start())
        for path, mode in (("blobs/03", 0o700), (f"blobs/03/{NAME}", 0o600)):
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.directory, path)).st_mode), mode)

    async def test_unfinished_is_elsewhere(self) -> None:
        """A blob in the making is in tmp/."""
        store = await self.start()
        writer = await store.create(ONE)
        await writer.write(b"x")
        self.assertEqual(self.found(), [f"tmp/{NAME}"])
        await writer.abandon()
        self.assertEqual(self.found(), [])

    async def test_order_of_calls(self) -> None:
        """The file is renamed, then its contents are synced, then its name and those of its directories."""
        store = await self.start()
        writer = await store.create(ONE)
        await writer.write(b"x")
        self.files.calls.clear()
        await writer.finish()
        blobs, temporary = store.directory, os.path.join(store.temporary, NAME)
        done = [call for call in self.files.calls if call[0] in ("fdatasync", "mkdir", "fsync", "rename")]
        self.assertEqual(
            done,
            [
                ("mkdir", f"{blobs}/03"),
                ("rename", temporary),
                ("fdatasync", temporary),
                ("fsync", f"{blobs}/03"),
                ("fsync", blobs),
            ],
        )

    async def test_named_last(self) -> None:
        """Where a name must say that a blob is whole, contents are synced before it is given."""
        store = await self.start()
        store.named_last = True
        await self.put(store)
        done = [name for name, _ in self.files.calls if name in ("fdatasync", "rename")]
        self.assertEqual(done, ["fdatasync", "rename"])

    async def test_name_of_an_earlier_process(self) -> None:
        """A name that an earlier process gave is made durable with those of its directories, once in each process; one
        that this process gave is."""
        await self.put(await self.start())
        files = FaultyFiles()
        store = store_in(self.directory, files, NoThreads())
        store.places.keep(store.path(ONE))
        names = [f"{store.directory}/03", store.directory]
        self.assertEqual(files.called("fsync"), names)
        store.places.keep(store.path(ONE))
        await self.put(store, NEAR)
        store.places.keep(store.path(NEAR))
        self.assertEqual(files.called("fsync"), [*names, names[0]])

    async def put_large(self, store: FileBlobs, frames: int) -> list[str]:
        """Write a blob of so many MiB; the calls on its file, runs of writes as one."""
        writer = await store.create(ONE)
        self.files.calls.clear()
        for _ in range(frames):
            await writer.write(bytes(MIB))
        await writer.finish()
        wanted = ("write", "posix_fadvise", "fdatasync")
        return [name for name, _ in groupby(name for name, _ in self.files.calls if name in wanted)]

    async def test_large_blobs_leave_memory(self) -> None:
        """A large blob is written out on the way, and forgotten when it is durable."""
        calls = await self.put_large(await self.start(), 25)
        on_the_way = ["write", "posix_fadvise"] * 2
        self.assertEqual(calls, [*on_the_way, "write", "fdatasync", "posix_fadvise"])

    async def test_small_blobs_stay_in_memory(self) -> None:
        """Below 16 MiB a blob is kept, for who just wrote it often reads it."""
        self.assertEqual(await self.put_large(await self.start(), 15), ["write", "fdatasync"])

    async def test_memory_is_only_advice(self) -> None:
        """A file system that takes no advice stores large blobs all the same."""
        store = await self.start()
        self.files.fail["posix_fadvise"] = errno.EINVAL
        await self.put_large(store, 17)
        self.assertEqual(await self.get(store, ONE, 17 * MIB), bytes(17 * MIB))

    async def test_directories_are_made_once(self) -> None:
        """A directory that this process knows costs nothing more."""
        store = await self.start()
        await self.put(store)
        self.files.calls.clear()
        await self.put(store, NEAR)
        self.assertEqual(self.files.called("mkdir"), [])
        self.assertEqual(self.files.called("fsync"), [f"{store.directory}/03"])
        await self.put(store, ONE[:3] + b"\xff" + ONE[4:])
        self.assertEqual(self.files.called("mkdir"), [f"{store.directory}/ff"])

    async def test_old_directories_are_synced_again(self) -> None:
        """A directory that an earlier process made may not be durable yet, so its name is synced at first use."""
        await self.put(await self.start())
        files = FaultyFiles()
        store = store_in(self.directory, files, NoThreads())
        await store.start()
        await self.put(store, NEAR)
        self.assertEqual(files.called("fsync"), [f"{store.directory}/03", store.directory])

    async def test_relaxed(self) -> None:
        """Relaxed durability syncs nothing."""
        store = await self.start(durable=False)
        await self.put(store)
        await store.delete([ONE])
        self.assertEqual(self.files.called("fdatasync") + self.files.called("fsync"), [])

    async def test_delete_is_durable(self) -> None:
        """The directories of deleted blobs are synced, each once; one that does not exist is not."""
        store = await self.start()
        await self.put(store)
        await self.put(store, NEAR)
        self.files.calls.clear()
        await store.delete([ONE, NEAR, TWO])
        self.assertEqual(self.files.called("fsync"), [f"{store.directory}/03"])

    async def test_delete_again(self) -> None:
        """What was removed by an attempt that could not sync is synced by the next, or it might come back unknown."""
        store = await self.start()
        await self.put(store)
        self.files.fail["fsync"] = errno.EIO
        with self.assertRaises(StorageFailed):
            await store.delete([ONE])
        self.files.fail.clear()
        self.files.calls.clear()
        await store.delete([ONE])
        self.assertEqual(self.files.called("fsync"), [f"{store.directory}/03"])

    async def test_start_clears_leftovers(self) -> None:
        """Half-written blobs of an earlier process are removed, and nothing that we did not name."""
        store = await self.start()
        await self.put(store)
        keep = ["tmp/README", "tmp/" + NAME + ".txt", "tmp/" + NAME.upper(), "blobs/note"]
        for name in [*keep, "tmp/" + "f" * 32]:
            with open(os.path.join(self.directory, name), "w"):
                pass
        await store.start()
        self.assertEqual(self.found(), sorted([*keep, f"blobs/03/{NAME}"]))

    async def test_inventory_ignores_strangers(self) -> None:
        """Files that we did not name are not blobs."""
        store = await self.start()
        await self.put(store)
        for name in ("blobs/note", "blobs/03/note"):
            with open(os.path.join(self.directory, name), "w"):
                pass
        os.mkdir(os.path.join(self.directory, "blobs/lost+found"))
        self.assertEqual(await store.blob_ids(), [ONE])

    async def test_failed_sync_is_not_repeated(self) -> None:
        """A blob that could not be synced is not acknowledged, is gone, and the sync is not tried again."""
        store = await self.start()
        writer = await store.create(ONE)
        await writer.write(b"x")
        self.files.fail["fdatasync"] = errno.EIO
        with self.assertRaises(StorageFailed):
            await writer.finish()
        self.files.fail.clear()
        await writer.abandon()
        self.assertEqual(len(self.files.called("fdatasync")), 1)
        self.assertEqual(self.found(), [])

    async def test_second_finish_after_failed_sync(self) -> None:
        """Finishing again after a failed sync cannot succeed."""
        store = await self.start()
        writer = await store.create(ONE)
        await writer.write(b"x")
        self.files.fail["fdatasync"] = errno.EIO
        with self.assertRaises(StorageFailed):
            await writer.finish()
        self.files.fail.clear()
        with self.assertRaises(StorageFailed):
            await writer.finish()
        await writer.abandon()
        with self.assertRaises(CorruptedData):
            await store.open(ONE)

    async def test_no_write_after_a_failed_one(self) -> None:
        """After a write that failed, perhaps in the middle, nothing more is written and nothing is finished."""
        store = await self.start()
        writer = await store.create(ONE)
        self.files.fail["write"] = errno.EIO
        with self.assertRaises(StorageFailed):
            await writer.write(b"x")
        self.files.fail.clear()
        with self.assertRaises(StorageFailed):
            await writer.write(b"y")
        with self.assertRaises(StorageFailed):
            await writer.finish()
        await writer.abandon()
        self.assertEqual(self.found(), [])

    async def test_failed_directory_sync(self) -> None:
        """A blob whose name could not be made durable is not acknowledged, and goes."""
        store = await self.start()
        await self.put(store, NEAR)
        self.files.fail["fsync"] = errno.EIO
        with self.assertRaises(StorageFailed):
            await self.put(store)
        self.assertEqual(len(self.found()), 1)

    async def test_full_disk(self) -> None:
        """A full disk is InsufficientStorage wherever it shows, and leaves nothing; reads and deletes go on."""
        store = await self.start()
        await self.put(store, FAR)
        for call in ("open", "write", "fdatasync", "mkdir", "fsync", "rename"):
            self.files.fail[call] = errno.ENOSPC
            with self.assertRaises(InsufficientStorage):
                await self.put(store)
            self.files.fail.clear()
            self.assertEqual(len(self.found()), 1, call)
        self.assertEqual(self.full, 6)
        self.files.fail["write"] = errno.ENOSPC
        self.assertEqual(await self.get(store, FAR, 5), b"bytes")
        await store.delete([FAR])
        self.assertEqual(self.found(), [])

    async def test_short_writes(self) -> None:
        """A disk that takes a few bytes at a time still gets all of them."""
        store = await self.start()
        self.files.write_at_most = 7
        data = noise(100)
        await self.put(store, ONE, data)
        self.assertEqual(await self.get(store, ONE, 100), data)

    async def test_truncated_file(self) -> None:
        """A file that lost bytes is CorruptedData, not a short answer."""
        store = await self.start()
        await self.put(store)
        os.truncate(store.path(ONE), 4)
        with self.assertRaises(CorruptedData):
            await self.get(store, ONE, 5)

    async def test_descriptor_is_closed_after_delete(self) -> None:
        """A reader keeps a deleted blob's bytes until it is closed, and not longer."""
        store = await self.start()
        await self.put(store)
        before = open_files(self.directory)
        reader = await store.open(ONE)
        await store.delete([ONE])
        self.assertEqual(await reader.read(0, 5), b"bytes")
        reader.close()
        self.assertEqual(open_files(self.directory), before)

    async def test_every_call_can_fail(self) -> None:
        """Whichever call fails, the blob is whole or not acknowledged, nothing stays open, and the next blob works."""
        store = await self.start()
        self.files.calls.clear()
        await self.put(store, ONE, noise(1000))
        points = len(self.files.calls)
        self.assertGreater(points, 12)
        before = open_files(self.directory)
        for error in (errno.EIO, errno.ENOSPC, errno.EMFILE):
            for point in range(points):
                await self.start_over(point, error)
                self.assertEqual(open_files(self.directory), before, (point, error))

    async def start_over(self, point: int, error: int) -> None:
        """Write and read a blob in a new store whose system call number `point` fails."""
        store = await self.start()
        self.files.calls.clear()
        self.files.fail_at = (point, error)
        acknowledged = True
        try:
            await self.put(store, ONE, noise(1000))
        except DomainError:
            acknowledged = False
        self.files.fail_at = None
        if acknowledged:
            self.assertEqual(await self.get(store, ONE, 1000), noise(1000))
        else:
            self.assertEqual(self.found(), [])
        await self.put(store, TWO)
        self.assertEqual(await self.get(store, TWO, 5), b"bytes")


class CancellationTests(TestCase):
    """Callers that go away while threads work for them."""

    async def test_nothing_stays_open(self) -> None:
        """Opens, reads, creations and writes that are cancelled at once leave no descriptor and no file."""
        from twisted.internet import reactor

        self.patch(files, "_FAMILIAR", 0)
        directory = self.mktemp()
        store = store_in(directory, Files(), Threads(reactor, "disk", 4))
        await store.start()
        writer = await store.create(ONE)
        await writer.write(noise(MIB))
        await writer.finish()
        before = open_files(directory)
        for n in range(20):
            Deferred.fromCoroutine(store.open(ONE)).addErrback(lambda _: None).cancel()
            Deferred.fromCoroutine(store.create(bytes([n]) * 16)).addErrback(lambda _: None).cancel()
            reader = await store.open(ONE)
            Deferred.fromCoroutine(reader.read(0, MIB)).addErrback(lambda _: None).cancel()
            reader.close()
        await store.stop()
        self.assertEqual(open_files(directory), before)
        self.assertEqual(os.listdir(store.temporary), [])

    async def test_cleaning_up_overtakes_the_work(self) -> None:
        """What was cancelled before its thread came to it is not done any more."""
        directory, disk = self.mktemp(), HeldThreads()
        store = store_in(directory, Files(), disk)
        for call in (store.create(ONE), store.open(ONE)):
            Deferred.fromCoroutine(call).addErrback(lambda _: None).cancel()
            disk.waiting.reverse()
            disk.work_all()
        self.assertEqual((open_files(directory), os.listdir(store.temporary)), ([], []))


class WithoutThreadsTests(TestCase):
    """Blobs that the system has in memory."""

    async def test_read_where_the_caller_is(self) -> None:
        """A blob that was just written is opened, read and closed without a thread."""
        directory, disk = self.mktemp(), HeldThreads()
        store = store_in(directory, Files(), disk)
        written = Deferred.fromCoroutine(self.written(store))
        disk.work_all()
        await written
        before = open_files(directory)
        reader = await store.open(ONE)
        self.assertEqual(await reader.read(3, MIB - 3), noise(MIB)[3:])
        reader.close()
        self.assertEqual((disk.waiting, open_files(directory)), ([], before))

    async def written(self, store: FileBlobs) -> None:
        """Write a blob."""
        writer = await store.create(ONE)
        await writer.write(noise(MIB))
        await writer.finish()

    async def test_what_the_system_does_not_have(self) -> None:
        """A thread waits for the disk, and closes behind what it reads."""
        directory, layer, disk = self.mktemp(), FaultyFiles(), HeldThreads()
        store = store_in(directory, layer, disk)
        written = Deferred.fromCoroutine(self.written(store))
        disk.work_all()
        await written
        reader = await store.open(ONE)
        read = Deferred.fromCoroutine(reader.read(0, MIB))
        reader.close()
        self.assertEqual(len(disk.waiting), 2)
        disk.work_all()
        self.assertEqual((await read, layer.called("close")[-1:]), (noise(MIB), [store.path(ONE)]))

    async def test_only_the_last_used_are_familiar(self) -> None:
        """Which blobs can be opened without a thread is forgotten again, the ones used last the latest."""
        self.patch(files, "_FAMILIAR", 2)
        store = store_in(self.mktemp(), Files(), HeldThreads())
        for path in ("a", "b", "a", "c"):
            store.remember(path)
        self.assertEqual(list(store._familiar), ["a", "c"])
