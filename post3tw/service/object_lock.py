"""Object lock: the configuration of a bucket, and retention and legal hold of versions. What they forbid is in the
index's transactions (storage/index/transactions/object_lock.py).

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
"""

from __future__ import annotations

from functools import partial

from attrs import frozen

from post3tw.api import types
from post3tw.api.enums import OBJECT_LOCK_LEGAL_HOLD_STATUS
from post3tw.model.errors import (
    InvalidRetentionPeriod,
    MalformedXML,
    NoObjectLockConfiguration,
    NoSuchObjectLock,
    NotImplementedHere,
)
from post3tw.model.identity import Caller
from post3tw.model.object_lock import MODES, DefaultRetention, Retention
from post3tw.service.admitted import admitted_bucket
from post3tw.service.keys import check_version_id, key_bytes
from post3tw.service.operation import operation
from post3tw.service.retention import future_millis, shown_hold
from post3tw.service.store import Store
from post3tw.storage.index.transactions import object_lock as rows
from post3tw.storage.index.transactions.versions import require_object
from post3tw.storage.interfaces import Lock
from post3tw.wire.dates import from_millis

MAX_DAYS = 36500
MAX_YEARS = 100
"""The longest default retention, as on AWS."""

_BODY = ("content_md5", "checksum_algorithm")


@frozen
class BucketLock:
    """The object lock configuration of a bucket."""

    store: Store

    @operation("s3:GetBucketObjectLockConfiguration")
    async def get_object_lock_configuration(
        self, caller: Caller, input: types.GetObjectLockConfigurationInput
    ) -> types.GetObjectLockConfigurationOutput:
        """That the bucket has object lock, and its default retention.

        Raises:
            NoObjectLockConfiguration: it has none.
        """
        bucket = admitted_bucket(caller)
        if not bucket.object_lock:
            raise NoObjectLockConfiguration(bucket_name=bucket.name)
        default = await self.store.index.read(lambda tx: rows.default_retention(tx, bucket.id))
        configuration = types.ObjectLockConfiguration(object_lock_enabled="Enabled")
        if default is not None:
            shown = types.DefaultRetention(mode=default.mode, days=default.days, years=default.years)
            configuration.rule = types.ObjectLockRule(default_retention=shown)
        return types.GetObjectLockConfigurationOutput(object_lock_configuration=configuration)

    @operation("s3:PutBucketObjectLockConfiguration", honours=("object_lock_configuration", *_BODY))
    async def put_object_lock_configuration(
        self, caller: Caller, input: types.PutObjectLockConfigurationInput
    ) -> types.PutObjectLockConfigurationOutput:
        """Give a bucket with versioning object lock, for good; set or remove its default retention.

        Raises:
            MalformedXML, InvalidRetentionPeriod.
            InvalidBucketState: versioning is not enabled.
        """
        default = _default_of(input.object_lock_configuration)
        bucket = admitted_bucket(caller)
        self.store.admit_write()
        await self.store.change(
            caller, lambda tx: rows.set_lock_configuration(tx, bucket.id, default), [Lock(bucket.id, exclusive=True)]
        )
        return types.PutObjectLockConfigurationOutput()


def _default_of(configuration: types.ObjectLockConfiguration | None) -> DefaultRetention | None:
    """The default retention that a document asks for; None when it has no rule."""
    if configuration is None or configuration.object_lock_enabled != "Enabled":
        raise MalformedXML()
    if configuration.rule is None:
        return None
    default = configuration.rule.default_retention
    if default is None or default.mode not in MODES or (default.days is None) == (default.years is None):
        raise MalformedXML()
    if default.default_event_hold is not None:
        raise NotImplementedHere("Event holds are not supported.", operation="PutObjectLockConfiguration")
    _check_period(default.days, MAX_DAYS, "days")
    _check_period(default.years, MAX_YEARS, "years")
    return DefaultRetention(default.mode, default.days, default.years)


def _check_period(period: int | None, most: int, unit: str) -> None:
    if period is not None and period < 1:
        raise InvalidRetentionPeriod()
    if period is not None and period > most:
        raise InvalidRetentionPeriod(f"Default retention period is too long: the maximum is {most} {unit}.")


@frozen
class ObjectLock:
    """Retention and legal hold of objects."""

    store: Store

    @operation("s3:GetObjectRetention", honours=("version_id",))
    async def get_object_retention(
        self, caller: Caller, input: types.GetObjectRetentionInput
    ) -> types.GetObjectRetentionOutput:
        """Mode and end of the retention, also when it is over.

        Raises:
            InvalidRequest: the bucket has no object lock.
            NoSuchObjectLock: the version has no retention.
            NoSuchKey, NoSuchVersion, MethodNotAllowed (delete marker).
        """
        retention = await self._retention(caller, input.key, input.version_id)
        if retention.mode is None or retention.until is None:
            raise NoSuchObjectLock(key=input.key)
        shown = types.ObjectLockRetention(mode=retention.mode, retain_until_date=from_millis(retention.until))
        return types.GetObjectRetentionOutput(retention=shown)

    @operation("s3:PutObjectRetention", honours=("retention", "version_id", "bypass_governance_retention", *_BODY))
    async def put_object_retention(
        self, caller: Caller, input: types.PutObjectRetentionInput
    ) -> types.PutObjectRetentionOutput:
        """Begin, extend or replace the retention of a version; an empty document takes it away.

        Raises:
            MalformedXML, InvalidArgument (a date that is not in the future), InvalidRequest (no object lock).
            AccessDenied: the present retention does not allow it.
            NoSuchKey, NoSuchVersion, MethodNotAllowed (delete marker).
        """
        ids = self.store.ids
        now = ids.now()
        mode, until = _retention_of(input.retention, now)
        bucket, key = admitted_bucket(caller), key_bytes(input.key)
        self.store.admit_write()
        await self.store.change(
            caller,
            partial(
                rows.set_retention,
                bucket_id=bucket.id,
                key=key,
                version_id=check_version_id(input.version_id),
                mode=mode,
                until=until,
                bypass_governance=bool(input.bypass_governance_retention),
                change_id=ids.object_id(),
                now=now,
            ),
            (Lock(bucket.id), Lock(bucket.id, key)),
        )
        return types.PutObjectRetentionOutput()

    @operation("s3:GetObjectLegalHold", honours=("version_id",))
    async def get_object_legal_hold(
        self, caller: Caller, input: types.GetObjectLegalHoldInput
    ) -> types.GetObjectLegalHoldOutput:
        """Whether a version is held.

        Raises:
            InvalidRequest: the bucket has no object lock.
            NoSuchObjectLock: nobody ever said.
            NoSuchKey, NoSuchVersion, MethodNotAllowed (delete marker).
        """
        retention = await self._retention(caller, input.key, input.version_id)
        if retention.legal_hold is None:
            raise NoSuchObjectLock(key=input.key)
        shown = types.ObjectLockLegalHold(status=shown_hold(retention.legal_hold))
        return types.GetObjectLegalHoldOutput(legal_hold=shown)

    @operation("s3:PutObjectLegalHold", honours=("legal_hold", "version_id", *_BODY))
    async def put_object_legal_hold(
        self, caller: Caller, input: types.PutObjectLegalHoldInput
    ) -> types.PutObjectLegalHoldOutput:
        """Hold a version, or let it go.

        Raises:
            MalformedXML, InvalidRequest (no object lock), NoSuchKey, NoSuchVersion, MethodNotAllowed (delete marker).
        """
        status = input.legal_hold.status if input.legal_hold is not None else None
        if status not in OBJECT_LOCK_LEGAL_HOLD_STATUS:
            raise MalformedXML()
        bucket, key, ids = admitted_bucket(caller), key_bytes(input.key), self.store.ids
        self.store.admit_write()
        await self.store.change(
            caller,
            partial(
                rows.set_legal_hold,
                bucket_id=bucket.id,
                key=key,
                version_id=check_version_id(input.version_id),
                held=status == "ON",
                change_id=ids.object_id(),
                now=ids.now(),
            ),
            (Lock(bucket.id), Lock(bucket.id, key)),
        )
        return types.PutObjectLegalHoldOutput()

    async def _retention(self, caller: Caller, name: str | None, version_id: str | None) -> Retention:
        bucket = admitted_bucket(caller)
        rows.require_lockable(bucket)
        find = partial(
            require_object, bucket_id=bucket.id, key=key_bytes(name), version_id=check_version_id(version_id)
        )
        return (await self.store.look(caller, find)).description.retention


def _retention_of(document: types.ObjectLockRetention | None, now: int) -> tuple[str | None, int | None]:
    """Mode and end that a document asks for; None and None when it is empty."""
    if document is None:
        raise MalformedXML()
    if document.event_hold is not None or document.event_hold_duration is not None:
        raise NotImplementedHere("Event holds are not supported.", operation="PutObjectRetention")
    if document.mode is None and document.retain_until_date is None:
        return None, None
    if document.mode not in MODES or document.retain_until_date is None:
        raise MalformedXML()
    return document.mode, future_millis(document.retain_until_date, now)
