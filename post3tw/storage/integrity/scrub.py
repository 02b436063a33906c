"""Reading everything that is stored, slowly and again and again, so that damage is found while there is a backup.

Theory of operation. A round walks through all that has bytes (`walk`) and verifies each frame. It reads at most `rate`
bytes a second: after each piece it waits until that much time has passed, and without a reason to wait it still gives
others their turn every few milliseconds, so that it does not show in anybody's answers. Rows cost as well, or a
million empty objects would be read at once.

A slice of a round is a task of a timer. At its end, which is always between two objects, the position is kept in the
index; a restart, or another node, goes on from there. A round that is done is followed by the next one `interval` after
it began. Where there never was a round the first one waits as long: what was just written is not what has decayed.

What is damaged is said in the log once, kept in the index, and forgotten when nobody has it any more, or when a whole
round did not meet it again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from typing import ClassVar

from attrs import define, field
from twisted.logger import Logger

from post3tw.model.errors import ServiceUnavailable, SlowDown
from post3tw.model.ids import IdSource
from post3tw.storage.index.sqlite.failures import IndexFailed
from post3tw.storage.index.transactions import damage as rows
from post3tw.storage.integrity.contents import what_is_wrong
from post3tw.storage.integrity.names import bucket_names, name_of
from post3tw.storage.integrity.walk import Held, Position, everything_held
from post3tw.storage.interfaces import IBlobStore, IIndex

SLICE = 10.0
"""Seconds after which progress is kept."""

_ROW = 1024
"""Bytes that a row counts for."""

_AHEAD = 0.05
"""Seconds that reading may be ahead of its rate: waiting for less costs more than it gives."""

_TURN = 0.003
"""Seconds for which others wait at most."""


@define
class Scrub:
    """Rounds through all that is stored.

    Attributes:
        index: the rows.
        blobs: the bytes of larger objects.
        ids: the clock of rows.
        rate: bytes a second.
        interval: milliseconds from the begin of a round to that of the next.
        seconds: a clock for pauses.
        pause: waits for so many seconds; for none, until others had their turn.
        verified: how many bytes were verified since the start.
        objects: how many bodies and blobs that was.
        found: how many of these were damaged.
        damaged: how many are known to be damaged now.
    """

    log: ClassVar[Logger] = Logger()

    index: IIndex
    blobs: IBlobStore
    ids: IdSource
    rate: float
    interval: int
    seconds: Callable[[], float]
    pause: Callable[[float], Awaitable[None]]
    verified: int = field(default=0, init=False)
    objects: int = field(default=0, init=False)
    found: int = field(default=0, init=False)
    damaged: int = field(default=0, init=False)
    _began: float = field(default=0.0, init=False)
    _read: int = field(default=0, init=False)
    _turn: float = field(default=0.0, init=False)

    async def run(self) -> None:
        """Do a slice of what is due, if anything is. What cannot be asked now is asked the next time."""
        with suppress(ServiceUnavailable, SlowDown):
            await self._run()

    async def _run(self) -> None:
        await self._forget_gone()
        now = self.ids.now()
        kept = await self.index.read(rows.load_progress)
        if kept is None:
            await self._keep(now, None)
            return
        began, text = kept
        if text is None and now < began + self.interval:
            return
        position: Position | None
        began, position = (now, Position()) if text is None else (began, Position.from_text(text))
        self._began = self._turn = self.seconds()
        self._read = 0
        try:
            position = await self._go_on(position)
        except IndexFailed:
            self.log.failure("The index is damaged, and the scrub cannot read on: run `post3 fsck`")
            position = None
        else:
            if position is None:
                await self.index.run(partial(rows.forget_unseen, since=began))
        await self._keep(began, position)

    def readings(self) -> Mapping[str, Callable[[], float]]:
        """See IMeasured."""
        return {
            "post3_scrubbed_bytes": lambda: self.verified,
            "post3_scrubbed_objects": lambda: self.objects,
            "post3_scrub_damage": lambda: self.found,
            "post3_damaged": lambda: self.damaged,
        }

    async def _go_on(self, position: Position) -> Position | None:
        """Walk until the slice or the round is over; where to go on."""
        async with aclosing(everything_held(self.index.read, position)) as held:
            async for position, one in held:
                if one is not None:
                    await self._look_at(one)
                else:
                    await self._pace(_ROW)
                    if self.seconds() - self._began >= SLICE:
                        return position
        return None

    async def _look_at(self, held: Held) -> None:
        reason = await what_is_wrong(held, self.index.read, self.blobs, self._meter)
        if held.first:
            self.objects += 1
        if reason is not None:
            self.found += 1
            await self._note(held, reason)

    async def _note(self, held: Held, reason: str) -> None:
        damage = rows.Damage(
            held.place, held.bucket_id, held.key, held.owner, held.version_id, held.part, self.ids.now(), reason
        )
        if await self.index.run(partial(rows.note_damage, damage=damage)):
            self.damaged += 1
            buckets = await self.index.read(bucket_names)
            name = name_of(buckets, held.bucket_id, held.key, held.version_id, held.part)
            self.log.error("Damaged: {name} {reason}", name=name, reason=reason, place=held.place.hex())

    async def _forget_gone(self) -> None:
        self.damaged = await self.index.read(rows.count_damage)
        if self.damaged and (gone := await self.index.read(rows.damage_nobody_has)):
            await self.index.run(partial(rows.forget_damage, places=gone))
            self.damaged -= len(gone)

    async def _keep(self, began: int, position: Position | None) -> None:
        text = None if position is None else position.to_text()
        await self.index.run(partial(rows.save_progress, began=began, progress=text))

    async def _meter(self, size: int) -> None:
        self.verified += size
        await self._pace(size)

    async def _pace(self, size: int) -> None:
        self._read += size
        now = self.seconds()
        ahead = self._began + self._read / self.rate - now
        if ahead > _AHEAD:
            await self.pause(ahead)
        elif now - self._turn > _TURN:
            await self.pause(0)
        else:
            return
        self._turn = self.seconds()
