"""Object lock in the index: enforced where rows are removed, changed only for the longer, given to what is written."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Any

from attrs import evolve

from post3tw.model.bucket import Versioning
from post3tw.model.conditions import ReadConditions
from post3tw.model.errors import (
    AccessDenied,
    BucketNotEmpty,
    CorruptedData,
    DomainError,
    InvalidBucketState,
    InvalidRequest,
    MethodNotAllowed,
    NoSuchBucket,
    NoSuchKey,
    NotImplementedHere,
)
from post3tw.model.object_lock import COMPLIANCE, GOVERNANCE, NO_LOCK, DefaultRetention, Retention
from post3tw.model.version import Description, Upload, Version
from post3tw.storage.index.transactions.buckets import delete_bucket, find_bucket, require_bucket, set_versioning
from post3tw.storage.index.transactions.documents import put_document
from post3tw.storage.index.transactions.multipart import Assembly, complete_upload, create_upload
from post3tw.storage.index.transactions.object_lock import (
    DEFAULT_RETENTION,
    default_retention,
    set_legal_hold,
    set_lock_configuration,
    set_retention,
)
from post3tw.storage.index.transactions.objects import copy_version, rename
from tests.backends import ON_POSTGRES
from tests.storage.index.object_case import ADA, ANY, ENABLED, NOW, SUSPENDED, ObjectsCase

DAY = 24 * 60 * 60 * 1000


class LockCase(ObjectsCase):
    """What the tests of locks share."""

    async def lock_bucket(self, default: DefaultRetention | None = None) -> None:
        """Give the bucket object lock."""
        await self.switch(ENABLED)
        await self.run_tx(set_lock_configuration, self.bucket.id, default)
        self.bucket = await self.store.index.read(lambda tx: require_bucket(tx, self.bucket.id))

    async def put_locked(self, retention: Retention, key: bytes = b"key") -> Version:
        """An object with this in the columns of its lock, whatever the bucket and however senseless."""
        version = await self.put(key, b"locked")
        hold = {None: 0, True: 1, False: 2}.get(retention.legal_hold, retention.legal_hold)
        await self.run_tx(
            lambda tx: tx.run(
                "UPDATE versions SET retention_mode = ?, retain_until = ?, legal_hold = ? WHERE id = ?",
                retention.mode,
                retention.until,
                hold,
                version.id,
            )
        )
        return version

    async def retention(self, key: bytes = b"key", version_id: str | None = None) -> Retention:
        """The lock of a version."""
        version = await self.find(key, version_id)
        assert version is not None
        return version.description.retention

    async def copy(self, source: bytes, target: bytes, **description: Any) -> Version:
        """Copy within the bucket."""
        original = await self.find(source)
        assert original is not None
        copied = evolve(original, id=self.store.ids.object_id(), description=Description(**description))
        bucket_id = self.bucket.id
        written: Version = await self.run_tx(
            copy_version, bucket_id, source, original, bucket_id, target, copied, ANY, now=NOW
        )
        return written

    async def rename(self, source: bytes, target: bytes) -> None:
        """Rename without conditions."""
        await self.run_tx(
            rename, self.bucket.id, source, target, ReadConditions(), ANY, change_ids=(b"1" * 16, b"2" * 16), now=NOW
        )

    async def complete(self, key: bytes) -> Version:
        """Make an object of an upload of no parts."""
        upload = Upload(self.store.ids.object_id(), self.bucket.id, key, NOW - DAY, ADA, ADA, Description())
        await self.run_tx(create_upload, upload)
        version = evolve(self.new_version(b""), id=upload.id, placement=None, part_count=0)
        written: Version = await self.run_tx(
            complete_upload, self.bucket.id, key, upload.id, lambda *_: Assembly(version, []), ANY, now=NOW
        )
        return written


class EnforcementTests(LockCase):
    """AUZ-13: every path that removes or replaces a version respects its lock."""

    def ways_to_lose(self, version: Version) -> list[Callable[[], Awaitable[Any]]]:
        """All there are for a null version under `key`, `other` being another object."""
        return [
            partial(self.put, b"key", b"new"),
            partial(self.copy, b"other", b"key"),
            partial(self.complete, b"key"),
            partial(self.delete, b"key"),
            partial(self.delete, b"key", version.version_id),
            partial(self.rename, b"key", b"elsewhere"),
            partial(self.rename, b"other", b"key"),
        ]

    async def test_AUZ_13_null_version_cannot_be_replaced_or_removed(self) -> None:
        """Neither a put, a copy, a completed upload, a delete, a delete by id, nor a rename gets rid of a locked
        version, without versioning and with suspended versioning."""
        locked = await self.put_locked(Retention(legal_hold=True))
        await self.put(b"other", b"other")
        for attempt in self.ways_to_lose(locked):
            await self.refuses(AccessDenied, attempt)
            self.assertEqual(await self.content(b"key"), b"locked")
        await self.switch(SUSPENDED)
        for attempt in self.ways_to_lose(locked)[:5]:
            await self.refuses(AccessDenied, attempt)
            self.assertEqual(await self.content(b"key"), b"locked")
        await self.refuses(NotImplementedHere, self.rename, b"other", b"elsewhere")
        await self.check_invariants()

    async def test_AUZ_6_unreadable_locks_count_as_locked(self) -> None:
        """A version whose lock was damaged stays, with and without a bypass."""
        damaged: list[tuple[Any, Any, Any]] = [
            (GOVERNANCE, None, None),
            (None, NOW - 1, None),
            ("weird", NOW - 1, None),
            (None, None, 7),
        ]
        if not ON_POSTGRES:  # its columns have types
            damaged += [(GOVERNANCE, "soon", None), (None, None, "off")]
        await self.switch(ENABLED)
        for mode, until, hold in damaged:
            locked = await self.put_locked(Retention(mode, until, hold))
            for bypass in (False, True):
                await self.refuses(AccessDenied, self.delete, b"key", locked.version_id, bypass_governance=bypass)
            self.assertEqual(await self.content(b"key", locked.version_id), b"locked")

    async def test_AUZ_13_the_bucket_stays(self) -> None:
        """A bucket is not deleted while a locked version is in it, not even when a delete marker covers it."""
        await self.switch(ENABLED)
        await self.put_locked(Retention(COMPLIANCE, NOW + 1))
        await self.delete(b"key")
        await self.refuses(BucketNotEmpty, self.run_tx, delete_bucket, self.bucket.id, NOW)

    async def test_with_versioning_the_key_may_be_written(self) -> None:
        """A locked version does not keep others from being put or deleted above it."""
        await self.switch(ENABLED)
        locked = await self.put_locked(Retention(COMPLIANCE, NOW + 1))
        await self.put(b"key", b"new")
        marker = await self.delete(b"key")
        await self.delete(b"key", marker.version_id)
        await self.refuses(AccessDenied, self.delete, b"key", locked.version_id)
        await self.refuses(AccessDenied, self.delete, b"key", locked.version_id, bypass_governance=True)
        self.assertEqual(await self.content(b"key", locked.version_id), b"locked")

    async def test_governance_can_be_bypassed(self) -> None:
        """Retention in governance mode gives way to who may bypass it, a legal hold does not."""
        await self.switch(ENABLED)
        governed = await self.put_locked(Retention(GOVERNANCE, NOW + 1))
        held = await self.put_locked(Retention(GOVERNANCE, NOW + 1, legal_hold=True))
        await self.refuses(AccessDenied, self.delete, b"key", governed.version_id)
        await self.delete(b"key", governed.version_id, bypass_governance=True)
        await self.refuses(AccessDenied, self.delete, b"key", held.version_id, bypass_governance=True)

    async def test_retention_ends(self) -> None:
        """When the time is over the version can go."""
        await self.switch(ENABLED)
        locked = await self.put_locked(Retention(COMPLIANCE, NOW))
        await self.delete(b"key", locked.version_id)
        self.assertIsNone(await self.find(b"key"))


class ChangeTests(LockCase):
    """set_retention and set_legal_hold."""

    async def setUp(self) -> None:  # type: ignore[override]
        """A bucket with object lock and one object."""
        await super().setUp()
        await self.lock_bucket()
        self.version = await self.put(b"key", b"data")

    async def set(self, mode: str | None, until: int | None, *, bypass: bool = False, now: int = NOW) -> Version:
        """set_retention of the version."""
        version: Version = await self.run_tx(
            set_retention,
            self.bucket.id,
            b"key",
            self.version.version_id,
            mode,
            until,
            bypass_governance=bypass,
            change_id=self.store.ids.object_id(),
            now=now,
        )
        return version

    async def hold(self, held: bool, key: bytes = b"key", version_id: str | None = None) -> Version:
        """set_legal_hold."""
        options = {"change_id": self.store.ids.object_id(), "now": NOW}
        version: Version = await self.run_tx(set_legal_hold, self.bucket.id, key, version_id, held, **options)
        return version

    async def test_compliance_only_grows(self) -> None:
        """Nothing shortens, removes or weakens it before its end; afterwards it can go."""
        answered = await self.set(COMPLIANCE, NOW + 5)
        self.assertEqual(answered.description.retention, Retention(COMPLIANCE, NOW + 5))
        await self.set(COMPLIANCE, NOW + 9)
        for mode, until in ((COMPLIANCE, NOW + 8), (GOVERNANCE, NOW + 99), (None, None)):
            for bypass in (False, True):
                await self.refuses(AccessDenied, self.set, mode, until, bypass=bypass)
        self.assertEqual(await self.retention(), Retention(COMPLIANCE, NOW + 9))
        await self.set(None, None, now=NOW + 9)
        self.assertEqual(await self.retention(), NO_LOCK)

    async def test_governance_needs_a_bypass(self) -> None:
        """To shorten, remove or turn it into compliance takes the bypass."""
        await self.set(GOVERNANCE, NOW + 9)
        for mode, until in ((GOVERNANCE, NOW + 8), (None, None), (COMPLIANCE, NOW + 9)):
            await self.refuses(AccessDenied, self.set, mode, until)
            await self.set(mode, until, bypass=True)
            if mode != COMPLIANCE:
                await self.set(GOVERNANCE, NOW + 9)
        self.assertEqual(await self.retention(), Retention(COMPLIANCE, NOW + 9))

    async def test_hold_and_retention_leave_each_other_alone(self) -> None:
        """Each is kept while the other changes; a hold that was taken back is known to have been."""
        await self.hold(True)
        await self.set(GOVERNANCE, NOW + 9)
        self.assertEqual(await self.retention(), Retention(GOVERNANCE, NOW + 9, True))
        answered = await self.hold(False)
        self.assertEqual(answered.description.retention, Retention(GOVERNANCE, NOW + 9, False))
        self.assertEqual(await self.retention(), Retention(GOVERNANCE, NOW + 9, False))

    async def test_what_cannot_be_locked(self) -> None:
        """No key, a delete marker, no bucket."""
        await self.refuses(NoSuchKey, self.hold, True, b"nothing")
        marker = await self.delete(b"key")
        await self.refuses(MethodNotAllowed, self.hold, True, b"key", marker.version_id)
        self.bucket = evolve(self.bucket, id=7)
        await self.refuses(NoSuchBucket, self.set, GOVERNANCE, NOW + 1)

    async def test_without_object_lock(self) -> None:
        """In another bucket nothing can be locked, neither afterwards nor while it is written."""
        await self.run_tx(lambda tx: tx.run("UPDATE buckets SET object_lock = 0"))
        await self.refuses(InvalidRequest, self.hold, True)
        await self.refuses(InvalidRequest, self.set, GOVERNANCE, NOW + 1)
        locked = Description(retention=Retention(GOVERNANCE, NOW + 1))
        await self.refuses(InvalidRequest, self.put, b"new", b"data", description=locked)
        await self.refuses(InvalidRequest, self.copy, b"key", b"new", retention=Retention(legal_hold=False))
        self.assertIsNone(await self.find(b"new"))
        await self.check_invariants()


class DefaultTests(LockCase):
    """The lock that a version begins with."""

    async def test_every_way_of_writing(self) -> None:
        """A put, a copy and a completed upload get the default, counted from now; a delete marker gets none."""
        await self.lock_bucket(DefaultRetention(COMPLIANCE, days=2))
        expected = Retention(COMPLIANCE, NOW + 2 * DAY)
        written = [await self.put(b"put", b"data"), await self.copy(b"put", b"copy"), await self.complete(b"upload")]
        for key, version in zip((b"put", b"copy", b"upload"), written, strict=True):
            self.assertEqual(version.description.retention, expected)
            self.assertEqual(await self.retention(key), expected)
        await self.delete(b"put")
        self.assertEqual(await self.retention(b"put"), NO_LOCK)

    async def test_what_was_asked_for_goes_before(self) -> None:
        """A retention replaces the default, a legal hold comes beside it."""
        await self.lock_bucket(DefaultRetention(COMPLIANCE, days=2))
        await self.put(b"key", b"data", description=Description(retention=Retention(GOVERNANCE, NOW + 1)))
        self.assertEqual(await self.retention(), Retention(GOVERNANCE, NOW + 1))
        await self.put(b"key", b"data", description=Description(retention=Retention(legal_hold=True)))
        self.assertEqual(await self.retention(), Retention(COMPLIANCE, NOW + 2 * DAY, True))

    async def test_AUZ_6_an_unreadable_default_lets_nothing_be_written(self) -> None:
        """It is not taken for none."""
        await self.lock_bucket()
        for text in (
            b"",
            b"[]",
            b'{"mode": "COMPLIANCE"}',
            b'{"mode": "none", "days": 1}',
            b'{"mode": "COMPLIANCE", "days": "1"}',
            b'{"mode": "COMPLIANCE", "days": 0}',
            b'{"mode": "COMPLIANCE", "days": 1, "years": 1}',
            b'{"mode": "COMPLIANCE", "days": 1, "weeks": 1}',
        ):
            await self.run_tx(put_document, self.bucket.id, DEFAULT_RETENTION, text)
            await self.refuses(CorruptedData, self.put, b"key", b"data")
            await self.refuses(CorruptedData, self.run_tx, default_retention, self.bucket.id)
        self.assertIsNone(await self.find(b"key"))
        await self.check_invariants()


class ConfigurationTests(LockCase):
    """set_lock_configuration."""

    async def test_versioning_must_be_enabled(self) -> None:
        """Before and after."""
        for state in (None, SUSPENDED):
            if state is not None:
                await self.switch(state)
            await self.refuses(InvalidBucketState, self.run_tx, set_lock_configuration, self.bucket.id, None)
        await self.lock_bucket()
        await self.refuses(InvalidBucketState, self.run_tx, set_versioning, self.bucket.id, SUSPENDED)
        await self.run_tx(set_versioning, self.bucket.id, ENABLED)
        bucket = await self.store.index.read(lambda tx: find_bucket(tx, "", "bucket"))
        assert bucket is not None
        self.assertEqual((bucket.versioning, bucket.object_lock), (Versioning.ENABLED, True))

    async def test_the_default_comes_and_goes(self) -> None:
        """It is replaced and removed; object lock stays, and each change makes a new generation of the bucket."""
        generations = [self.bucket.generation]
        for default in (DefaultRetention(GOVERNANCE, days=1), DefaultRetention(COMPLIANCE, years=2), None):
            await self.lock_bucket(default)
            found = await self.store.index.read(lambda tx: default_retention(tx, self.bucket.id))
            self.assertEqual(found, default)
            self.assertTrue(self.bucket.object_lock)
            generations.append(self.bucket.generation)
        self.assertEqual(generations, sorted(set(generations)))


class ModelTests(LockCase):
    """Whatever is done, a version that is protected stays."""

    async def test_compliance_survives_everything(self) -> None:
        """A version in compliance mode outlasts sequences of attempts to lose it, whichever of them succeed."""
        await self.lock_bucket()
        retention = Retention(COMPLIANCE, NOW + 1)
        locked = await self.put(b"key", b"locked", description=Description(retention=retention))
        await self.put(b"other", b"other")
        options = {"bypass_governance": True, "change_id": b"c" * 16, "now": NOW}
        change = partial(self.run_tx, set_retention, self.bucket.id, b"key", locked.version_id, **options)
        attempts: list[Callable[[], Awaitable[Any]]] = [
            *(partial(change, *to) for to in ((None, None), (COMPLIANCE, NOW), (GOVERNANCE, NOW + 9))),
            partial(self.delete, b"key", locked.version_id, bypass_governance=True),
            partial(self.put, b"key", b"new"),
            partial(self.copy, b"other", b"key"),
            partial(self.complete, b"key"),
            partial(self.delete, b"key"),
            partial(self.switch, SUSPENDED),
            partial(self.run_tx, delete_bucket, self.bucket.id, NOW),
        ]
        choice = Random(7).choice
        for _ in range(100):
            with contextlib.suppress(DomainError):
                await choice(attempts)()
            self.assertEqual(await self.retention(b"key", locked.version_id), retention)
        self.assertEqual(await self.content(b"key", locked.version_id), b"locked")
        await self.check_invariants()
