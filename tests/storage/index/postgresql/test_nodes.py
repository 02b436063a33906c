"""Several nodes on one database: what their locks must bring about, with nothing else between them."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred

from post3tw.model.bucket import Versioning
from post3tw.model.conditions import WriteConditions
from post3tw.model.errors import BucketAlreadyOwnedByYou, BucketNotEmpty, NoSuchBucket, PreconditionFailed
from post3tw.model.version import Placement
from post3tw.storage.index.postgresql.index import PostgresIndex
from post3tw.storage.index.transactions.blobs import begin_blob, condemn, place, release, share
from post3tw.storage.index.transactions.buckets import create_bucket, delete_bucket, set_versioning
from post3tw.storage.index.transactions.objects import delete_version, put_version
from post3tw.storage.index.transactions.parts import copy_parts, insert_part, release_parts
from post3tw.storage.interfaces import ITransaction, Lock
from post3tw.testing.index_fixture import NOW, OWNER, bucket, object_id, part, version
from tests.storage.index.postgresql.case import ANY, PostgresCase

ABSENT = WriteConditions(if_none_match="*")

BLOB = Placement(9, blob=object_id(100), crcs=b"crc1")

_LATEST = (
    "SELECT key, seq, etag FROM versions v WHERE delete_marker = 0 AND seq ="
    " (SELECT MAX(seq) FROM versions w WHERE w.bucket = v.bucket AND w.key = v.key) ORDER BY key"
)


class NodesTests(PostgresCase):
    """Two nodes."""

    async def nodes(self, versioning: Versioning = Versioning.NEVER) -> list[PostgresIndex]:
        """Two started indexes, and a bucket."""
        nodes = [await self.started(), await self.started()]
        await nodes[0].run(lambda tx: create_bucket(tx, bucket(versioning=versioning)))
        return nodes

    def put(self, index: PostgresIndex, key: bytes, number: int, conditions: WriteConditions = ANY) -> Awaitable[Any]:
        """Put an inline body."""
        made = version(number, Placement(4, body=object_id(number), crcs=b"crc."), etag=f"{number:032}", size=4)
        put = partial(put_version, bucket_id=1, key=key, version=made, data=b"body", conditions=conditions, now=NOW)
        return index.run(put, (Lock(1), Lock(1, key)))

    def delete(self, index: PostgresIndex, key: bytes, number: int, version_id: str | None = None) -> Awaitable[Any]:
        """Delete a key, or a version of it."""
        delete = partial(
            delete_version,
            bucket_id=1,
            key=key,
            version_id=version_id,
            conditions=ANY,
            new_id=object_id(number),
            owner=OWNER,
            now=NOW,
        )
        return index.run(delete, (Lock(1), Lock(1, key)))

    def check_invariants(self) -> None:
        """`current` is the latest versions that are objects; every inline body has one owner."""
        self.assertEqual(
            self.query("SELECT key, seq, split_part(entry, '|', 3) FROM current ORDER BY key"), self.query(_LATEST)
        )
        bodies = self.query("SELECT id FROM bodies ORDER BY id")
        self.assertEqual(bodies, self.query("SELECT body FROM versions WHERE body IS NOT NULL ORDER BY body"))

    async def storm(self, versioning: Versioning) -> None:
        """Both nodes put and delete the same few keys, all at the same time, in an order that repeats."""
        nodes = await self.nodes(versioning)
        choose = random.Random(7)
        calls: list[Awaitable[Any]] = []
        for number in range(1, 401):
            index, key = choose.choice(nodes), b"key-%d" % choose.randrange(4)
            if choose.random() < 0.6:
                calls.append(self.put(index, key, number))
            else:
                calls.append(self.delete(index, key, number))
        outcomes = await self.together(*calls)
        self.assertEqual([outcome for outcome in outcomes if isinstance(outcome, Exception)], [])
        self.check_invariants()
        self.assertEqual(sum(index._writing.reruns for index in nodes), 0, "locks make every race a queue")

    async def test_storm(self) -> None:
        """Writers of the same keys on two nodes wait for each other; nothing is lost, left over or run again."""
        await self.storm(Versioning.NEVER)
        self.assertLessEqual(len(self.query("SELECT 1 FROM versions")), 4)

    async def test_storm_with_versions(self) -> None:
        """The same with versions: every write has made one, with a number of its own."""
        await self.storm(Versioning.ENABLED)
        self.assertEqual(len(self.query("SELECT 1 FROM versions")), 400)
        self.assertEqual(self.query("SELECT key FROM versions GROUP BY key HAVING COUNT(*) <> MAX(seq)"), [])

    async def test_one_creator(self) -> None:
        """Of many on two nodes that put a key which must not exist, one succeeds."""
        nodes = await self.nodes()
        outcomes = await self.together(*(self.put(nodes[n % 2], b"key", n, ABSENT) for n in range(1, 41)))
        self.assertEqual(sum(not isinstance(outcome, Exception) for outcome in outcomes), 1)
        self.assertEqual(sum(isinstance(outcome, PreconditionFailed) for outcome in outcomes), 39)
        self.check_invariants()

    async def test_one_bucket(self) -> None:
        """Of many on two nodes that create the same bucket, one does, although nobody holds a lock."""
        nodes = [await self.started(), await self.started()]
        creators = (partial(create_bucket, bucket=bucket(n, name="same")) for n in range(32))
        outcomes = await self.together(*(nodes[n % 2].run(create) for n, create in enumerate(creators)))
        self.assertEqual(outcomes.count(None), 1)
        self.assertEqual(sum(isinstance(outcome, BucketAlreadyOwnedByYou) for outcome in outcomes), 31)

    async def test_no_object_without_bucket(self) -> None:
        """While one node deletes a bucket, others put objects into it: it stays with them, or all are refused."""
        for attempt in range(1, 11):
            nodes = await self.nodes()
            remove = nodes[1].run(partial(delete_bucket, bucket_id=1, now=NOW), [Lock(1, exclusive=True)])
            puts = [self.put(nodes[n % 2], b"key-%d" % n, 100 * attempt + n) for n in range(6)]
            removed, *written = await self.together(*puts[:3], remove, *puts[3:])
            removed, written = written[2], [removed, *written[:2], *written[3:]]
            if removed is None:
                self.assertEqual(self.query("SELECT 1 FROM versions"), [])
                self.assertEqual({type(outcome) for outcome in written}, {NoSuchBucket})
            else:
                self.assertIsInstance(removed, BucketNotEmpty)
                self.assertEqual(len(self.query("SELECT 1 FROM buckets")), 1)
            self.query("TRUNCATE buckets, versions, current, bodies")

    async def test_deadlock(self) -> None:
        """When two hold a bucket shared and want to note something in its row, one is run again, and both succeed."""
        [(name,)] = self.query("SELECT current_database()")
        self.query(f'ALTER DATABASE "{name}" SET deadlock_timeout = 10')
        nodes = await self.nodes()
        holding = 0

        async def note(tx: ITransaction) -> None:
            nonlocal holding
            await tx.one("SELECT 1")  # answered when the bucket is held
            holding += 1
            while holding < 2:
                await tx.one("SELECT 1")
            await tx.run("UPDATE buckets SET object_acls = object_acls + 1")

        outcomes = await self.together(*(node.run(note, [Lock(1)]) for node in nodes))
        self.assertEqual(outcomes, [None, None])
        self.assertEqual(self.query("SELECT object_acls FROM buckets"), [(2,)])
        # Once, unless it is back before the other has noticed that the way is free.
        self.assertGreaterEqual(sum(node._writing.reruns for node in nodes), 1)

    async def test_exclusive_is_not_starved(self) -> None:
        """A node that wants a bucket for itself comes next, although there is always somebody else who writes to it."""
        busy = [*await self.nodes(), await self.started(), await self.started()]
        other = await self.started()
        stopped = False
        written = 0

        async def keep_writing(index: PostgresIndex, name: bytes) -> None:
            nonlocal written
            while not stopped:
                written += 1
                await self.put(index, name, written)

        async def switch() -> None:
            suspend = partial(set_versioning, bucket_id=1, versioning=Versioning.SUSPENDED)
            await other.run(suspend, [Lock(1, exclusive=True)])

        await switch()  # connected from now on
        writers = [Deferred.fromCoroutine(keep_writing(busy[n % len(busy)], b"key-%d" % n)) for n in range(20)]
        try:
            for _ in range(6):
                before = written
                await switch()
                self.assertLessEqual(written - before, 3 * len(writers), "of each writer, few writes go first")
        finally:
            stopped = True
            for writer in writers:
                await writer

    async def test_a_shared_blob_is_not_condemned(self) -> None:
        """Taking a reference to a blob and condemning it at the same time: one of them is refused, every time."""
        sharer, sweeper = await self.nodes()
        for attempt in range(20):
            blob = evolve(BLOB, blob=object_id(1000 + attempt))
            await sharer.run(partial(begin_blob, blob_id=object_id(1000 + attempt), now=NOW, lease_until=NOW + 10))
            await sharer.run(partial(place, holder=object_id(1), placement=blob))
            await sharer.run(partial(release, holder=object_id(1), placement=blob, now=NOW))

            async def share_late(tx: ITransaction, blob: Placement = blob) -> None:
                await share(tx, blob, object_id(2), object_id(3))
                for _ in range(5):  # let the other one come to wait for the blob's row
                    await tx.one("SELECT 1 FROM blobs WHERE id = ?", blob.blob)

            shared, condemned = await self.together(
                sharer.run(share_late), sweeper.run(partial(condemn, now=NOW + 100, limit=10))
            )
            state = self.query("SELECT condemned IS NULL FROM blobs WHERE id = %s", blob.blob)
            self.assertEqual(
                (shared is None, condemned, state), (True, 0, [(True,)]) if shared is None else (False, 1, [(False,)])
            )

    async def let_go_together(self, *releases: Callable[[ITransaction], Awaitable[None]]) -> None:
        """Each on a node of its own, committed only when all are done, or when it is clear that they wait."""
        nodes = [await self.started() for _ in releases]
        done = 0

        async def let_go(tx: ITransaction, release: Callable[[ITransaction], Awaitable[None]]) -> None:
            nonlocal done
            await release(tx)
            await tx.one("SELECT 1")
            done += 1
            for _ in range(20):
                if done < len(releases):
                    await tx.one("SELECT 1")

        calls = (node.run(partial(let_go, release=one)) for node, one in zip(nodes, releases, strict=True))
        self.assertEqual(await self.together(*calls), [None] * len(releases))

    async def test_the_last_two_let_go_at_once(self) -> None:
        """Two objects share a blob and are deleted on two nodes at the same time: each sees the other's reference, and
        still the sweeper is told of the blob."""
        index = await self.started()
        await index.run(partial(begin_blob, blob_id=object_id(100), now=NOW, lease_until=NOW + 10))
        await index.run(partial(place, holder=object_id(1), placement=BLOB))
        await index.run(partial(share, placement=BLOB, holder=object_id(2), body_id=object_id(3)))
        await self.let_go_together(
            *(partial(release, holder=object_id(n), placement=BLOB, now=NOW + 20) for n in (1, 2))
        )
        self.assertEqual(self.query("SELECT lease_until FROM blobs"), [(NOW + 20,)])

    async def test_the_last_two_let_go_of_parts_at_once(self) -> None:
        """The same with objects that are made of parts."""
        index = await self.started()
        await index.run(partial(begin_blob, blob_id=object_id(100), now=NOW, lease_until=NOW + 10))
        await index.run(partial(place, holder=object_id(11), placement=BLOB))
        await index.run(partial(insert_part, owner=object_id(1), part=part(1, BLOB, object_id(11))))
        await index.run(partial(copy_parts, owner=object_id(1), new_owner=object_id(2), now=NOW))
        await self.let_go_together(*(partial(release_parts, owner=object_id(n), now=NOW + 20) for n in (1, 2)))
        self.assertEqual(self.query("SELECT lease_until FROM blobs"), [(NOW + 20,)])
