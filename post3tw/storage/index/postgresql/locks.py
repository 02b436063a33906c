"""Who may write what at the same time: in this process, and among nodes.

Theory of operation. A transaction declares what it holds (`Lock`): its buckets, shared or exclusive, and keys. Two
whose locks collide are not in the same group, nor in groups that are under way at the same time: `LockTable` keeps
the later one waiting, and those behind it that collide with what it waits for, so that nobody is overtaken for ever.

Among nodes, the database holds the locks until the group commits. `lock_requests` asks for all of a group's at once,
in one order that is the same everywhere (buckets by id, then keys by slot), so that groups wait for each other but
never in a circle:

- a bucket is its row, FOR SHARE or FOR UPDATE. Row locks let later sharers pass those who wait for an exclusive one,
  for ever if a node is busy; so an advisory lock of the bucket stands in front, which is fair. It only orders: a
  database without advisory locks, or one where they do nothing, lacks the fairness and nothing else.
- a key may have no row to lock, and the row of its latest version is another one after each write. So the rows of
  `key_locks` stand for keys; keys whose hashes fall together wait for each other, which is rare and harmless.

What must never happen although somebody held no lock (two latest versions of a key, two buckets of a name) is also
forbidden by unique constraints.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from zlib import crc32

from attrs import define, field, frozen

from post3tw.storage.index.postgresql.statements import Request, integers, request
from post3tw.storage.interfaces import Lock

SLOTS = 16384
"""Rows of key_locks. 32 keys here and 32 there meet in one with a probability of 6 %."""

_ORDER_SHARED = "SELECT pg_advisory_xact_lock_shared(k.id) FROM unnest(CAST(CAST(? AS TEXT) AS BIGINT[])) AS k (id)"
_ORDER_EXCLUSIVE = "SELECT pg_advisory_xact_lock(CAST(? AS BIGINT))"
_SHARE = "SELECT k.id FROM buckets k WHERE k.id = ANY (CAST(CAST(? AS TEXT) AS BIGINT[])) ORDER BY k.id FOR SHARE"
_EXCLUDE = "SELECT k.id FROM buckets k WHERE k.id = ? FOR UPDATE"
_KEYS = (
    "SELECT l.slot FROM key_locks l WHERE l.slot = ANY (CAST(CAST(? AS TEXT) AS INTEGER[])) ORDER BY l.slot FOR UPDATE"
)

Name = int | tuple[int, bytes]
"""What can be locked: a bucket or a key of it."""


@frozen(eq=False)
class Claim:
    """The locks of a transaction."""

    shared: frozenset[int]
    exclusive: frozenset[Name]

    @classmethod
    def of(cls, locks: Iterable[Lock]) -> Claim:
        """What was declared. Who writes a key shares its bucket."""
        shared, exclusive = set(), set[Name]()
        for lock in locks:
            if lock.key is not None:
                exclusive.add((lock.bucket_id, lock.key))
            elif lock.exclusive:
                exclusive.add(lock.bucket_id)
                continue
            shared.add(lock.bucket_id)
        return cls(frozenset(shared - exclusive), frozenset(exclusive))


@define(eq=False)
class LockTable:
    """What the groups under way hold."""

    _exclusive: set[Name] = field(factory=set, init=False)
    _shared: dict[Name, int] = field(factory=dict, init=False)

    def free(self, claim: Claim) -> bool:
        """Whether nobody holds what collides with it."""
        shared = self._shared
        return self._exclusive.isdisjoint(claim.exclusive | claim.shared) and shared.keys().isdisjoint(claim.exclusive)

    def take(self, claim: Claim) -> None:
        """Hold what is free."""
        self._exclusive |= claim.exclusive
        for name in claim.shared:
            self._shared[name] = self._shared.get(name, 0) + 1

    def release(self, claim: Claim) -> None:
        """Let go of what was taken."""
        self._exclusive -= claim.exclusive
        for name in claim.shared:
            left = self._shared[name] - 1
            if left:
                self._shared[name] = left
            else:
                del self._shared[name]


def slot_of(bucket_id: int, key: bytes) -> int:
    """The row of key_locks that stands for a key. All nodes must agree on it."""
    return crc32(key, bucket_id & 0xFFFFFFFF) % SLOTS


def lock_requests(claims: Sequence[Claim]) -> list[Request]:
    """The statements that lock for a group, whose claims do not collide, what it declared."""
    shared: set[int] = set()
    exclusive: set[int] = set()
    slots: set[int] = set()
    for claim in claims:
        shared |= claim.shared
        for name in claim.exclusive:
            if isinstance(name, int):
                exclusive.add(name)
            else:
                slots.add(slot_of(*name))
    requests = []
    sharing: list[int] = []
    for bucket_id in sorted(shared | exclusive):
        if bucket_id in exclusive:
            requests += _share(sharing)
            sharing = []
            requests += [request(_ORDER_EXCLUSIVE, (bucket_id,)), request(_EXCLUDE, (bucket_id,))]
        else:
            sharing.append(bucket_id)
    requests += _share(sharing)
    if slots:
        requests.append(request(_KEYS, (integers(sorted(slots)),)))
    return requests


def _share(bucket_ids: Sequence[int]) -> list[Request]:
    ids = integers(bucket_ids)
    return [request(_ORDER_SHARED, (ids,)), request(_SHARE, (ids,))] if bucket_ids else []
