"""The root key's file."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from botocore.session import Session
from twisted.trial.unittest import SynchronousTestCase

from post3tw.credentials import CredentialsRefused, RootKey, root_key


class RootKeyTests(SynchronousTestCase):
    """DATA/credentials."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.path = self.directory / "credentials"

    def test_first_start(self) -> None:
        """The first start makes a key that only its owner can read, and says so."""
        key = root_key(self.directory)
        self.assertTrue(key.made)
        self.assertEqual(key.path, self.path)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertEqual((len(key.access_key), len(key.secret_key)), (20, 40))

    def test_umask_does_not_open_it(self) -> None:
        """The mode does not depend on the umask of whoever starts the server."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        root_key(self.directory)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_keys_are_random(self) -> None:
        """Every character comes from the source of randomness, and two keys differ."""

        def last(characters: Sequence[str]) -> str:
            return characters[-1]

        self.assertEqual(root_key(self.directory, last).access_key, "POST3" + "9" * 15)
        other = Path(self.mktemp())
        other.mkdir()
        self.assertNotEqual(root_key(other).secret_key, root_key(self.directory).secret_key)

    def test_later_starts(self) -> None:
        """Later starts read the same key and make none."""
        first = root_key(self.directory)
        second = root_key(self.directory)
        self.assertEqual((second.access_key, second.secret_key), (first.access_key, first.secret_key))
        self.assertFalse(second.made)

    def test_aws_tools_read_it(self) -> None:
        """botocore finds the key in the file under the profile post3."""
        key = root_key(self.directory)
        session = Session(profile="post3")
        session.set_config_variable("credentials_file", str(self.path))
        found = session.get_credentials()
        assert found is not None
        self.assertEqual((found.access_key, found.secret_key), (key.access_key, key.secret_key))

    def test_secret_is_not_shown(self) -> None:
        """The representation of a key has no secret in it."""
        self.assertNotIn("s3cret", repr(RootKey("access", "s3cret")))

    def test_readable_by_others(self) -> None:
        """A file that others can read is refused, with what to do about it."""
        root_key(self.directory)
        self.path.chmod(0o640)
        self.assertIn("chmod 600", str(self.assertRaises(CredentialsRefused, root_key, self.directory)))

    def test_damaged(self) -> None:
        """A file without both keys is refused and left as it is; its content is not shown."""
        for text in (
            "",
            "[post3]\naws_access_key_id = A\n",
            "[other]\naws_access_key_id = SECRET\n",
            "SECRET",
            "[post3\n",
        ):
            self.path.write_text(text)
            self.path.chmod(0o600)
            error = self.assertRaises(CredentialsRefused, root_key, self.directory)
            self.assertIn("[post3]", str(error))
            self.assertNotIn("SECRET", str(error))
            self.assertEqual(self.path.read_text(), text)

    def test_not_text(self) -> None:
        """A file that is not UTF-8 is refused in one line."""
        self.path.write_bytes(b"[post3]\naws_access_key_id = \xff\n")
        self.path.chmod(0o600)
        self.assertIn("UTF-8", str(self.assertRaises(CredentialsRefused, root_key, self.directory)))

    def test_start_that_was_cut_off(self) -> None:
        """What is left of a start that died while it made the key is in nobody's way, and goes."""
        (self.directory / "credentials.new").write_text("[post3]\naws_acc")
        self.assertTrue(root_key(self.directory).made)
        self.assertEqual([path.name for path in self.directory.iterdir()], ["credentials"])
        self.assertFalse(root_key(self.directory).made)

    def test_cannot_be_made(self) -> None:
        """A directory that is not there is refused in one line."""
        error = self.assertRaises(CredentialsRefused, root_key, self.directory / "missing")
        self.assertIn("No such file", str(error))
