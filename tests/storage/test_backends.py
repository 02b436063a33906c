"""Finding backends."""

from __future__ import annotations

import sys
from pathlib import Path

import twisted.plugins
from twisted.trial.unittest import SynchronousTestCase

from post3tw.storage.backends import LazyBackend, broken_plugins, find_backend, installed_backends
from post3tw.storage.interfaces import StoreRefused


class Working:
    """What the plugin of the tests opens."""

    name = "working"
    description = "for tests"

    def options(self) -> list[tuple[str, str, str]]:
        """One option."""
        return [("depth", "3", "How deep.")]

    def open(self, options: dict[str, object], reactor: object) -> tuple[object, object]:
        """What it was called with."""
        return options, reactor


class LazyBackendTests(SynchronousTestCase):
    """A backend that is imported when it is used."""

    def test_delegates(self) -> None:
        """Options and opening are those of the object that the factory makes."""
        backend = LazyBackend("working", "for tests", f"{__name__}.Working")
        self.assertEqual(backend.options(), [("depth", "3", "How deep.")])
        self.assertEqual(backend.open({"depth": "1"}, "reactor"), ({"depth": "1"}, "reactor"))

    def test_cannot_be_loaded(self) -> None:
        """A module that is not there, or lacks something, is refused in one line that names it."""
        for factory in ("post3tw.no_such_module.Backend", f"{__name__}.Missing"):
            backend = LazyBackend("lost", "for tests", factory)
            text = str(self.assertRaises(StoreRefused, backend.options))
            self.assertIn("backend lost cannot be loaded", text)
            self.assertNotIn("\n", text)


class FindTests(SynchronousTestCase):
    """Choosing one by name, with a plugin directory of another package beside ours."""

    def setUp(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        twisted.plugins.__path__.append(str(directory))
        self.addCleanup(twisted.plugins.__path__.remove, str(directory))
        self.directory = directory

    def install(self, name: str, text: str) -> None:
        """A plugin file."""
        (self.directory / f"{name}.py").write_text(text)
        self.addCleanup(sys.modules.pop, f"twisted.plugins.{name}", None)

    def test_found(self) -> None:
        """A backend of another package is found like ours."""
        self.install(
            "post3_test_working",
            "from post3tw.storage.backends import LazyBackend\n"
            f"working = LazyBackend('working', 'for tests', '{__name__}.Working')\n",
        )
        self.assertEqual(list(installed_backends()), ["fs", "postgres", "working"])
        self.assertEqual(find_backend("working").description, "for tests")

    def test_wrong_name(self) -> None:
        """A wrong name lists what is installed."""
        text = str(self.assertRaises(StoreRefused, find_backend, "tape"))
        self.assertEqual(text, "no backend is called 'tape'; installed: fs, postgres")

    def test_broken_plugin(self) -> None:
        """A plugin file that cannot be imported is named with its error, because it may be the one that was meant."""
        self.install("post3_test_broken", "import no_such_module_anywhere\n")
        text = str(self.assertRaises(StoreRefused, find_backend, "tape"))
        self.assertIn("could not be loaded: twisted.plugins.post3_test_broken (ModuleNotFoundError", text)
        self.assertEqual(len(broken_plugins()), 1)
        self.flushLoggedErrors(ModuleNotFoundError)
