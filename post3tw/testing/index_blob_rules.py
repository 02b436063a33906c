"""The part of the index contract about bytes: inline bodies, references, leases, and what the sweeper may take."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from attrs import evolve

from post3tw.model.errors import BlobGone, CorruptedData
from post3tw.model.version import Placement
from post3tw.storage.index.transactions.blobs import (
    begin_blob,
    condemn,
    condemned_before,
    forget,
    load_body,
    place,
    place_over,
    release,
    renew_leases,
    share,
)
from post3tw.storage.index.transactions.parts import release_parts
from post3tw.storage.interfaces import IIndex
from post3tw.testing.index_fixture import NOW, IndexFixture, object_id, part, version

BLOB = Placement(9, blob=object_id(100), crcs=b"crc1")
INLINE = Placement(5, body=object_id(200), crcs=b"crc2")
A, B = object_id(1), object_id(2)
"""Two holders."""


class BlobRules(IndexFixture):
    """Rules of the transactions on bytes."""

    async def state(self, index: IIndex, blob_id: bytes = object_id(100)) -> tuple[Any, ...] | None:
        """(lease_until, condemned, number of references) of a blob."""
        sql = (
            "SELECT lease_until, condemned, (SELECT COUNT(*) FROM blob_references r WHERE r.blob = blobs.id)"
            " FROM blobs WHERE id = ?"
        )
        return await index.read(lambda tx: tx.one(sql, blob_id))

    async def with_blob(self, *holders: bytes) -> IIndex:
        """An index with a blob that these refer to; with none, it is being written until NOW + 100."""
        index = await self.started()
        await self.do(index, begin_blob, object_id(100), NOW, NOW + 100)
        for holder in holders:
            await self.do(index, place, holder, BLOB)
        return index

    async def assert_gone(self, call: Awaitable[object]) -> None:
        """The call raises BlobGone."""
        try:
            await call
        except BlobGone:
            return
        raise self.failureException("BlobGone not raised")

    # -- inline --------------------------------------------------------------------------------------------------------

    async def test_over_missing_body(self) -> None:
        """Bytes that replace an inline body which a damaged index has lost are kept like any others."""
        index = await self.started()
        placed = await self.do(index, place_over, object_id(200), INLINE, b"hello")
        self.assertEqual(placed, INLINE)
        self.assertEqual(await index.read(lambda tx: load_body(tx, object_id(200))), (b"crc2", b"hello"))

    async def test_inline(self) -> None:
        """Inline bytes come back with their CRCs, until they are released."""
        index = await self.started()
        await self.do(index, place, A, INLINE, b"hello")
        self.assertEqual(await index.read(lambda tx: load_body(tx, object_id(200))), (b"crc2", b"hello"))
        await self.do(index, release, A, INLINE, NOW)
        with self.assertRaises(CorruptedData):
            await index.read(lambda tx: load_body(tx, object_id(200)))

    async def test_share_inline(self) -> None:
        """Sharing inline bytes copies them: each copy lives and dies on its own."""
        index = await self.started()
        await self.do(index, place, A, INLINE, b"hello")
        copy = await self.do(index, share, INLINE, B, object_id(201))
        self.assertEqual(copy, evolve(INLINE, body=object_id(201)))
        await self.do(index, release, A, INLINE, NOW)
        self.assertEqual(await index.read(lambda tx: load_body(tx, object_id(201))), (b"crc2", b"hello"))

    async def test_share_inline_gone(self) -> None:
        """Inline bytes that are gone cannot be shared."""
        index = await self.started()
        await self.assert_gone(self.do(index, share, INLINE, B, object_id(201)))

    async def test_nothing_to_place(self) -> None:
        """An object without bytes has nothing to place, to share or to release."""
        index = await self.started()
        empty = Placement(0)
        await self.do(index, place, A, empty)
        self.assertEqual(await self.do(index, share, empty, B, object_id(201)), empty)
        await self.do(index, release, A, empty, NOW)
        await self.do(index, release, A, None, NOW)
        self.assertEqual(await self.value(index, "SELECT COUNT(*) FROM bodies"), 0)

    # -- blobs ---------------------------------------------------------------------------------------------------------

    async def test_begin(self) -> None:
        """A blob that is being written has a lease and no reference."""
        index = await self.with_blob()
        self.assertEqual(await self.state(index), (NOW + 100, None, 0))

    async def test_place(self) -> None:
        """A placed blob has size, CRCs and a reference, and its lease is over."""
        index = await self.with_blob(A)
        self.assertEqual(await self.state(index), (None, None, 1))
        self.assertEqual(await index.read(lambda tx: tx.one("SELECT size, crcs FROM blobs")), (9, b"crc1"))

    async def test_place_unknown(self) -> None:
        """A blob that was never announced, or is forgotten, cannot be placed."""
        index = await self.started()
        await self.assert_gone(self.do(index, place, A, BLOB))
        self.assertEqual(await self.value(index, "SELECT COUNT(*) FROM blob_references"), 0)

    async def test_place_condemned(self) -> None:
        """A blob whose lease ran out and that was condemned cannot be placed any more."""
        index = await self.with_blob()
        self.assertEqual(await self.do(index, condemn, NOW + 101, 10), 1)
        await self.assert_gone(self.do(index, place, A, BLOB))
        self.assertEqual(await self.state(index), (None, NOW + 101, 0))

    async def test_release(self) -> None:
        """A blob stays while anybody refers to it; the last to let go leaves it to the sweeper from then on."""
        index = await self.with_blob(A, B)
        await self.do(index, release, A, BLOB, NOW + 1)
        self.assertEqual(await self.state(index), (None, None, 1))
        await self.do(index, release, B, BLOB, NOW + 2)
        self.assertEqual(await self.state(index), (NOW + 2, None, 0))

    async def test_release_twice(self) -> None:
        """Letting go of what one does not hold takes nothing from the one who holds it."""
        index = await self.with_blob(A)
        await self.do(index, release, B, BLOB, NOW + 1)
        self.assertEqual(await self.state(index), (None, None, 1))

    async def test_share(self) -> None:
        """Sharing a blob is one more reference to the same bytes."""
        index = await self.with_blob(A)
        self.assertEqual(await self.do(index, share, BLOB, B, object_id(201)), BLOB)
        self.assertEqual(await self.state(index), (None, None, 2))

    async def test_share_released(self) -> None:
        """A blob that was released but not condemned may be shared, and lives on."""
        index = await self.with_blob(A)
        await self.do(index, release, A, BLOB, NOW)
        await self.do(index, share, BLOB, B, object_id(201))
        self.assertEqual(await self.state(index), (None, None, 1))
        self.assertEqual(await self.do(index, condemn, NOW + 1000, 10), 0)

    async def test_share_condemned(self) -> None:
        """A condemned blob cannot be shared."""
        index = await self.with_blob(A)
        await self.do(index, release, A, BLOB, NOW)
        await self.do(index, condemn, NOW + 1, 10)
        await self.assert_gone(self.do(index, share, BLOB, B, object_id(201)))
        self.assertEqual(await self.state(index), (None, NOW + 1, 0))

    async def test_share_unwritten(self) -> None:
        """A blob that is still being written cannot be shared."""
        index = await self.with_blob()
        await self.assert_gone(self.do(index, share, BLOB, B, object_id(201)))
        self.assertEqual(await self.state(index), (NOW + 100, None, 0))

    # -- leases and the sweeper ----------------------------------------------------------------------------------------

    async def test_renew(self) -> None:
        """A renewed lease keeps a blob from being condemned."""
        index = await self.with_blob()
        await self.do(index, renew_leases, [object_id(100)], NOW + 500)
        self.assertEqual(await self.do(index, condemn, NOW + 400, 10), 0)
        self.assertEqual(await self.do(index, condemn, NOW + 501, 10), 1)

    async def test_renew_condemned(self) -> None:
        """When one of the blobs is condemned no lease is renewed."""
        index = await self.with_blob()
        await self.do(index, begin_blob, object_id(101), NOW, NOW + 900)
        await self.do(index, condemn, NOW + 101, 10)
        await self.assert_gone(self.do(index, renew_leases, [object_id(101), object_id(100)], NOW + 5000))
        self.assertEqual(await self.state(index, object_id(101)), (NOW + 900, None, 0))

    async def test_renew_placed(self) -> None:
        """Renewing the lease of a blob that was placed meanwhile leaves it live."""
        index = await self.with_blob(A)
        await self.do(index, renew_leases, [object_id(100)], NOW + 500)
        self.assertEqual(await self.state(index), (None, None, 1))

    async def test_condemn_limit(self) -> None:
        """At most `limit` blobs are condemned at a time, each once."""
        index = await self.started()
        for number in range(5):
            await self.do(index, begin_blob, object_id(100 + number), NOW, NOW + number)
        counts = [await self.do(index, condemn, NOW + 10, 2) for _ in range(4)]
        self.assertEqual(counts, [2, 2, 1, 0])

    async def test_condemn_counts_references(self) -> None:
        """A blob that anything refers to is not condemned, even if its lease says otherwise."""
        index = await self.started()
        for number in range(4):
            await self.do(index, begin_blob, object_id(100 + number), NOW, NOW)
        await index.run(lambda tx: tx.run("INSERT INTO blob_references VALUES (?, ?)", object_id(100), A))
        await self.add_version(index, b"key", version(1, Placement(1, blob=object_id(101))))
        await self.add_part(index, A, part(1, Placement(0), object_id(300)))
        await index.run(lambda tx: tx.run("UPDATE parts SET blob = ?", object_id(102)))
        self.assertEqual(await self.do(index, condemn, NOW + 10, 10), 1)
        self.assertEqual(await index.read(lambda tx: condemned_before(tx, NOW + 11, 10)), [object_id(103)])

    async def test_condemned_before(self) -> None:
        """The sweeper finds blobs condemned before a time, the oldest first, and at most as many as it asks for."""
        index = await self.started()
        for number in range(3):
            await self.do(index, begin_blob, object_id(100 + number), NOW, NOW + 10 * number)
            await self.do(index, condemn, NOW + 10 * number + 1, 10)
        ids = [object_id(100), object_id(101), object_id(102)]
        self.assertEqual(await index.read(lambda tx: condemned_before(tx, NOW + 100, 10)), ids)
        self.assertEqual(await index.read(lambda tx: condemned_before(tx, NOW + 21, 10)), ids[:2])
        self.assertEqual(await index.read(lambda tx: condemned_before(tx, NOW + 100, 1)), ids[:1])

    async def test_forget(self) -> None:
        """Condemned blobs can be forgotten; others stay, whatever is asked."""
        index = await self.with_blob(A)
        await self.do(index, begin_blob, object_id(101), NOW, NOW)
        await self.do(index, condemn, NOW + 1, 10)
        await self.do(index, forget, [object_id(100), object_id(101)])
        self.assertEqual(await self.state(index), (None, None, 1))
        self.assertIsNone(await self.state(index, object_id(101)))

    # -- parts ---------------------------------------------------------------------------------------------------------

    async def test_release_parts(self) -> None:
        """All parts of an owner go with their bytes: inline ones at once, blobs when nobody else refers to them."""
        index = await self.with_blob(B)
        await self.do(index, begin_blob, object_id(101), NOW, NOW + 100)
        placements = [Placement(0), INLINE, BLOB, Placement(9, blob=object_id(101), crcs=b"c")]
        for number, placement in enumerate(placements):
            data = b"hello" if placement.body else None
            await self.add_part(index, A, part(number + 1, placement, object_id(300 + number)), data)
        await self.add_part(index, B, part(1, Placement(0), object_id(400)))
        await self.do(index, release_parts, A, NOW + 7)
        self.assertEqual(await index.read(lambda tx: tx.all("SELECT id FROM parts")), [(object_id(400),)])
        self.assertEqual(await self.value(index, "SELECT COUNT(*) FROM bodies"), 0)
        self.assertEqual(await self.state(index), (None, None, 1))
        self.assertEqual(await self.state(index, object_id(101)), (NOW + 7, None, 0))
