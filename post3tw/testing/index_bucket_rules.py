"""The part of the index contract about buckets, their documents, and the outbox."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from post3tw.model.bucket import Bucket, Versioning
from post3tw.model.errors import (
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    BucketChanged,
    BucketNotEmpty,
    NoSuchBucket,
)
from post3tw.model.version import Placement
from post3tw.storage.index.transactions.blobs import begin_blob
from post3tw.storage.index.transactions.buckets import (
    DecidedTransaction,
    create_bucket,
    delete_bucket,
    find_bucket,
    list_buckets,
    note_object_acl,
    require_bucket,
    set_versioning,
)
from post3tw.storage.index.transactions.changes import record_change
from post3tw.storage.index.transactions.documents import (
    delete_document,
    get_document,
    get_documents,
    put_document,
)
from post3tw.storage.interfaces import IIndex, ITransaction
from post3tw.testing.index_fixture import NOW, OWNER, IndexFixture, bucket, object_id, part, upload, version


class BucketRules(IndexFixture):
    """Rules of the transactions on buckets."""

    async def raises(self, error: type[Exception], call: object) -> Exception:
        """Await a call that must raise; what it raised."""
        try:
            await call  # type: ignore[misc]
        except error as raised:
            return raised
        raise self.failureException(f"{error.__name__} not raised")

    async def names(self, index: IIndex, *arguments: object, **options: object) -> list[str]:
        """The names that list_buckets answers."""
        found: list[Bucket] = await index.read(lambda tx: list_buckets(tx, *arguments, **options))  # type: ignore[arg-type]
        return [found_bucket.name for found_bucket in found]

    # -- create, find, count -------------------------------------------------------------------------------------------

    async def test_find(self) -> None:
        """A bucket is found as it was created, by its tenant and name only."""
        made = bucket(versioning=Versioning.ENABLED, object_lock=True, generation=7, subscribed=True)
        index = await self.started()
        await self.do(index, create_bucket, made)
        self.assertEqual(await index.read(lambda tx: find_bucket(tx, "", made.name)), made)
        self.assertIsNone(await index.read(lambda tx: find_bucket(tx, "", "bucket-2")))
        self.assertIsNone(await index.read(lambda tx: find_bucket(tx, "tenant", made.name)))

    async def test_find_sees_changes(self) -> None:
        """A bucket that was found is found as it is after each commit, and not after its deletion."""
        index = await self.with_bucket()
        self.assertEqual(await index.read(lambda tx: find_bucket(tx, "", "bucket-1")), bucket())
        await self.do(index, set_versioning, 1, Versioning.ENABLED)
        found = await index.read(lambda tx: find_bucket(tx, "", "bucket-1"))
        self.assertEqual(found, bucket(versioning=Versioning.ENABLED, generation=2))
        await self.do(index, delete_bucket, 1, NOW)
        self.assertIsNone(await index.read(lambda tx: find_bucket(tx, "", "bucket-1")))

    async def test_create_own_again(self) -> None:
        """Creating a bucket that the same owner has is refused as owned by the caller; the bucket stays as it was."""
        index = await self.with_bucket()
        again = bucket(2, name="bucket-1", region="elsewhere")
        error = await self.raises(BucketAlreadyOwnedByYou, self.do(index, create_bucket, again))
        self.assertEqual(getattr(error, "details", None), {"bucket_name": "bucket-1"})
        self.assertEqual(await index.read(lambda tx: find_bucket(tx, "", "bucket-1")), bucket())

    async def test_create_another_owners(self) -> None:
        """Creating a bucket that somebody else has is refused as existing."""
        index = await self.with_bucket()
        other = bucket(2, name="bucket-1", owner_id="somebody")
        await self.raises(BucketAlreadyExists, self.do(index, create_bucket, other))

    async def test_tenants(self) -> None:
        """Each tenant has names of its own."""
        index = await self.with_bucket()
        other = bucket(2, name="bucket-1", tenant="tenant")
        await self.do(index, create_bucket, other)
        self.assertEqual(await index.read(lambda tx: find_bucket(tx, "tenant", "bucket-1")), other)

    async def test_require(self) -> None:
        """A bucket is required by its id; one that is gone raises."""
        index = await self.with_bucket()
        self.assertEqual(await index.read(lambda tx: require_bucket(tx, 1)), bucket())
        await self.raises(NoSuchBucket, index.read(lambda tx: require_bucket(tx, 2)))

    # -- list ----------------------------------------------------------------------------------------------------------

    async def listed(self) -> IIndex:
        """An index with buckets to list."""
        index = await self.started()
        for number, name in enumerate(["logs-b", "data", "logs-a", "logs", "logz", "data.x"]):
            region = "eu" if name.startswith("data") else "us"
            owner = "other" if name == "logz" else "owner-1"
            await self.do(index, create_bucket, bucket(number + 1, name=name, region=region, owner_id=owner))
        await self.do(index, create_bucket, bucket(99, name="alien", tenant="tenant"))
        return index

    async def test_list(self) -> None:
        """Buckets of a tenant are listed in the order of their names, all owners' or one's."""
        index = await self.listed()
        everyone = ["data", "data.x", "logs", "logs-a", "logs-b", "logz"]
        self.assertEqual(await self.names(index, "", None), everyone)
        self.assertEqual(await self.names(index, "", "owner-1"), everyone[:-1])
        self.assertEqual(await self.names(index, "tenant", None), ["alien"])

    async def test_list_prefix_and_region(self) -> None:
        """A prefix and a region select; a prefix that no name can have selects nothing."""
        index = await self.listed()
        self.assertEqual(await self.names(index, "", None, prefix="logs"), ["logs", "logs-a", "logs-b"])
        self.assertEqual(await self.names(index, "", None, region="eu"), ["data", "data.x"])
        for impossible in ("\x00", "é", "\uffff", "\x7f", "logs-\x00"):
            self.assertEqual(await self.names(index, "", None, prefix=impossible), [])

    async def test_list_pages(self) -> None:
        """Pages of two, each after the last name of the one before, make the whole list."""
        index = await self.listed()
        found: list[str] = []
        while page := await self.names(index, "", None, after=found[-1] if found else "", limit=2):
            self.assertLessEqual(len(page), 2)
            found += page
        self.assertEqual(found, await self.names(index, "", None))
        self.assertEqual(await self.names(index, "", None, after=f"{found[0]}\x00x"), found[1:])

    # -- change and delete ---------------------------------------------------------------------------------------------

    async def test_versioning(self) -> None:
        """Setting the versioning state raises the generation; a bucket that is gone raises."""
        index = await self.with_bucket()
        await self.do(index, set_versioning, 1, Versioning.SUSPENDED)
        expected = bucket(versioning=Versioning.SUSPENDED, generation=2)
        self.assertEqual(await index.read(lambda tx: require_bucket(tx, 1)), expected)
        await self.raises(NoSuchBucket, self.do(index, set_versioning, 2, Versioning.ENABLED))

    async def test_delete(self) -> None:
        """A deleted bucket is gone with its documents, and its name is free."""
        index = await self.with_bucket()
        await self.do(index, put_document, 1, "policy", b"{}")
        await self.do(index, delete_bucket, 1, NOW)
        self.assertIsNone(await index.read(lambda tx: find_bucket(tx, "", "bucket-1")))
        self.assertEqual(await self.value(index, "SELECT COUNT(*) FROM bucket_documents"), 0)
        await self.do(index, create_bucket, bucket(2, name="bucket-1"))
        await self.raises(NoSuchBucket, self.do(index, delete_bucket, 1, NOW))

    async def test_delete_not_empty(self) -> None:
        """A bucket with a version, were it a delete marker, is not deleted; other buckets' versions do not count."""
        index = await self.with_bucket()
        await self.do(index, create_bucket, bucket(2))
        await self.add_version(index, b"key", version(5, delete_marker=True, etag=""))
        error = await self.raises(BucketNotEmpty, self.do(index, delete_bucket, 1, NOW))
        self.assertEqual(getattr(error, "details", None), {"bucket_name": "bucket-1"})
        await self.do(index, delete_bucket, 2, NOW)

    async def test_delete_aborts_uploads(self) -> None:
        """Uploads in progress go with the bucket: inline parts at once, blobs to the sweeper; other buckets' stay."""
        index = await self.with_bucket()
        await self.do(index, begin_blob, object_id(70), NOW, NOW + 1000)
        await self.add_upload(index, upload(1))
        await self.add_upload(index, upload(2, bucket_id=2))
        inline = Placement(2, body=object_id(11), crcs=b"crcs")
        await self.add_part(index, object_id(1), part(1, inline, object_id(11)), b"hi")
        await self.add_part(index, object_id(1), part(2, Placement(9, blob=object_id(70), crcs=b"c"), object_id(12)))
        kept = Placement(2, body=object_id(13), crcs=b"crcs")
        await self.add_part(index, object_id(2), part(1, kept, object_id(13)), b"ho")
        await self.do(index, delete_bucket, 1, NOW + 5)
        self.assertEqual(await index.read(lambda tx: tx.all("SELECT id FROM uploads")), [(object_id(2),)])
        self.assertEqual(await index.read(lambda tx: tx.all("SELECT id FROM parts")), [(object_id(13),)])
        self.assertEqual(await index.read(lambda tx: tx.all("SELECT id FROM bodies")), [(object_id(13),)])
        self.assertEqual(await self.value(index, "SELECT lease_until FROM blobs"), NOW + 5)

    # -- documents -----------------------------------------------------------------------------------------------------

    async def test_documents(self) -> None:
        """Documents are kept by kind; each write raises the bucket's generation, and says to what."""
        index = await self.with_bucket()
        self.assertEqual(await self.do(index, put_document, 1, "cors", b"1"), 2)
        self.assertEqual(await self.do(index, put_document, 1, "policy", b"2"), 3)
        self.assertEqual(await self.do(index, put_document, 1, "cors", b"3"), 4)
        self.assertEqual(await index.read(lambda tx: get_document(tx, 1, "cors")), b"3")
        self.assertEqual(await index.read(lambda tx: get_document(tx, 1, "policy")), b"2")
        self.assertIsNone(await index.read(lambda tx: get_document(tx, 1, "tagging")))
        self.assertEqual(await self.value(index, "SELECT generation FROM buckets"), 4)

    async def test_delete_document(self) -> None:
        """Deleting a document raises the generation; deleting none says so and changes nothing."""
        index = await self.with_bucket()
        await self.do(index, put_document, 1, "cors", b"1")
        self.assertTrue(await self.do(index, delete_document, 1, "cors"))
        self.assertFalse(await self.do(index, delete_document, 1, "cors"))
        self.assertIsNone(await index.read(lambda tx: get_document(tx, 1, "cors")))
        self.assertEqual(await self.value(index, "SELECT generation FROM buckets"), 3)

    async def test_document_of_no_bucket(self) -> None:
        """Documents of a bucket that is gone are neither written nor deleted."""
        index = await self.started()
        await self.raises(NoSuchBucket, self.do(index, put_document, 1, "cors", b"1"))
        await self.raises(NoSuchBucket, self.do(index, delete_document, 1, "cors"))
        self.assertEqual(await self.value(index, "SELECT COUNT(*) FROM bucket_documents"), 0)

    async def test_documents_from_the_beginning(self) -> None:
        """A bucket can begin with documents; all of them are read at once."""
        index = await self.started()
        await self.do(index, create_bucket, bucket(), {"acl": b"[]", "ownership": b"ObjectWriter"})
        found = await index.read(lambda tx: get_documents(tx, 1))
        self.assertEqual(found, {"acl": b"[]", "ownership": b"ObjectWriter"})
        self.assertEqual(await index.read(lambda tx: get_document(tx, 1, "acl")), b"[]")
        self.assertEqual(await index.read(lambda tx: get_documents(tx, 2)), {})

    # -- what a decision rests on --------------------------------------------------------------------------------------

    async def test_another_state(self) -> None:
        """A transaction that was decided on one state of a bucket is refused on another, before it writes."""
        index = await self.with_bucket()

        async def put(tx: ITransaction, generation: int, bucket_id: int = 1) -> int:
            decided: Any = DecidedTransaction(tx, {bucket_id: bucket(bucket_id, generation=generation)})
            await require_bucket(decided, 1)
            return await put_document(decided, 1, "cors", b"1")

        self.assertEqual(await self.do(index, put, 1), 2)
        await self.raises(BucketChanged, self.do(index, put, 1))
        self.assertEqual(await self.do(index, put, 2), 3)
        self.assertEqual(await self.do(index, put, 0, 2), 4)  # another bucket's state is no matter

    async def test_versions_that_are_not_simply_the_owners(self) -> None:
        """The row says so from the first one on, which is a change of the row; later ones change it no more."""
        index = await self.with_bucket()

        async def note(tx: ITransaction, owner_id: str, acl: str | None) -> None:
            await note_object_acl(tx, await require_bucket(tx, 1), owner_id, acl)

        for owner_id, acl, noted in (
            (OWNER.id, None, False),
            ("somebody else", None, True),
            (OWNER.id, "[]", True),
            ("somebody else", "[]", True),
        ):
            await self.do(index, note, owner_id, acl)
            expected = bucket(object_acls=noted, generation=2 if noted else 1)
            self.assertEqual(await index.read(lambda tx: require_bucket(tx, 1)), expected)

    # -- outbox --------------------------------------------------------------------------------------------------------

    async def change(self, tx: ITransaction, subscribed: bool, number: int = 1) -> None:
        """Record a change."""
        kind = "ObjectCreated:Put"
        source = evolve(bucket(), subscribed=subscribed)
        await record_change(tx, source, b"key", 3, kind, object_id(number), NOW, {"size": 5})

    async def test_outbox(self) -> None:
        """A change of a bucket that somebody subscribed to is a row of the outbox; of another it is nothing."""
        index = await self.with_bucket()
        await index.run(lambda tx: self.change(tx, False))
        self.assertEqual(await self.value(index, "SELECT COUNT(*) FROM outbox"), 0)
        await index.run(lambda tx: self.change(tx, True))
        row = await index.read(
            lambda tx: tx.one("SELECT id, bucket, key, seq, kind, created, detail, claimed_until FROM outbox")
        )
        self.assertEqual(row, (object_id(1), 1, b"key", 3, "ObjectCreated:Put", NOW, '{"size":5}', None))

    async def test_outbox_tells_only_what_happened(self) -> None:
        """A change recorded by a transaction that fails is not in the outbox."""
        index = await self.with_bucket()

        async def fail(tx: ITransaction) -> None:
            await self.change(tx, True)
            raise BucketNotEmpty

        await self.raises(BucketNotEmpty, index.run(fail))
        self.assertEqual(await self.value(index, "SELECT COUNT(*) FROM outbox"), 0)
