"""Access control lists. Everything is private as yet: a list names the owner alone, and no other can be put."""

from __future__ import annotations

from functools import partial

from attrs import frozen

from post3tw.api import types
from post3tw.model.errors import MalformedXML
from post3tw.model.identity import Caller, Owner
from post3tw.service.admitted import admitted_bucket
from post3tw.service.keys import check_version_id, key_bytes
from post3tw.service.operation import operation
from post3tw.service.owners import owner_of_bucket, shown_owner
from post3tw.service.store import Store
from post3tw.storage.index.transactions.versions import require_object

BUCKET_ACLS = ("private",)
OBJECT_ACLS = ("private", "bucket-owner-full-control")
"""The canned ACLs that ask for nothing but what holds anyway."""

_BODY = ("content_md5", "checksum_algorithm")


@frozen
class Acls:
    """Reading lists, and putting the one that holds anyway."""

    store: Store

    @operation("s3:GetBucketAcl")
    async def get_bucket_acl(self, caller: Caller, input: types.GetBucketAclInput) -> types.GetBucketAclOutput:
        """The bucket's owner, who may do everything."""
        owner = owner_of_bucket(admitted_bucket(caller))
        return types.GetBucketAclOutput(owner=shown_owner(owner), grants=_full_control(owner))

    @operation("s3:PutBucketAcl", honours=_BODY, accepts={"acl": BUCKET_ACLS})
    async def put_bucket_acl(self, caller: Caller, input: types.PutBucketAclInput) -> types.PutBucketAclOutput:
        """Ask for `private`, which it is.

        Raises:
            MalformedXML: nothing was asked for.
        """
        if input.acl is None:
            raise MalformedXML()
        return types.PutBucketAclOutput()

    @operation("s3:GetObjectAcl", honours=("version_id",))
    async def get_object_acl(self, caller: Caller, input: types.GetObjectAclInput) -> types.GetObjectAclOutput:
        """The object's owner, who may do everything.

        Raises:
            NoSuchKey, NoSuchVersion, MethodNotAllowed (delete marker).
        """
        owner = await self._owner(caller, input.key, input.version_id)
        return types.GetObjectAclOutput(owner=shown_owner(owner), grants=_full_control(owner))

    @operation(
        "s3:PutObjectAcl",
        honours=("version_id", *_BODY),
        accepts={"acl": OBJECT_ACLS},
    )
    async def put_object_acl(self, caller: Caller, input: types.PutObjectAclInput) -> types.PutObjectAclOutput:
        """Ask for `private`, or for the bucket's owner to have full control; both hold anyway.

        Raises:
            MalformedXML: nothing was asked for.
            NoSuchKey, NoSuchVersion, MethodNotAllowed (delete marker).
        """
        if input.acl is None:
            raise MalformedXML()
        await self._owner(caller, input.key, input.version_id)
        return types.PutObjectAclOutput()

    async def _owner(self, caller: Caller, key: str | None, version_id: str | None) -> Owner:
        find = partial(
            require_object,
            bucket_id=admitted_bucket(caller).id,
            key=key_bytes(key),
            version_id=check_version_id(version_id),
        )
        return (await self.store.index.read(find)).owner


def _full_control(owner: Owner) -> list[types.Grant]:
    grantee = types.Grantee(id=owner.id, display_name=owner.display_name, type="CanonicalUser")
    return [types.Grant(grantee=grantee, permission="FULL_CONTROL")]
