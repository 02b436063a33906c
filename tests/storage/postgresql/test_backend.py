"""The backend: its options, and what it opens to."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from psycopg.errors import DiskFull
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from post3tw.metrics.readings import Readings
from post3tw.storage.backends import find_backend
from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.interfaces import IBackend, ILeadership, ISpace, OpenedStore, StoreRefused
from post3tw.storage.postgresql import node
from tests.processes import ROOT

DSN = "postgresql://someone:s3cret@db.example:5433/objects"


class BackendTests(SynchronousTestCase):
    """`--backend=postgres`."""

    def setUp(self) -> None:
        self.backend = find_backend("postgres")

    def open(self, **changes: Any) -> OpenedStore:
        """A store that is not started."""
        from twisted.internet import reactor

        options: dict[str, Any] = {name.replace("-", "_"): default for name, default, _ in self.backend.options()}
        options |= {"data_dir": "data", "durability": "full", "reserve": 0, "environ": {}, "dsn": DSN, **changes}
        opened: OpenedStore = self.backend.open(options, reactor)
        return opened

    def refusal(self, **changes: Any) -> str:
        """Why options are refused."""
        text = str(self.assertRaises(StoreRefused, self.open, **changes))
        self.assertNotIn("\n", text)
        return text

    def test_opened(self) -> None:
        """Everything is in the database, several nodes may share it, and where that is holds no secret."""
        opened = self.open()
        verifyObject(IBackend, self.backend)
        verifyObject(ISpace, opened.space)
        verifyObject(ILeadership, opened.leadership)
        self.assertTrue(opened.shared)
        self.assertEqual(opened.place, "PostgreSQL at db.example:5433/objects")
        self.assertNotIn("s3cret", repr(opened))
        assert opened.obstacle is not None
        self.assertEqual(opened.obstacle(), "waiting for the database")

    def test_full(self) -> None:
        """A disk that the database finds full counts as full for a while, so that space is made; whichever connection
        it was said on."""
        for each in range(4):
            opened = self.open()
            self.assertFalse(opened.space.full)
            opened.space.pools[each].translated(DiskFull())
            self.assertTrue(opened.space.full)
            opened.space.admit_write()  # the database may have space again at any time: try

    def test_full_no_more(self) -> None:
        """After that while it counts as full only if the database says so again."""
        self.patch(node, "FULL_FOR", -1)
        opened = self.open()
        opened.space.found_full()
        self.assertFalse(opened.space.full)

    def test_metrics(self) -> None:
        """All connections are counted, those of the index and of blobs, and every number has a name that is known."""
        opened = self.open()
        self.assertEqual(len(opened.space.pools), 4)
        (text,) = [text for name, _, text in self.backend.options() if name == "connections"]
        others = sum(pool.size for pool in opened.index.pools) + 1
        self.assertIn(f"up to {others} more", text)
        readings = Readings({**opened.space.readings(), **opened.index.readings()})
        values = {family.name: family.samples[0].value for family in readings.collect()}
        self.assertEqual((values["post3_database_connections"], values["post3_index_commits"]), (0, 0))

    def test_files(self) -> None:
        """Bytes of larger objects in files, everything else in the database."""
        opened = self.open(blobs="files", data_dir="here")
        self.assertIsInstance(opened.blobs, FileBlobs)
        self.assertTrue(opened.blobs.temporary.startswith("here/tmp/"))
        self.assertEqual(opened.place, "PostgreSQL at db.example:5433/objects and here")

    def test_database_url(self) -> None:
        """DATABASE_URL counts when no DSN is given, and libpq's own variables when neither is."""
        self.assertIn("in:5432/url", self.open(dsn="", environ={"DATABASE_URL": "postgresql://in/url"}).place)
        self.assertIn("db.example", self.open(environ={"DATABASE_URL": "postgresql://in/url"}).place)
        self.open(dsn="", environ={"PGHOST": "in.variable"})

    def test_no_database(self) -> None:
        """Without any, what to give is said."""
        self.assertIn("--dsn postgresql://USER@HOST/NAME", self.refusal(dsn=""))

    def test_bad_options(self) -> None:
        """What makes no sense is refused in one line that names the option, and never shows a password."""
        for changes, hint in (
            ({"blobs": "tape"}, "--blobs: 'tape' is neither postgres nor files"),
            ({"block_size": "big"}, "--block-size: 'big' is not a size such as 64MiB"),
            ({"block_size": "1"}, "--block-size: 1 is not within 4096 and 16777216"),
            ({"block_size": "1GiB"}, "--block-size: 1GiB is not within"),
            ({"connections": "many"}, "--connections: 'many' is not a whole number"),
            ({"connections": "0"}, "--connections: 0 is not within"),
            ({"start_timeout": "soon"}, "--start-timeout: 'soon' is not a duration"),
            ({"dsn": "postgresql://someone:s3cret@[db/objects"}, "the DSN of the database cannot be read"),
        ):
            text = self.refusal(**changes)
            self.assertIn(hint, text)
            self.assertNotIn("s3cret", text)

    def test_without_the_extra(self) -> None:
        """Where its packages are missing the options are known all the same; using it says what to install."""
        code = (
            "import sys; sys.modules.update(psycopg=None, psycopg2=None, txpostgres=None);"
            "from post3tw.storage.backends import find_backend; backend = find_backend('postgres');"
            "options = {name.replace('-', '_'): default for name, default, _ in backend.options()};"
            "backend.open({**options, 'dsn': 'postgresql://h/d', 'data_dir': 'd', 'durability': 'full'}, None)"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
        )
        self.assertIn(
            "StoreRefused: backend postgres needs further packages, pip install 'post3tw[postgres]'", ended.stderr
        )

    def test_options_import_little(self) -> None:
        """Listing the options, as every start does, imports no driver."""
        code = (
            "import sys; from post3tw.storage.backends import find_backend; find_backend('postgres').options();"
            "sys.exit(any(name in sys.modules for name in ('psycopg', 'psycopg2', 'txpostgres')))"
        )
        ended = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, check=False)
        self.assertEqual(ended.returncode, 0)
