"""A real server under strace, and what it did to its disk while clients wrote.

A recording may go over several runs of the server on the same directory: killed or stopped in between, but no power
cut, so what one run left unsynced is still pending in the next.
"""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from threading import Thread
from unittest import SkipTest

from attrs import define, field

from post3tw.storage.index.sqlite.migrations import schema_scripts
from post3tw.testing.server import RunningServer
from tests.durability.disk import Disk
from tests.durability.ledger import Deed, Name, Value
from tests.durability.syscalls import LONGEST, TRACED, Trace, lines_of
from tests.durability.workload import Person
from tests.hostile.case import client_of, wait_until
from tests.hostile.raw import Client
from tests.processes import ROOT

PATCHED = Path(__file__).parent / "patched"
TUNED = ("small_log", "frequent_sweep")
"""Changes of the recorded server that are no mistakes: what happens every few minutes happens all the time."""


@cache
def _refusal() -> str:
    command = ["strace", "-o", "/dev/null", "-e", "trace=write", "true"]
    try:
        tried = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "strace is not installed"
    return "" if tried.returncode == 0 else f"strace is refused: {tried.stderr.strip()}"


def require_strace() -> None:
    """Fail where there is no strace: a proof that was not run is no proof. POST3_NO_STRACE=1 skips instead."""
    if refusal := _refusal():
        if os.environ.get("POST3_NO_STRACE") == "1":
            raise SkipTest(f"NOT TESTED: {refusal}")
        raise AssertionError(f"{refusal}; set POST3_NO_STRACE=1 to go without these proofs")


@define
class Recorder:
    """Records the runs of a server in one directory.

    Attributes:
        directory: for the logs, and for the server's `store/data`.
        patches: what is changed in the server, by name (`patches`).
        inject: strace's -e inject=…, or "".
        workers: how many processes serve.
        disk: what was there before the first run.
        trace: what was done since.
        people: the clients.
        settled: what there was before.
    """

    directory: Path
    patches: Sequence[str] = TUNED
    inject: str = ""
    workers: int = 1
    disk: Disk = field(init=False)
    trace: Trace = field(init=False)
    people: list[Person] = field(factory=list)
    settled: dict[Name, Value] = field(factory=dict)
    _runs: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.disk = Disk.of(self.root)
        self.trace = Trace(str(self.root))

    @property
    def root(self) -> Path:
        """What is recorded."""
        return self.directory / "store"

    @property
    def data_dir(self) -> Path:
        """The server's."""
        return self.root / "data"

    @property
    def deeds(self) -> list[Deed]:
        """Of all clients."""
        return [deed for person in self.people for deed in person.deeds]

    @contextmanager
    def run(self, *, kill: bool = False) -> Iterator[Client]:
        """A run of the server, ended by SIGTERM or killed. What it did is in `trace` afterwards."""
        self._runs += 1
        log = self.directory / f"log-{self._runs}"
        server = self._server(log)
        server.start()
        if self.patches and f"patched: {','.join(self.patches)}" not in server.output:
            server.kill()
            raise AssertionError(f"the patches were not made:\n{server.output}")
        pid = server.pid
        try:
            yield client_of(server)
        except Exception as error:
            error.add_note(server.output[-4000:])
            raise
        finally:
            if kill:
                server.kill()
            else:
                server.stop()
            assert wait_until(lambda: _is_complete(log, pid)), f"strace does not end: {log}"
        self.trace.read(lines_of(log))
        log.unlink()

    def _server(self, log: Path) -> RunningServer:
        command = ["strace", "-D", "-f", "--seccomp-bpf", "-xx", "-s", str(LONGEST), "-o", str(log)]
        command += ["-e", f"trace={TRACED}", *(["-e", f"inject={self.inject}"] if self.inject else [])]
        return RunningServer(
            data_dir=self.data_dir,
            options=("--reserve=0", "--blob-grace=0"),
            environment={
                "PYTHONPATH": f"{ROOT}{os.pathsep}{PATCHED}",
                "DURABILITY_PATCHES": ",".join(self.patches),
                "DURABILITY_DATA": str(self.data_dir),
            },
            workers=self.workers,
            wrapper=command,
            patience=180,
        )

    def work(self, client: Client, count: int, chosen: Sequence[str] = ()) -> None:
        """Let all people work at the same time."""
        failures: list[BaseException] = []

        def work(person: Person) -> None:
            person.client = client
            try:
                person.work(count, chosen)
            except BaseException as failure:
                failures.append(failure)

        threads = [Thread(target=work, args=(person,)) for person in self.people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def begin_with_an_older_schema(self) -> None:
        """Between two runs: put the index back to schema 1, as if an older release had written it."""
        _downgrade(self.data_dir / "index.sqlite3")
        self.forget()

    def forget(self) -> None:
        """Between two runs: take what is there for durable, and record what comes from now on."""
        for person in self.people:
            self.settled |= person.holds
            person.deeds.clear()
        self.disk = Disk.of(self.root)
        self.trace = Trace(str(self.root))


def _is_complete(log: Path, pid: int) -> bool:
    """Whether strace has written down the end of the process."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        return re.search(rb"(?m)^%d +\+\+\+ " % pid, file.read()) is not None


_OLDER_CURRENT = (
    "INSERT INTO main.current (bucket, key, seq, owner_id, owner_name, created, size, etag, storage_class, checksum)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def _downgrade(path: Path) -> None:
    """Copy the rows of an index, as far as the first schema can hold them, into a file of that schema."""
    older = path.with_name("older.sqlite3")
    with closing(sqlite3.connect(older, isolation_level=None)) as index:
        index.executescript(f"PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; {schema_scripts()[1]}")
        index.execute("ATTACH ? AS newer", (str(path),))
        tables = {name for (name,) in index.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")}
        for table in tables - {"current"}:
            columns = ", ".join(f'"{row[1]}"' for row in index.execute(f"PRAGMA main.table_info({table})"))
            index.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}")
        for entry, *row in index.execute("SELECT entry, bucket, key, seq, owner_id, owner_name FROM newer.current"):
            *facts, kind = entry.split("|")
            storage_class, _, checksum = kind.partition(" ")
            values = (*row, *facts, storage_class, checksum or None)
            index.execute(_OLDER_CURRENT, values)
        index.execute("UPDATE main.store SET value = '1' WHERE name = 'schema_version'")
        index.execute("DETACH newer")
    os.replace(older, path)
