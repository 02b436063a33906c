"""Deciding one request: what it demands, against what was configured, with no more reads than the answer depends on.

An object is read only when the decision comes back undecided without it, once, and whatever depends on its list, its
owner or its tags is decided from that one read.

What is not there must not show to those who may not list the bucket: they get AccessDenied where others get NoSuchKey,
as on AWS, whether there is such an object or not.
"""

from __future__ import annotations

from functools import partial

from attrs import define, evolve, field

from post3tw.model.acl import Acl
from post3tw.model.bucket import Bucket
from post3tw.model.errors import AccessDenied, DomainError, InvalidArgument, KeyTooLong, NoSuchUpload
from post3tw.model.identity import Owner
from post3tw.model.values import value_class
from post3tw.model.version import Version
from post3tw.service.demands import Demand, versioned
from post3tw.service.grants import acl_from_text
from post3tw.service.keys import check_version_id, key_bytes
from post3tw.service.multipart import upload_id_bytes
from post3tw.service.policy.access import ABSENT, UNREAD, BucketAccess, Missing, ObjectAccess
from post3tw.service.policy.decision import Decision, Outcome, Reason, Request, decide
from post3tw.service.policy.statement import resource_arn
from post3tw.service.request_context import RequestContext
from post3tw.storage.index.transactions.buckets import ObjectName
from post3tw.storage.index.transactions.multipart import find_upload
from post3tw.storage.index.transactions.versions import find_version, require_object
from post3tw.storage.interfaces import IIndex
from post3tw.wire.copy_source import CopySource, parse_copy_source

OF_UPLOADS = frozenset({"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"})
"""Actions on an upload in progress: it, not the object of its key, is what they are decided on."""


@value_class
class Place:
    """A bucket, and what is configured about it."""

    bucket: Bucket
    access: BucketAccess


@define(eq=False)
class RequestJudge:
    """Decides what one request demands; see admitted.Judge.

    Attributes:
        index: where objects are read.
        asked: the request, as conditions of policies see it.
        target: the bucket that the request names.
        source: the bucket that a copy reads from.
        met: see admitted.Judge.
    """

    index: IIndex
    asked: RequestContext
    target: Place
    source: Place | None = None
    _read: dict[tuple[int, str | None, str | None, str | None], ObjectAccess | Missing] = field(
        factory=dict, init=False
    )
    met: dict[ObjectName, Version | None] = field(factory=dict, init=False)

    async def require(
        self, demand: Demand, place: Place | None = None, at_first_sight: Decision | None = None
    ) -> Decision:
        """Refuse the request unless a demand is allowed; the decision that it is.

        Args:
            demand: what must be allowed.
            place: in which bucket; the target when not given.
            at_first_sight: the decision without the object, if it was made.

        Raises:
            AccessDenied: it is not.
            NoSuchKey, NoSuchVersion, MethodNotAllowed: nothing allows it, as there is no such object, and the caller
                may know.
        """
        place = place or self.target
        decision = await self._decide(demand, place, at_first_sight)
        if decision.allowed or (demand.unless_denied and decision.outcome is Outcome.IMPLICIT_DENY):
            return decision
        if decision.outcome is Outcome.IMPLICIT_DENY and demand.existing:
            await self._say_if_missing(demand, place)
        raise AccessDenied()

    async def require_tags(self, source: CopySource) -> None:
        """Refuse a copy with its source's tags, if it has any, unless they may be read there and written here.

        Raises:
            AccessDenied: they may not.
        """
        assert self.source is not None
        read = Demand(versioned("s3:GetObjectTagging", source.version_id), source.key, source.version_id)
        found = await self._object(read, self.source)
        if isinstance(found, ObjectAccess) and found.tags:
            await self.require(read, self.source)
            key = self.asked.input.key
            by_list = self.at_first_sight(Demand("s3:PutObject", key), self.target).reason is Reason.BUCKET_ACL
            await self.require(Demand("s3:PutObjectTagging", key, unless_denied=by_list))

    async def allows(self, demand: Demand) -> bool:
        """Whether a demand on the target is allowed."""
        return (await self._decide(demand, self.target)).allowed

    async def may(self, action: str, key: str, version_id: str | None) -> bool:
        """See admitted.Judge."""
        return await self.allows(Demand(action, key, version_id))

    async def conceal(self, error: DomainError) -> None:
        """Called when an admitted operation found no object: AccessDenied for those who may not list the bucket.

        Raises:
            AccessDenied: instead of `error`.
        """
        for place, key in self._keys():
            if not await self._may_list(place, key):
                raise AccessDenied() from error

    # -- steps --------------------------------------------------------------------------------------------------------

    def at_first_sight(self, demand: Demand, place: Place) -> Decision:
        """The decision without the object: UNDECIDED when it depends on that."""
        return self.unseen(demand.action, demand.key, demand.version_id, place)

    def unseen(self, action: str, key: str | None, version_id: str | None, place: Place) -> Decision:
        """The same, on an action on a key, or on a bucket."""
        known: ObjectAccess | Missing = UNREAD if key is not None else ABSENT
        return decide(self._request(action, key, version_id, place), place.access, known)

    async def _decide(self, demand: Demand, place: Place, at_first_sight: Decision | None = None) -> Decision:
        decision = at_first_sight or self.at_first_sight(demand, place)
        if decision.outcome is Outcome.UNDECIDED:
            request = self._request(demand.action, demand.key, demand.version_id, place)
            decision = decide(request, place.access, await self._object(demand, place))
        return decision

    def _request(self, action: str, key: str | None, version_id: str | None, place: Place) -> Request:
        context = self.asked
        if place is not self.target or version_id is not None:
            fixed = None if version_id is None else {"s3:versionid": (version_id,)}
            context = evolve(context, bucket=place.bucket, fixed=fixed)
        return Request(context.caller.identity, action, resource_arn(place.bucket.name, key), context)

    async def _object(self, demand: Demand, place: Place) -> ObjectAccess | Missing:
        """What the decision needs to know of the object, or of the upload."""
        upload_id = demand.upload_id if demand.action in OF_UPLOADS else None
        name = (place.bucket.id, demand.key, demand.version_id, upload_id)
        if name not in self._read:
            self._read[name] = await self._look_up(*name)
        return self._read[name]

    async def _look_up(
        self, bucket_id: int, key: str | None, version_id: str | None, upload_id: str | None
    ) -> ObjectAccess | Missing:
        try:
            raw = key_bytes(key)
            if upload_id is not None:
                find = partial(find_upload, bucket_id=bucket_id, key=raw, upload_id=upload_id_bytes(upload_id))
                upload = await self.index.read(find)
                return ABSENT if upload is None else ObjectAccess(upload.initiator.id)
            version_id = check_version_id(version_id)
        except (InvalidArgument, KeyTooLong, NoSuchUpload):
            return ABSENT  # no object of ours can have such a name; the operation says what is wrong with it
        version = await self.index.read(partial(find_version, bucket_id=bucket_id, key=raw, version_id=version_id))
        if version is not None and version.delete_marker:
            version = None
        self.met[bucket_id, raw, version_id] = version
        return ABSENT if version is None else object_access(version)

    async def _say_if_missing(self, demand: Demand, place: Place) -> None:
        if not await self._may_list(place, demand.key or ""):
            return
        await self.index.read(
            partial(
                require_object,
                bucket_id=place.bucket.id,
                key=key_bytes(demand.key),
                version_id=check_version_id(demand.version_id),
            )
        )

    async def _may_list(self, place: Place, key: str) -> bool:
        """Whether the caller may learn, by listing, that there is no such key."""
        fixed = {"s3:prefix": (key,)}
        context = evolve(self.asked, operation="ListObjectsV2", input=None, bucket=place.bucket, fixed=fixed)
        request = Request(context.caller.identity, "s3:ListBucket", resource_arn(place.bucket.name), context)
        return decide(request, place.access, ABSENT).allowed

    def _keys(self) -> list[tuple[Place, str]]:
        """Whatever the operation may have looked for."""
        key = getattr(self.asked.input, "key", None)
        found = [] if key is None else [(self.target, key)]
        if self.source is not None:
            found.append((self.source, parse_copy_source(self.asked.input.copy_source).key))
        return found


def object_access(version: Version) -> ObjectAccess:
    """What decisions need to know of a version. A list that cannot be read grants nothing."""
    owner, tags = version.owner, version.description.tags
    try:
        acl = None if version.description.acl is None else acl_from_text(owner, version.description.acl)
    except ValueError:
        acl = Acl(Owner(owner.id, owner.display_name))
    return ObjectAccess(owner.id, acl, tags)
