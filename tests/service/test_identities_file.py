"""Changing an identities file: one key at a time, and nothing else."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.identity import Identity
from post3tw.service.identities import Credential, IdentitiesRefused, parse_identities
from post3tw.service.identities_file import change_identities, with_disabled, with_user, without_user

FILE = '''\
# Users of the lab.

# Ada has been here since the beginning.
# Ask her first.
[[user]]  # the first
access_key = "ADAKEY"
secret_key = "ada-secret"  # rotated in May
id = "ada"
display_name = "Ada"

# People of the other floor follow.

[[user]]
access_key = "BOBKEY"
secret_key = """
bob
secret"""
id = "bob"
display_name = "Bob"
disabled = true  # on leave
# (until autumn)

  [[ user ]]
  access_key = "EVEKEY"
  secret_key = "eve-secret"
  id = "eve"
  display_name = "Eve"'''
CAT = Credential(Identity("cat", 'Cat "the \\ cat" Ω', "CATKEY", "lab", "cat@example.com", True), "cat-secret")


class TextTests(SynchronousTestCase):
    """Texts."""

    def test_add(self) -> None:
        """A new user stands at the end, with everything; what was there is untouched."""
        for text in ("", FILE, FILE + "\n", "# nobody yet"):
            changed = with_user(text, CAT)
            self.assertTrue(changed.startswith(text))
            self.assertEqual(parse_identities(changed), {**parse_identities(text), "CATKEY": CAT})

    def test_add_what_is_there(self) -> None:
        """An access key is given once."""
        taken = evolve(CAT, identity=evolve(CAT.identity, access_key="BOBKEY"))
        self.assertRaises(IdentitiesRefused, with_user, FILE, taken)

    def test_add_what_cannot_be(self) -> None:
        """What the file may not say is refused with its reason."""
        bad_values: list[tuple[dict[str, Any], str]] = [
            ({"tenant": "no tenant"}, "tenant"),
            ({"access_key": "a/b"}, "access_key"),
        ]
        for changes, reason in bad_values:
            bad = evolve(CAT, identity=evolve(CAT.identity, **changes))
            self.assertIn(reason, str(self.assertRaises(IdentitiesRefused, with_user, FILE, bad)))

    def test_delete(self) -> None:
        """The user goes, and the comment that stands directly on top; the other comments stay."""
        expected = {
            "ADAKEY": FILE[: FILE.index("# Ada")] + FILE[FILE.index("# People") :],
            "BOBKEY": FILE[: FILE.index("[[user]]\n")] + FILE[FILE.index("# (until") :],
            "EVEKEY": FILE[: FILE.index("  [[ user")],
        }
        for access_key, text in expected.items():
            self.assertEqual(without_user(FILE, access_key), text, access_key)

    def test_disable_and_enable(self) -> None:
        """One word changes where the file says it already; otherwise a line is added."""
        self.assertEqual(
            with_disabled(FILE, "BOBKEY", False), FILE.replace("disabled = true  # on", "disabled = false  # on")
        )
        self.assertEqual(with_disabled(FILE, "BOBKEY", True), FILE)
        line = 'display_name = "Ada"\n'
        self.assertEqual(with_disabled(FILE, "ADAKEY", True), FILE.replace(line, line + "disabled = true\n"))
        self.assertEqual(with_disabled(FILE, "EVEKEY", True), FILE + "\ndisabled = true\n")
        self.assertEqual(with_disabled(FILE, "EVEKEY", False), FILE)

    def test_line_ends(self) -> None:
        """A file from Windows is changed as well."""
        changed = with_disabled(FILE.replace("\n", "\r\n"), "ADAKEY", True)
        self.assertTrue(parse_identities(changed)["ADAKEY"].disabled)
        self.assertEqual(list(parse_identities(without_user(changed, "ADAKEY"))), ["BOBKEY", "EVEKEY"])

    def test_unknown(self) -> None:
        """Nobody has that key."""
        for change in (without_user, lambda text, key: with_disabled(text, key, True)):
            error = self.assertRaises(IdentitiesRefused, change, FILE, "DAVKEY")
            self.assertEqual(str(error), "nobody has the access key DAVKEY")

    def test_what_lines_do_not_show(self) -> None:
        """A text whose users are not where they seem to be is not changed."""
        inline = 'user = [{access_key = "ADAKEY", secret_key = "s", id = "ada", display_name = "Ada"}]\n'
        hidden = FILE.replace('"""\nbob', '"""\n[[user]]\nbob')
        quoted = FILE.replace("disabled =", '"disabled" =')
        nested = FILE.replace('"""\nbob', '"""\ndisabled = true\nbob').replace("disabled = true  # on leave\n", "")
        for text, access_key in ((inline, "ADAKEY"), (hidden, "ADAKEY"), (quoted, "BOBKEY"), (nested, "BOBKEY")):
            parse_identities(text)
            error = self.assertRaises(IdentitiesRefused, with_disabled, text, access_key, text is not quoted)
            self.assertIn("only a person", str(error), text)


class FileTests(SynchronousTestCase):
    """Files."""

    def setUp(self) -> None:
        """One with users."""
        self.path = Path(self.mktemp())
        self.path.write_text(FILE)
        self.path.chmod(0o600)

    def test_changed_in_place(self) -> None:
        """The file is another one under the same name, with the same mode; nothing is left beside it."""
        self.path.chmod(0o400)
        before = self.path.stat()
        change_identities(self.path, lambda text: without_user(text, "EVEKEY"))
        self.assertEqual(list(parse_identities(self.path.read_text())), ["ADAKEY", "BOBKEY"])
        after = self.path.stat()
        self.assertNotEqual(after.st_ino, before.st_ino)
        self.assertEqual((after.st_mode, after.st_uid, after.st_gid), (before.st_mode, before.st_uid, before.st_gid))
        self.assertNotIn(f".{self.path.name}.new", os.listdir(self.path.parent))

    def test_a_link_stays_one(self) -> None:
        """What it points to is changed."""
        link = Path(self.mktemp())
        link.symlink_to(self.path.absolute())
        change_identities(link, lambda text: with_user(text, CAT))
        self.assertTrue(link.is_symlink())
        self.assertIn("CATKEY", parse_identities(self.path.read_text()))

    def test_refused_changes(self) -> None:
        """The file stays byte for byte."""
        self.assertRaises(IdentitiesRefused, change_identities, self.path, lambda text: without_user(text, "DAVKEY"))
        self.assertEqual(self.path.read_text(), FILE)

    def test_bad_files(self) -> None:
        """A file that others can read, is no TOML, or is not there."""
        self.path.chmod(0o640)
        error = self.assertRaises(IdentitiesRefused, change_identities, self.path, lambda text: text)
        self.assertIn("chmod 600", str(error))
        self.path.chmod(0o600)
        self.path.write_text("[[user")
        self.assertRaises(IdentitiesRefused, change_identities, self.path, lambda text: text)
        missing = Path(self.mktemp())
        self.assertRaises(IdentitiesRefused, change_identities, missing, lambda text: text)
        self.assertFalse(missing.exists())

    def test_a_new_file(self) -> None:
        """It can be read by its owner alone; a change that is refused makes none."""
        new = Path(self.mktemp())
        bad = evolve(CAT, identity=evolve(CAT.identity, tenant="no tenant"))
        self.assertRaises(IdentitiesRefused, change_identities, new, lambda text: with_user(text, bad), create=True)
        self.assertFalse(new.exists())
        change_identities(new, lambda text: with_user(text, CAT), create=True)
        self.assertEqual(stat.S_IMODE(new.stat().st_mode), 0o600)
        self.assertEqual(parse_identities(new.read_text()), {"CATKEY": CAT})

    def test_left_behind(self) -> None:
        """What a killed command left beside the file is in nobody's way."""
        self.path.with_name(f".{self.path.name}.new").write_text("half")
        change_identities(self.path, lambda text: without_user(text, "EVEKEY"))
        self.assertEqual(list(parse_identities(self.path.read_text())), ["ADAKEY", "BOBKEY"])
