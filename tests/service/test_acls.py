"""Access control lists while everything is private."""

from __future__ import annotations

from post3tw.api import types
from post3tw.model.errors import MalformedXML, MethodNotAllowed, NoSuchKey
from post3tw.service.acls import Acls
from tests.service.object_case import ENABLED, ObjectCase
from tests.service.stores import OWNER, admitted


class AclTests(ObjectCase):
    """The four operations."""

    def grants(
        self, answer: types.GetBucketAclOutput | types.GetObjectAclOutput
    ) -> list[tuple[str | None, str | None]]:
        """Who has which permission."""
        found = []
        for grant in answer.grants or ():
            assert grant.grantee is not None
            found.append((grant.grantee.id, grant.permission))
        return found

    async def test_owner_has_full_control(self) -> None:
        """The lists of a bucket and of an object name their owner alone."""
        await self.put("key")
        acls = Acls(self.store)
        of_bucket = await acls.get_bucket_acl(admitted("GetBucketAcl", self.bucket), types.GetBucketAclInput())
        self.assertEqual(self.grants(of_bucket), [(self.bucket.owner_id, "FULL_CONTROL")])
        of_object = await acls.get_object_acl(admitted("GetObjectAcl", self.bucket), types.GetObjectAclInput(key="key"))
        self.assertEqual(self.grants(of_object), [(OWNER.user_id, "FULL_CONTROL")])

    async def test_what_holds_anyway_can_be_put(self) -> None:
        """The canned lists that change nothing are taken; nothing at all is malformed."""
        await self.put("key")
        acls = Acls(self.store)
        caller = admitted("PutBucketAcl", self.bucket)
        await acls.put_bucket_acl(caller, types.PutBucketAclInput(acl="private"))
        await self.fails(MalformedXML, acls.put_bucket_acl(caller, types.PutBucketAclInput()))
        caller = admitted("PutObjectAcl", self.bucket)
        await acls.put_object_acl(caller, types.PutObjectAclInput(key="key", acl="bucket-owner-full-control"))
        await self.fails(MalformedXML, acls.put_object_acl(caller, types.PutObjectAclInput(key="key")))

    async def test_missing_objects(self) -> None:
        """An object that is not there has no list, nor has a delete marker."""
        acls = Acls(self.store)
        get, put = admitted("GetObjectAcl", self.bucket), admitted("PutObjectAcl", self.bucket)
        await self.fails(NoSuchKey, acls.get_object_acl(get, types.GetObjectAclInput(key="key")))
        await self.fails(NoSuchKey, acls.put_object_acl(put, types.PutObjectAclInput(key="key", acl="private")))
        await self.switch(ENABLED)
        await self.put("key")
        marker = (await self.delete("key")).version_id
        input = types.GetObjectAclInput(key="key", version_id=marker)
        await self.fails(MethodNotAllowed, acls.get_object_acl(get, input))
