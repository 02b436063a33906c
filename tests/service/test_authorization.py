"""Who may run which operation, enumerated over all that the local store has."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import TestCase

from post3tw.api.operations import OPERATIONS
from post3tw.model.errors import AccessDenied
from post3tw.model.identity import Caller, Identity
from post3tw.service.authorization import WITHOUT_BUCKET, AuthorizedService
from post3tw.service.local import local_service
from tests.service.stores import OWNER, make_bucket, make_store

STRANGER = Identity("stranger", "Stranger", "STRANGER")
ADMIN = Identity("root", "root", "ROOT", admin=True)


class EveryOperationTests(TestCase):
    """AuthorizedService.admit."""

    async def setUp(self) -> None:  # type: ignore[override]
        """The whole service, over a store with one bucket of OWNER's and one of the stranger's."""
        self.store = await make_store(self)
        self.bucket = await make_bucket(self.store)
        self.service: AuthorizedService = local_service(self.store)
        await self.run_as(STRANGER, "CreateBucket", bucket="strange")

    def input_of(self, operation: str, **members: Any) -> Any:
        """An input about OWNER's bucket, which copies read from as well."""
        defaults = {"bucket": "bucket", "key": "key", "copy_source": "bucket/key"}
        known = {name: value for name, value in defaults.items() if name in OPERATIONS[operation].members}
        return OPERATIONS[operation].input(**{**known, **members})

    async def run_as(self, identity: Identity | None, operation: str, **members: Any) -> Any:
        """Admit a caller and run an operation without a body."""
        caller, input = Caller(identity), self.input_of(operation, **members)
        await self.service.admit(caller, operation, input)
        return await self.service.operations()[operation](caller, input)

    async def admitted(self, identity: Identity | None, operation: str, **members: Any) -> bool:
        """Whether a caller may."""
        caller = Caller(identity)
        try:
            await self.service.admit(caller, operation, self.input_of(operation, **members))
        except AccessDenied:
            self.assertIsNone(caller.admission)
            return False
        self.assertIsNotNone(caller.admission)
        return True

    async def test_nobody(self) -> None:
        """An anonymous caller may do nothing."""
        for operation in self.service.operations():
            self.assertFalse(await self.admitted(None, operation), operation)

    async def test_strangers(self) -> None:
        """Another user may do nothing with a bucket, but has the operations that need none."""
        found = {name for name in self.service.operations() if await self.admitted(STRANGER, name)}
        self.assertEqual(found, WITHOUT_BUCKET)

    async def test_owner_and_administrators(self) -> None:
        """The owner of a bucket and administrators may do everything with it."""
        for identity in (OWNER, ADMIN):
            for operation in self.service.operations():
                self.assertTrue(await self.admitted(identity, operation), operation)

    async def test_copies(self) -> None:
        """Who copies must have a right to both buckets, and both must have the owners that were expected."""
        for operation in ("CopyObject", "UploadPartCopy"):
            self.assertTrue(await self.admitted(OWNER, operation))
            self.assertFalse(await self.admitted(OWNER, operation, copy_source="strange/key"))
            self.assertFalse(await self.admitted(STRANGER, operation, bucket="strange"))
            self.assertTrue(await self.admitted(OWNER, operation, expected_source_bucket_owner=OWNER.user_id))
            self.assertFalse(await self.admitted(OWNER, operation, expected_source_bucket_owner="stranger"))

    async def test_unadmitted_calls(self) -> None:
        """No operation runs for a caller who was not admitted, or was to another one."""
        for operation, method in self.service.operations().items():
            other = "HeadBucket" if operation != "HeadBucket" else "ListObjects"
            admitted = Caller(OWNER)
            await self.service.admit(admitted, other, self.input_of(other))
            for caller in (Caller(OWNER), Caller(ADMIN), admitted):
                calling = ensureDeferred(method(caller, self.input_of(operation), None))
                await self.assertFailure(calling, AccessDenied)
