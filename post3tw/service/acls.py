"""The operations on access control lists of buckets and objects.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
"""

from __future__ import annotations

from functools import partial
from typing import Any

from attrs import frozen

from post3tw.api import types
from post3tw.model.acl import Acl, private
from post3tw.model.errors import AclsNotSupported, MalformedXML, UnexpectedContent
from post3tw.model.identity import Caller, Owner
from post3tw.model.version import Version
from post3tw.service.admitted import admitted_access, admitted_bucket
from post3tw.service.bucket_documents import delete_document, put_document
from post3tw.service.grants import GRANT_MEMBERS, acl_from_text, acl_of_document, acl_of_headers, acl_to_text, shown_acl
from post3tw.service.keys import check_version_id, key_bytes
from post3tw.service.object_ownership import refuse_public
from post3tw.service.operation import operation
from post3tw.service.owners import owner_of_bucket
from post3tw.service.store import Store
from post3tw.storage.index.transactions.objects import set_acl
from post3tw.storage.index.transactions.versions import require_object
from post3tw.storage.interfaces import Lock

ACL_KIND = "acl"
"""The kind of document that holds a bucket's list; a bucket without one is private."""

_PUT = ("acl", "access_control_policy", "content_md5", "checksum_algorithm", *GRANT_MEMBERS)


@frozen
class Acls:
    """Reading and replacing lists."""

    store: Store

    @operation("s3:GetBucketAcl")
    async def get_bucket_acl(self, caller: Caller, input: types.GetBucketAclInput) -> types.GetBucketAclOutput:
        """The bucket's list: who owns it, and who was granted what."""
        owner, access = owner_of_bucket(admitted_bucket(caller)), admitted_access(caller)
        acl = private(owner) if access.acl is None or access.acls_disabled else access.acl
        shown, grants = shown_acl(acl)
        return types.GetBucketAclOutput(owner=shown, grants=grants)

    @operation("s3:PutBucketAcl", honours=_PUT)
    async def put_bucket_acl(self, caller: Caller, input: types.PutBucketAclInput) -> types.PutBucketAclOutput:
        """Replace the bucket's list.

        Raises:
            AclsNotSupported: the bucket's owner owns everything in it.
            MalformedXML: nothing was asked for.
            AccessDenied: a public list, where BlockPublicAcls is set.
            What acl_of_headers and acl_of_document raise.
        """
        owner = owner_of_bucket(admitted_bucket(caller))
        text = acl_to_text(self._requested(caller, input, owner, of_bucket=True))
        if text is None:
            await delete_document(self.store, caller, ACL_KIND)
        else:
            await put_document(self.store, caller, ACL_KIND, text.encode())
        return types.PutBucketAclOutput()

    @operation("s3:GetObjectAcl", honours=("version_id",))
    async def get_object_acl(self, caller: Caller, input: types.GetObjectAclInput) -> types.GetObjectAclOutput:
        """The object's list.

        Raises:
            NoSuchKey, NoSuchVersion, MethodNotAllowed (delete marker).
        """
        bucket = admitted_bucket(caller)
        version = await self._find(caller, input)
        if admitted_access(caller).acls_disabled:
            acl = private(owner_of_bucket(bucket))
        else:
            acl = acl_from_text(version.owner, version.description.acl)
        shown, grants = shown_acl(acl)
        return types.GetObjectAclOutput(owner=shown, grants=grants)

    @operation("s3:PutObjectAcl", honours=("version_id", *_PUT))
    async def put_object_acl(self, caller: Caller, input: types.PutObjectAclInput) -> types.PutObjectAclOutput:
        """Replace the list of an object, or of one version of it.

        Raises:
            NoSuchKey, NoSuchVersion, MethodNotAllowed (delete marker), and what put_bucket_acl raises.
            OperationAborted: the object was replaced meanwhile.
        """
        bucket, ids = admitted_bucket(caller), self.store.ids
        version = await self._find(caller, input)
        acl = self._requested(caller, input, version.owner, of_bucket=False)
        key = key_bytes(input.key)
        self.store.admit_write()
        await self.store.change(
            caller,
            partial(
                set_acl,
                bucket_id=bucket.id,
                key=key,
                version_id=version.version_id,
                acl=acl_to_text(acl),
                meant=version,
                change_id=ids.object_id(),
                now=ids.now(),
            ),
            (Lock(bucket.id), Lock(bucket.id, key)),
        )
        return types.PutObjectAclOutput()

    async def _find(self, caller: Caller, input: types.GetObjectAclInput | types.PutObjectAclInput) -> Version:
        find = partial(
            require_object,
            bucket_id=admitted_bucket(caller).id,
            key=key_bytes(input.key),
            version_id=check_version_id(input.version_id),
        )
        return await self.store.look(caller, find)

    def _requested(self, caller: Caller, input: Any, owner: Owner, *, of_bucket: bool) -> Acl:
        """The list that is asked for, in headers or in a document."""
        access, bucket_owner = admitted_access(caller), owner_of_bucket(admitted_bucket(caller))
        if access.acls_disabled:
            raise AclsNotSupported()
        people = self.store.people
        acl = acl_of_headers(people, input, owner, None if of_bucket else bucket_owner)
        document = input.access_control_policy
        if document is not None:
            if acl is not None:
                raise UnexpectedContent()
            acl = acl_of_document(people, document, owner, (owner, bucket_owner))
        if acl is None:
            raise MalformedXML()
        refuse_public(acl, access)
        return acl
