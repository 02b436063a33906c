"""What twistd and other packages find of us."""

from __future__ import annotations

import configparser
import sysconfig
from importlib.metadata import distributions
from pathlib import Path

from twisted.application.service import IServiceMaker
from twisted.internet.utils import getProcessOutputAndValue
from twisted.plugin import getPlugins
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from post3tw.storage.backends import installed_backends
from post3tw.storage.interfaces import IBackend
from tests.processes import ROOT, TWISTD


class DiscoveryTests(TestCase):
    """What is found from somewhere else on the machine."""

    timeout = 60

    async def test_from_another_directory(self) -> None:
        """An installed post3tw is listed by twistd wherever it is started; an editable one too."""
        if not list(distributions(name="post3tw", path=[sysconfig.get_path("purelib")])):
            raise SkipTest("post3tw is not installed in this environment: make dev")
        elsewhere = Path(self.mktemp()).absolute()
        elsewhere.mkdir()
        command = (*TWISTD[1:3], "--help")
        out, _, status = await getProcessOutputAndValue(TWISTD[0], command, env={}, path=str(elsewhere))
        self.assertEqual(status, 0)
        self.assertRegex(out.decode(), r"(?m)^ +post3 +An S3-compatible object store")

    async def test_listing_imports_little(self) -> None:
        """To be listed, the plugin needs no server: neither SQLite nor the HTTP side is imported."""
        code = "import sys; import twisted.plugins.post3_service, twisted.plugins.post3_backends; print(*sys.modules)"
        out, err, status = await getProcessOutputAndValue(TWISTD[0], ("-c", code), env={"PYTHONPATH": str(ROOT)})
        self.assertEqual(status, 0, err)
        modules = set(out.decode().split())
        self.assertIn("post3tw.storage.backends", modules)
        self.assertEqual(modules & {"sqlite3", "post3tw.tap", "post3tw.s3", "post3tw.storage.fs", "awscrt"}, set())


class PluginTests(SynchronousTestCase):
    """The plugins themselves."""

    def test_service(self) -> None:
        """There is one service maker, and it names a module that makes services."""
        (maker,) = (maker for maker in getPlugins(IServiceMaker) if maker.tapname == "post3")
        options = maker.options()
        options.parseOptions(["--data-dir", self.mktemp()])
        self.assertEqual(maker.makeService(options).parts.config.backend, "fs")

    def test_backends(self) -> None:
        """Every backend that comes with us provides the interface, loads, and describes itself as its plugin does."""
        self.assertIn("fs", installed_backends())
        for name, backend in installed_backends().items():
            verifyObject(IBackend, backend)
            self.assertEqual(backend.name, name)
            self.assertTrue(backend.description)
            backend.options()


class PackagingTests(SynchronousTestCase):
    """setup.cfg, which has to name what a wheel shall hold."""

    def setUp(self) -> None:
        self.setup = configparser.ConfigParser(interpolation=None)
        self.setup.read(ROOT / "setup.cfg")

    def test_packages(self) -> None:
        """Every package is listed, and nothing else."""
        there = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "post3tw").rglob("__init__.py")} | {
            "twisted.plugins"
        }
        self.assertEqual(set(self.setup["options"]["packages"].split()), there)

    def test_plugin_directories(self) -> None:
        """twisted/ and twisted/plugins/ are no packages, or they would hide Twisted."""
        self.assertEqual([path.name for path in (ROOT / "twisted").rglob("__init__.py")], [])

    def test_data_files(self) -> None:
        """Every file of the package that is no Python is listed to be installed."""
        patterns = self.setup["options.package_data"]
        listed = {
            path.relative_to(ROOT)
            for package in patterns
            for pattern in patterns[package].split()
            for path in (ROOT / package.replace(".", "/")).glob(pattern)
        }
        there = {
            path.relative_to(ROOT)
            for path in (ROOT / "post3tw").rglob("*")
            if path.is_file() and path.suffix not in (".py", ".pyc")
        }
        self.assertEqual(listed, there)
