"""A whole server on the scheduler: its store in a real directory, its connections in memory, nothing beside it.

Put together like `post3tw.tap` does it, with the scheduler's threads for threads, and with files whose system calls can
be made to fail. `crash` ends it as `kill -9` would: what its files hold at that moment is all that is left.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, ParamSpec, TypeVar

from attrs import define, field
from twisted.internet.defer import maybeDeferred
from twisted.internet.task import deferLater

from post3tw.model.ids import IdSource
from post3tw.s3.site import S3Site, make_site
from post3tw.service.identities import Identities, root_credential
from post3tw.service.local import local_service
from post3tw.service.store import Store
from post3tw.service.sweeper import Sweeper
from post3tw.service.timers import CountedSweep, timers
from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.datadir import DataDirectory
from post3tw.storage.files import Files
from post3tw.storage.fs import ReservedIndex
from post3tw.storage.interfaces import OpenedStore
from post3tw.storage.sweep import BlobSweep
from tests.durability.scheduler import Scheduler, SimulatedThreads, SimulatedWorker, simulated_thread
from tests.durability.wires import Wire

P = ParamSpec("P")
T = TypeVar("T")

ACCESS_KEY, SECRET_KEY = "post3world", "a-secret-of-the-world"


@define
class Weather:
    """Which system calls fail, and which commits.

    Attributes:
        random: decides.
        odds: of a failure, for each call; 0 for good weather.
        failures: how many there were.
    """

    random: Random
    odds: float = 0.0
    failures: int = 0

    def strikes(self) -> bool:
        """Whether this call fails."""
        if self.odds and self.random.random() < self.odds:
            self.failures += 1
            return True
        return False


@define
class StormyFiles(Files):
    """Files whose system calls fail when the weather says so: with an error, or with a write that comes out short."""

    weather: Weather = field(kw_only=True)

    def call(self, function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """See Files."""
        if self.weather.strikes():
            name, random = getattr(function, "__name__", ""), self.weather.random
            if name == "write" and random.random() < 0.5:
                descriptor, data = arguments
                return function(descriptor, data[: max(1, len(data) // 2)])  # type: ignore[call-arg,index,arg-type]
            if name == "close":
                function(*arguments, **options)
            raise OSError(random.choice((errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EDQUOT)), "a storm")
        return function(*arguments, **options)


def _stormy_connection(weather: Weather) -> type[sqlite3.Connection]:
    class StormyConnection(sqlite3.Connection):
        """A connection on which what writes fails when the weather says so: with an error of the disk, which ends the
        transaction, or because the disk is full. Reads write nothing; their commits are left alone."""

        writes = False

        def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
            self.writes = self.writes or sql == "BEGIN IMMEDIATE"
            if self.writes and sql.startswith(_WRITING) and weather.strikes():
                if self.in_transaction and weather.random.random() < 0.7:
                    super().execute("ROLLBACK")
                full = weather.random.random() < 0.4
                error = sqlite3.OperationalError("database or disk is full" if full else "disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL if full else sqlite3.SQLITE_IOERR
                error.sqlite_errorname = "SQLITE_FULL" if full else "SQLITE_IOERR"
                raise error
            return super().execute(sql, parameters)

    return StormyConnection


_WRITING = ("BEGIN IMMEDIATE", "COMMIT", "INSERT", "UPDATE", "DELETE")


@define(eq=False)
class StormyIndex(ReservedIndex):
    """An index whose commits fail when the weather says so."""

    weather: Weather = field(kw_only=True)

    def _connect(self) -> sqlite3.Connection:
        connection = ReservedIndex._connect(self)
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        connection.close()
        made = sqlite3.connect(
            path, timeout=1, isolation_level=None, check_same_thread=False, factory=_stormy_connection(self.weather)
        )
        for pragma in ("synchronous = OFF", "wal_autocheckpoint = 0", "temp_store = MEMORY"):
            made.execute(f"PRAGMA {pragma}").fetchone()
        return made


@define(eq=False)
class World:
    """See the module's text.

    Attributes:
        directory: for data directories, one after each crash.
        scheduler: the reactor.
        random: of ids.
        grace: seconds from a blob being condemned until it goes.
        stormy: whether calls can be made to fail at all; what can costs time.
    """

    directory: Path
    scheduler: Scheduler
    random: Random
    grace: float = 0.0
    stormy: bool = False
    weather: Weather = field(init=False)
    site: S3Site = field(init=False)
    store: Store = field(init=False)
    sweep: CountedSweep = field(init=False)
    lives: int = 0
    _parts: list[Any] = field(init=False, factory=list)
    _timers: list[Sweeper] = field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        self.weather = Weather(Random(self.random.random()))

    @property
    def data_dir(self) -> Path:
        """Where it keeps its data in this life."""
        return self.directory / f"life-{self.lives}"

    def start(self) -> None:
        """Start the server, on what its last life has left."""
        scheduler = self.scheduler
        threads = SimulatedThreads(scheduler)
        place = DataDirectory(str(self.data_dir), self._files(), threads, 0)
        kind: Any = partial(StormyIndex, weather=self.weather) if self.stormy else ReservedIndex
        index = kind(
            place.index,
            scheduler,
            "relaxed",
            reserve=place.reserve,
            worker=SimulatedWorker,
            thread=simulated_thread(scheduler),
        )
        place.free_inside = index.free_inside
        blobs = FileBlobs(self._files(place.reserve.release), threads, place.blobs, place.temporary, durable=False)
        cpu = SimulatedThreads(scheduler)
        self._parts = [cpu, place, index, blobs]
        for part in self._parts:
            scheduler.run(_started(part))
        self._serve(OpenedStore(index, blobs, place), cpu)

    def _files(self, *on_full: Callable[[], None]) -> Files:
        return StormyFiles(*on_full, weather=self.weather) if self.stormy else Files(*on_full)

    def _serve(self, opened: OpenedStore, cpu: SimulatedThreads) -> None:
        scheduler, ids = self.scheduler, IdSource(self.scheduler.seconds, self.random.randbytes)
        identities = Identities(root=root_credential(ACCESS_KEY, SECRET_KEY), path=None)
        self.store = Store(
            opened.index,
            opened.blobs,
            ids,
            cpu=cpu,
            pause=partial(deferLater, scheduler, 0),
            people=identities,
            admit_write=opened.space.admit_write,
        )
        self.sweep = CountedSweep(BlobSweep(opened.index, opened.blobs, ids, grace=int(self.grace * 1000)))
        self._timers = timers(opened, self.store, self.sweep, 10**9, scheduler)
        for timer in self._timers:
            timer.startService()
        put_off = partial(scheduler.callLater, 0)
        self.site = make_site(local_service(self.store), identities, clock=scheduler, ids=ids, put_off=put_off)

    def connect(
        self, received: Callable[[bytes], None], lost: Callable[[], None], pieces: Random | None = None
    ) -> Wire:
        """A new connection; see Wire."""
        return Wire(self.scheduler, self.site, received, lost, pieces)

    def stop(self) -> None:
        """End it in good order, as SIGTERM does."""
        run = self.scheduler.run
        run(self.site.drain(10))
        for timer in self._timers:
            run(_awaited(timer.stopService))
        for part in reversed(self._parts):
            run(_awaited(part.stop))
        self._parts = []

    def crash(self) -> None:
        """End it at once. Its next life begins with the files as they are."""
        left, self.lives = self.data_dir, self.lives + 1
        if left.exists():
            shutil.copytree(left, self.data_dir)
        self.abandon()
        shutil.rmtree(left, ignore_errors=True)

    def abandon(self) -> None:
        """End it at once, for good."""
        if self._parts:
            _, place, index, _ = self._parts
            opened = index._opened
            for connection in () if opened is None else (opened.writer.connection, opened.snapshot.connection):
                connection.close()
            place._release_lock()
            self._parts = []
        self.scheduler.forget()


def memory() -> str | None:
    """A directory in memory, for those who never cut the power; None where there is none."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


async def _started(part: Any) -> None:
    await maybeDeferred(part.start)


async def _awaited(function: Callable[[], Any]) -> None:
    await maybeDeferred(function)
