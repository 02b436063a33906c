"""`post3 keys`."""

from __future__ import annotations

import os
import sys
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from post3tw.cli import main
from post3tw.service.identities import Identities, parse_identities


class KeysTests(SynchronousTestCase):
    """The verb, on a file that is not there yet."""

    def setUp(self) -> None:
        """Name it."""
        self.path = Path(self.mktemp())

    def keys(self, *arguments: str, status: int = 0) -> tuple[str, str]:
        """Run the verb: standard output and standard error."""
        out, err = StringIO(), StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", err)
        self.assertEqual(main(["keys", *arguments, "--identities", str(self.path)]), status, err.getvalue())
        return out.getvalue(), err.getvalue()

    def create(self, *arguments: str) -> tuple[str, str]:
        """Make a key: itself and its secret, as they are shown."""
        out, _ = self.keys("create", *arguments)
        profile, access_key, secret = out.splitlines()
        self.assertEqual(profile, f"[{arguments[0]}]")
        return access_key.removeprefix("aws_access_key_id = "), secret.removeprefix("aws_secret_access_key = ")

    def test_a_keys_life(self) -> None:
        """A running server takes a new key, refuses it while it is disabled, and forgets a deleted one."""
        first, _ = self.create("zoe")
        server = Identities(None, self.path)
        server.load()
        access_key, secret = self.create("ada", "--name", "Ada", "--tenant", "lab", "--admin", "--email", "a@b.c")
        server.reload_when_changed()
        found = server.credential(access_key)
        assert found is not None
        identity = found.identity
        self.assertEqual((found.secret, found.disabled), (secret, False))
        self.assertEqual((identity.user_id, identity.display_name, identity.tenant), ("ada", "Ada", "lab"))
        self.assertEqual((identity.admin, identity.email), (True, "a@b.c"))
        for action, disabled in (("disable", True), ("enable", False)):
            self.assertEqual(self.keys(action, access_key), (f"{action}d {access_key}\n", ""))
            server.reload_when_changed()
            found = server.credential(access_key)
            assert found is not None
            self.assertEqual(found.disabled, disabled)
        self.keys("delete", access_key)
        server.reload_when_changed()
        self.assertIsNone(server.credential(access_key))
        self.assertIsNotNone(server.credential(first))

    def test_a_new_file(self) -> None:
        """Who makes the first key is told how the server gets to know it."""
        _, err = self.keys("create", "ada")
        self.assertIn(f"--identities {self.path}", err)
        _, err = self.keys("create", "bob")
        self.assertEqual(err, "")

    def test_another_key_of_a_user(self) -> None:
        """It is the same user's in everything, and cannot be made with options that say otherwise."""
        first, _ = self.create("ada", "--name", "Ada", "--tenant", "lab")
        second, _ = self.create("ada")
        users = {key: credential.identity for key, credential in parse_identities(self.path.read_text()).items()}
        self.assertEqual(list(users), [first, second])
        self.assertEqual(users[second].owner, users[first].owner)
        self.assertEqual(users[second].tenant, "lab")
        _, err = self.keys("create", "ada", "--admin", status=1)
        self.assertIn("there already", err)

    def test_list(self) -> None:
        """It shows who has which key, and no secret."""
        access_key, secret = self.create("ada", "--name", "Ada L", "--admin")
        self.keys("disable", access_key)
        out, _ = self.keys("list")
        head, row = out.splitlines()
        self.assertEqual(head.split(), ["ACCESS", "KEY", "USER", "NAME", "TENANT"])
        self.assertEqual(row.split(), [access_key, "ada", "Ada", "L", "admin", "disabled"])
        self.assertNotIn(secret, out)

    def test_mistakes(self) -> None:
        """Each is one line, and status 1; no file is made."""
        for arguments in (["list"], ["delete", "NOBODY"], ["create", "a b"], ["create", "ada", "--tenant", "a b"]):
            out, err = self.keys(*arguments, status=1)
            self.assertEqual((out, err.count("\n")), ("", 1), err)
        self.assertFalse(self.path.exists())

    def test_which_file(self) -> None:
        """It is named by an option or by the server's variable; without either that is said."""
        self.patch(os, "environ", {"POST3_IDENTITIES": str(self.path)})
        out = StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", StringIO())
        self.assertEqual(main(["keys", "create", "ada"]), 0)
        self.assertTrue(self.path.exists())
        self.patch(os, "environ", {})
        self.assertEqual(main(["keys", "list"]), 1)
