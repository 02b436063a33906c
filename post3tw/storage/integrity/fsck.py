"""Checking a whole store at once: the index, the rows among themselves, the bytes, and what nobody knows.

Theory of operation. Four steps, each of which stands alone, so that what is wrong with one does not hide the others:

    database    what the database says of itself (SQLite: integrity_check)
    rows        what must hold between rows (`rules`), and repairs of it
    contents    every body, blob, version and part, read and compared with its checksums (`contents`)
    strangers   blobs that the index does not know

A server may be at work meanwhile. Each statement of `rows` looks at one state; what `contents` finds is looked at again
before it is believed; and a blob is announced in the index before its first byte and forgotten after its last, so one
that is unknown, and still there after that was asked, is nobody's.

Everything is read in a coroutine that never waits, because a program has nothing else to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from attrs import define, field, frozen

from post3tw.model.errors import DomainError, StorageFailed
from post3tw.storage.index.sqlite.failures import IndexFailed
from post3tw.storage.index.transactions.damage import Damage, known_damage
from post3tw.storage.integrity.contents import what_is_wrong
from post3tw.storage.integrity.names import bucket_names, name_of
from post3tw.storage.integrity.rules import LIMIT, RULES, Row, Rule
from post3tw.storage.integrity.walk import Held, Position, everything_held
from post3tw.storage.interfaces import ITransaction, Transaction


class Subject(Protocol):
    """A store that is checked."""

    @property
    def blobs(self) -> Any:
        """An IBlobStore, as far as reading goes, and an IBlobInventory."""

    def read(self, transaction: Transaction[Any]) -> Any:
        """The result of a reading transaction on the state that is committed now."""

    def change(self, transaction: Transaction[Any]) -> Any:
        """The result of a writing transaction, committed durably; for repairs."""

    def complaints(self, quick: bool) -> Iterator[str]:
        """What the database says is wrong with itself."""

    def set_aside(self, blob_id: bytes) -> str | None:
        """Put a blob that nobody knows where it is in nobody's way, and say where; None where that cannot be."""


@frozen
class Finding:
    """Something that is wrong.

    Attributes:
        kind: "database", "damaged", "stranger", or the name of a rule.
        what: the object, blob or row, for people.
        why: what is wrong with it.
        repair: what was done, or could be, about it; "" for nothing.
        repaired: whether it was done.
        count: how many of the kind this stands for, where only the first are shown.
    """

    kind: str
    what: str
    why: str
    repair: str = ""
    repaired: bool = False
    count: int = 1


@define
class Check:
    """One check of a store.

    Attributes:
        subject: the store.
        repair: whether to repair what can be repaired.
        report: called with each finding.
        progress: called with a step and a share of it between 0 and 1, often.
        heal: brings back what was found damaged, and says whether it could; None where there is nothing to do it from.
        quick: leave the contents out, and show what the scrub knows.
        found: how many findings there were of each kind.
        left: how many were not repaired.
        objects: how many versions and uploads were looked at.
        size: how many bytes were read and compared.
    """

    subject: Subject
    report: Callable[[Finding], None]
    progress: Callable[[str, float], None] = lambda step, share: None
    repair: bool = False
    quick: bool = False
    heal: Callable[[Held], Awaitable[bool]] | None = None
    found: Counter[str] = field(factory=Counter, init=False)
    left: int = field(default=0, init=False)
    objects: int = field(default=0, init=False)
    size: int = field(default=0, init=False)
    _buckets: dict[int, str] = field(factory=dict, init=False)

    async def run(self) -> None:
        """Take all steps. What keeps one from being taken is a finding."""
        for step in (self._database, self._rows, self._known if self.quick else self._contents, self._strangers):
            try:
                await step()
            except IndexFailed as error:
                self._found(Finding("database", "the index", f"cannot be read: {error}"))

    # -- steps --------------------------------------------------------------------------------------------------------

    async def _database(self) -> None:
        self.progress("database", 0.0)
        for complaint in self.subject.complaints(self.quick):
            self._found(Finding("database", "the index", complaint))
        self._buckets = self.subject.read(bucket_names)

    async def _rows(self) -> None:
        for number, (kind, rule) in enumerate(RULES.items()):
            self.progress("rows", number / len(RULES))
            try:
                self._rule(kind, rule)
            except IndexFailed as error:
                self._found(Finding("database", "the index", f"whether {rule.says} cannot be said: {error}"))

    def _rule(self, kind: str, rule: Rule) -> None:
        repairs = self.repair and rule.repair is not None
        mended: Sequence[Row] = ()
        if repairs:
            mended, left = self.subject.change(partial(_repaired, rule=rule))
        else:
            left = self.subject.read(partial(_broken, rule=rule))
        for row in mended:
            self._found(Finding(kind, self._row_name(row), rule.says, "put right", True))
        repair = "" if repairs or rule.repair is None else "--repair puts it right"
        for row in left:
            self._found(Finding(kind, self._row_name(row), rule.says, repair))
        if len(left) == LIMIT and (more := self.subject.read(partial(_number, rule=rule)) - LIMIT) > 0:
            self._found(Finding(kind, f"{more} more", rule.says, repair, count=more))

    async def _contents(self) -> None:
        total = self.subject.read(_count)
        async for _, held in everything_held(self._read, Position()):
            if held is None:
                self.objects += 1
                self.progress("contents", self.objects / max(total, 1))
                continue
            reason = await what_is_wrong(held, self._read, self.subject.blobs, self._meter)
            if reason is not None:
                name = name_of(self._buckets, held.bucket_id, held.key, held.version_id, held.part)
                healed = await self._healed(held)
                self._found(Finding("damaged", name, reason, "brought back" if healed else "", healed))

    async def _healed(self, held: Held) -> bool:
        try:
            return self.heal is not None and await self.heal(held)
        except IndexFailed:  # the page where the bytes would be cannot be used; others can
            return False

    async def _known(self) -> None:
        last = b""
        while batch := self.subject.read(partial(known_damage, after=last)):
            for damage in batch:
                self._found(self._of_damage(damage))
            last = batch[-1].place

    async def _strangers(self) -> None:
        async for blob_ids in self._batches():
            unknown = self.subject.read(partial(_unknown, blob_ids=blob_ids))
            self.progress("strangers", 0.5)
            for blob_id in unknown:
                if not await self._is_there(blob_id):
                    continue
                where = self.subject.set_aside(blob_id) if self.repair else None
                repair = f"is {where} now" if where else "" if self.repair else "--repair puts it aside"
                why = "the index does not know it"
                self._found(Finding("stranger", f"blob {blob_id.hex()}", why, repair, where is not None))

    # -- tools --------------------------------------------------------------------------------------------------------

    async def _read(self, transaction: Transaction[Any]) -> Any:
        return self.subject.read(transaction)

    async def _meter(self, size: int) -> None:
        self.size += size

    def _batches(self) -> AsyncIterator[list[bytes]]:
        batches: AsyncIterator[list[bytes]] = self.subject.blobs.batches()
        return batches

    async def _is_there(self, blob_id: bytes) -> bool:
        try:
            (await self.subject.blobs.open(blob_id)).close()
        except StorageFailed:
            return True  # something that is no file, for one
        except DomainError:
            return False
        return True

    def _found(self, finding: Finding) -> None:
        self.found[finding.kind] += finding.count
        self.left += 0 if finding.repaired else finding.count
        self.report(finding)

    def _of_damage(self, damage: Damage) -> Finding:
        name = name_of(self._buckets, damage.bucket_id, damage.key, damage.version_id, damage.part)
        return Finding("damaged", name, f"{damage.reason} (the scrub found it)")

    def _row_name(self, row: Row) -> str:
        bucket_id, key, place, holder = row
        if bucket_id is not None and key is not None:
            return name_of(self._buckets, bucket_id, key)
        if bucket_id is not None:
            return f"bucket {self._buckets.get(bucket_id, bucket_id)}"
        of = "" if holder is None else f" of {holder.hex()}"
        return f"{(place or b'').hex()}{of}"


async def _broken(tx: ITransaction, rule: Rule) -> list[Any]:
    return await tx.all(rule.sql, LIMIT)


async def _number(tx: ITransaction, rule: Rule) -> int:
    """How many rows a rule finds."""
    row = await tx.one(f"SELECT count(*) FROM ({rule.sql}) found", 1 << 62)
    return 0 if row is None else int(row[0])


async def _repaired(tx: ITransaction, rule: Rule) -> tuple[list[Any], list[Any]]:
    """Repair until there is nothing to repair, or it does not help: what is put right, and what is left."""
    assert rule.repair is not None
    mended: list[Any] = []
    left = await tx.all(rule.sql, LIMIT)
    while left:
        for row in left:
            await rule.repair(tx, row)
        found, left = left, await tx.all(rule.sql, LIMIT)
        still = set(left)
        helped = [row for row in found if row not in still]
        if not helped:
            break
        mended += helped
    return mended, left


async def _count(tx: ITransaction) -> int:
    row = await tx.one("SELECT (SELECT count(*) FROM versions) + (SELECT count(*) FROM uploads)")
    return 0 if row is None else int(row[0])


async def _unknown(tx: ITransaction, blob_ids: list[bytes]) -> list[bytes]:
    found = [(blob_id, await tx.one("SELECT 1 FROM blobs WHERE id = ?", blob_id)) for blob_id in blob_ids]
    return [blob_id for blob_id, row in found if row is None]
