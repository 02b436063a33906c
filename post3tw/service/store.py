"""What the operations of the local store work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from attrs import field, frozen

from post3tw.model.bucket import Bucket
from post3tw.model.errors import BucketChanged, NoSuchBucket, ServiceUnavailable
from post3tw.model.identity import Caller
from post3tw.model.ids import IdSource
from post3tw.model.version import Version
from post3tw.service.admitted import objects_decided_on
from post3tw.service.crowd import MUCH, Crowd
from post3tw.service.people import NoPeople, People
from post3tw.storage.index.transactions.buckets import DecidedTransaction, ObjectName
from post3tw.storage.index.transactions.versions import find_version, require_same
from post3tw.storage.interfaces import IBlobStore, IIndex, Lock, Transaction
from post3tw.storage.threads import IThreads, NoThreads

T = TypeVar("T")

DECISIONS = 100
"""How often a write is decided at most while its bucket keeps changing. Of changes of one bucket's configuration that
come at once, one passes in each round."""


def _admit() -> None:
    """There is always room."""


async def _no_pause() -> None:
    """Nobody else waits."""


@frozen
class Store:
    """An opened backend, and what every operation needs beside it.

    Attributes:
        index: rows and transactions.
        blobs: byte strings.
        ids: clock and ids.
        region: where buckets are, such as "us-east-1".
        cpu: a pool for hashing, about as many threads as cores; whoever made it starts and stops it.
        admit_write: raises InsufficientStorage while the disk is full; called before anything that takes space.
        people: whom access control lists can name.
        new_bucket_documents: the documents, by kind, that a new bucket begins with.
        crowd: all answers that are being sent.
        uploads: all large bodies that are being taken in.
        pause: awaited between the pieces of long work on the reactor's thread, so that others get their turn; a server
            passes a zero-second timer.
    """

    index: IIndex
    blobs: IBlobStore
    ids: IdSource
    region: str = "us-east-1"
    cpu: IThreads = field(factory=NoThreads)
    admit_write: Callable[[], None] = _admit
    pause: Callable[[], Awaitable[None]] = _no_pause
    people: People = field(factory=NoPeople)
    new_bucket_documents: Mapping[str, bytes] = field(factory=dict)
    crowd: Crowd = field(factory=Crowd)
    uploads: Crowd = field(factory=partial(Crowd, MUCH))

    async def change(
        self,
        caller: Caller,
        transaction: Transaction[T],
        locks: Sequence[Lock] = (),
        *,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        """Run a writing transaction on the bucket that the caller was admitted to.

        What was decided must hold when it is done: when the transaction finds the bucket in another state than the
        decision rested on (another policy, another list), the call is decided again and the transaction run again.
        Likewise when it depended on an object, and another one is under the key that is locked.
        `before` is what is decided besides (one key of many, for instance), each time after the call itself.

        Raises:
            AccessDenied: it was decided otherwise.
            BucketChanged: the bucket changed faster than could be decided.
            ServiceUnavailable: it was deleted and made again; what is tried again will find the new one.
            What the transaction raises.
        """
        for _ in range(DECISIONS):
            admission = caller.admission
            if before is not None:
                await before()
            if admission is None or admission.renew is None or admission.bucket is None:
                return await self.index.run(transaction, locks)
            buckets, objects = {admission.bucket.id: admission.bucket}, _locked(objects_decided_on(caller), locks)
            try:
                return await self.index.run(partial(_as_decided, transaction, buckets, objects), locks)
            except BucketChanged:
                await admission.renew(caller)
            except NoSuchBucket:
                await admission.renew(caller)  # which says so too, unless there is another bucket of the name by now
                raise ServiceUnavailable from None
        raise BucketChanged

    async def look(self, caller: Caller, transaction: Transaction[T]) -> T:
        """Run a reading transaction on an object that the caller was admitted to.

        When the decision depended on the object, and it finds another one, it is decided again: somebody else's, or a
        private one, may have been put in its place.

        Raises:
            AccessDenied: it was decided otherwise.
            BucketChanged: the object changed faster than could be decided.
            What the transaction raises.
        """
        for _ in range(DECISIONS):
            admission, objects = caller.admission, objects_decided_on(caller)
            if not objects or admission is None or admission.renew is None:
                return await self.index.read(transaction)
            try:
                return await self.index.read(partial(_finding, transaction, objects))
            except BucketChanged:
                await admission.renew(caller)
        raise BucketChanged


Objects = Mapping[ObjectName, Version | None]


def _locked(objects: Objects, locks: Sequence[Lock]) -> Objects:
    """Those that nobody can change during a transaction under these locks."""
    if not objects:
        return objects
    keys = {(lock.bucket_id, lock.key) for lock in locks}
    return {name: version for name, version in objects.items() if name[:2] in keys}


async def _as_decided(transaction: Transaction[T], buckets: Mapping[int, Bucket], objects: Objects, tx: Any) -> T:
    """Run a transaction that writes. Objects are compared before it: it may itself change them, and find them again."""
    for name, version in objects.items():
        require_same(version, await find_version(tx, *name))
    decided: Any = DecidedTransaction(tx, buckets)  # an ITransaction, whose methods are the other one's
    return await transaction(decided)


def _finding(transaction: Transaction[T], objects: Objects, tx: Any) -> Awaitable[T]:
    """Run a transaction that reads. Each of its statements may see another state, so what it finds is compared."""
    decided: Any = DecidedTransaction(tx, {}, objects)
    return transaction(decided)
