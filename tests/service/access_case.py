"""What the tests of access share: the whole service over a store, callers of all kinds, and policies in short."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import evolve
from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import TestCase

from post3tw.api import types
from post3tw.api.operations import OPERATIONS
from post3tw.model.identity import Caller, Identity, Owner
from post3tw.service.authorization import AuthorizedService
from post3tw.service.local import local_service
from tests.service.stores import BytesBody, make_store, read_body

ADA = Identity("ada", "Ada", "ADAKEY", email="ada@example.com")
BOB = Identity("bob", "Bob", "BOBKEY", email="bob@example.com")
EVE = Identity("eve", "Eve", "EVEKEY", tenant="lab")
ADMIN = Identity("root", "root", "ROOT", admin=True)
NOBODY: Identity | None = None

E = TypeVar("E", bound=Exception)


class Directory:
    """The people that lists can name: Ada, Bob, and two who share an address."""

    known = (ADA.owner, BOB.owner)

    def by_id(self, user_id: str) -> Owner | None:
        """See People."""
        return next((owner for owner in self.known if owner.id == user_id), None)

    def by_email(self, email: str) -> tuple[Owner, ...]:
        """See People."""
        if email == "both@example.com":
            return self.known
        return tuple(user.owner for user in (ADA, BOB) if user.email == email)


class AccessCase(TestCase):
    """The whole service; Ada owns `bucket`."""

    new_bucket_documents: Mapping[str, bytes] = {}

    async def setUp(self) -> None:  # type: ignore[override]
        """Make the store and Ada's bucket."""
        store = await make_store(self)
        self.store = evolve(store, people=Directory(), new_bucket_documents=self.new_bucket_documents)
        self.service: AuthorizedService = local_service(self.store)
        await self.call(ADA, "CreateBucket")

    async def call(
        self,
        identity: Identity | None,
        operation: str,
        data: bytes = b"data",
        *,
        caller: Caller | None = None,
        admit_only: bool = False,
        **members: Any,
    ) -> Any:
        """Run an operation as somebody; on `bucket` and `key` unless others are named."""
        known = OPERATIONS[operation]
        defaults = {"bucket": "bucket", "key": "key", "copy_source": "bucket/key"}
        input = known.input(**{**{n: v for n, v in defaults.items() if n in known.members}, **members})
        document = {name: members[name] for name in members if known.bindings[name][0] == "payload"}
        caller = caller or Caller(identity)
        for name in document:  # what the protocol does: the document comes after the admission
            setattr(input, name, None)
        await self.service.admit(caller, operation, input)
        if admit_only:
            return None
        for name, value in document.items():
            setattr(input, name, value)
        method = self.service.operations()[operation]
        if known.body == "stream":
            return await method(caller, input, BytesBody(data))
        output = await method(caller, input)
        if getattr(output, "body", None) is not None:
            output.body = await read_body(output.body)
        return output

    async def refused(self, error: type[E], identity: Identity | None, operation: str, **members: Any) -> E:
        """Check that an operation fails so, and return the error."""
        failure: E = await self.assertFailure(ensureDeferred(self.call(identity, operation, **members)), error)
        self.assertIs(type(failure), error)
        return failure

    async def allow(self, *statements: Mapping[str, Any], bucket: str = "bucket", owner: Identity = ADA) -> None:
        """Put a policy of these statements: Allow everybody, on the bucket's objects, unless they say otherwise."""
        defaults = {"Effect": "Allow", "Principal": "*", "Resource": f"arn:aws:s3:::{bucket}/*"}
        document = {"Version": "2012-10-17", "Statement": [{**defaults, **statement} for statement in statements]}
        await self.call(owner, "PutBucketPolicy", bucket=bucket, policy=json.dumps(document))


def tagging(**tags: str) -> types.Tagging:
    """A document with these tags."""
    return types.Tagging(tag_set=[types.Tag(key=key, value=value) for key, value in tags.items()])
