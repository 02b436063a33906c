"""The `post3` command."""

from __future__ import annotations

import sys
from importlib import import_module
from io import StringIO

from twisted.logger import ILogObserver, LogLevel
from twisted.trial.unittest import SynchronousTestCase

from post3tw import __version__, cli
from post3tw.cli import VERBS, main
from post3tw.cli.serve import person_log


class CommandTests(SynchronousTestCase):
    """Choosing a verb."""

    def run_command(self, *arguments: str) -> tuple[int, str, str]:
        """Status, standard output and standard error."""
        out, err = StringIO(), StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", err)
        return main(arguments), out.getvalue(), err.getvalue()

    def test_version(self) -> None:
        """--version says it."""
        self.assertEqual(self.run_command("--version"), (0, f"post3tw {__version__}\n", ""))

    def test_interrupted(self) -> None:
        """Ctrl-C while a verb is still being imported ends it with one line."""

        def interrupted(name: str) -> object:
            raise KeyboardInterrupt

        self.patch(cli, "import_module", interrupted)
        self.assertEqual(self.run_command("fsck"), (130, "", "post3 fsck: interrupted\n"))

    def test_help(self) -> None:
        """--help lists the verbs; without any argument it is an error."""
        for arguments, expected in ((["--help"], 0), (["help"], 0), ([], 1)):
            status, out, _ = self.run_command(*arguments)
            self.assertEqual(status, expected)
            for verb in VERBS:
                self.assertIn(verb, out)

    def test_help_of_serve(self) -> None:
        """Its help is about post3, not about the twistd that it runs."""
        for word in ("--help", "-h"):
            status, out, _ = self.run_command("serve", word)
            self.assertEqual(status, 0)
            self.assertTrue(out.startswith("Usage: post3 serve [DIR] [options]\n"), out[:80])
            self.assertIn("--data-dir", out)

    def test_unknown_verb(self) -> None:
        """An unknown verb is one line that lists the known ones."""
        status, out, err = self.run_command("srve")
        self.assertEqual((status, out), (1, ""))
        self.assertEqual(err, f"post3: no verb is called 'srve'; there are: {', '.join(VERBS)}\n")

    def test_every_verb_is_a_module(self) -> None:
        """Every verb has a module with a `main`."""
        for verb in VERBS:
            self.assertTrue(callable(import_module(f"post3tw.cli.{verb}").main))


class PersonLogTests(SynchronousTestCase):
    """What `post3 serve` shows of the log."""

    def test_levels(self) -> None:
        """Our own news and everybody's warnings are shown, the chatter of others is not."""
        out = StringIO()
        self.patch(sys, "__stderr__", out)
        observer = person_log()
        assert ILogObserver.providedBy(observer)
        for namespace, level, text in (
            ("post3tw.server", LogLevel.info, "ours"),
            ("twisted.internet", LogLevel.info, "chatter"),
            ("twisted.internet", LogLevel.warn, "warning"),
        ):
            observer({"log_namespace": namespace, "log_level": level, "log_format": text, "log_time": 0.0})
        self.assertIn("ours", out.getvalue())
        self.assertIn("warning", out.getvalue())
        self.assertNotIn("chatter", out.getvalue())
