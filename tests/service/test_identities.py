"""Users of an identities file."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.identity import Owner
from post3tw.service.identities import (
    Identities,
    IdentitiesRefused,
    parse_identities,
    read_identities,
    root_credential,
)

ADA = '[[user]]\naccess_key = "ADAKEY"\nsecret_key = "ada-secret"\nid = "ada"\ndisplay_name = "Ada"\n'
BOB = '[[user]]\naccess_key = "BOBKEY"\nsecret_key = "bob-secret"\nid = "bob"\ndisplay_name = "Bob"\n'


class ParseTests(SynchronousTestCase):
    """What an identities document may say."""

    def refused(self, text: str) -> str:
        """The reason for which a document is refused."""
        return str(self.assertRaises(IdentitiesRefused, parse_identities, text))

    def test_every_field(self) -> None:
        """All fields of a user arrive in its credential."""
        text = ADA + 'email = "ada@example.com"\ntenant = "lab"\nadmin = true\ndisabled = true\n'
        credential = parse_identities(text)["ADAKEY"]
        identity = credential.identity
        self.assertEqual((identity.user_id, identity.display_name), ("ada", "Ada"))
        self.assertEqual((identity.email, identity.tenant, identity.admin), ("ada@example.com", "lab", True))
        self.assertEqual((credential.secret, credential.disabled), ("ada-secret", True))

    def test_secret_is_in_no_repr(self) -> None:
        """A credential can be logged without its secret."""
        self.assertNotIn("ada-secret", repr(parse_identities(ADA)))

    def test_empty_document(self) -> None:
        """A document without users is a valid one."""
        self.assertEqual(parse_identities(""), {})

    def test_refusals(self) -> None:
        """Each mistake is named."""
        for text, reason in [
            ("[[user", "not TOML"),
            ("[user]\nid = 'x'", "array of tables"),
            ("users = 3", "unknown table or key: users"),
            (ADA + "role = 'x'\n", "unknown field role"),
            (ADA + "admin = 'yes'\n", "admin is not a bool"),
            (ADA.replace('"ada-secret"', '""'), "secret_key is missing or empty"),
            (ADA.replace('id = "ada"\n', ""), "id is missing or empty"),
            (ADA.replace("ADAKEY", "A/B"), "access_key must be"),
            (ADA + "tenant = 'a b'\n", "tenant must be"),
            (ADA + ADA, "used twice"),
            (ADA + ADA.replace("ADAKEY", "SECOND") + "tenant = 'lab'\n", "of another tenant"),
        ]:
            self.assertIn(reason, self.refused(text), text)

    def test_refusal_shows_no_secret(self) -> None:
        """The reason for a refusal holds no secret."""
        self.assertNotIn("ada-secret", self.refused(ADA + ADA))


class FileTests(SynchronousTestCase):
    """The file, and its changes while the server runs."""

    def setUp(self) -> None:
        """An identities file with one user."""
        self.path = Path(self.mktemp())
        self.write(ADA)
        self.identities = Identities(root_credential("ROOT", "root-secret"), self.path)

    def write(self, text: str) -> None:
        """Replace the file as an editor does: a new file, renamed."""
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.chmod(0o600)
        new.rename(self.path)

    def test_root_and_users(self) -> None:
        """Root and the users of the file are found, others are not."""
        self.identities.load()
        root, ada = self.identities.credential("ROOT"), self.identities.credential("ADAKEY")
        assert root is not None and ada is not None
        self.assertTrue(root.identity.admin)
        self.assertEqual(ada.identity.user_id, "ada")
        self.assertIsNone(self.identities.credential("NOBODY"))

    def test_readable_by_others(self) -> None:
        """A file that others can read is refused."""
        os.chmod(self.path, 0o640)
        error = self.assertRaises(IdentitiesRefused, read_identities, self.path)
        self.assertIn("chmod 600", str(error))

    def test_missing(self) -> None:
        """A file that is not there is refused at start."""
        self.path.unlink()
        self.assertRaises(IdentitiesRefused, self.identities.load)

    def test_not_utf8(self) -> None:
        """A file that is no text is refused."""
        self.path.write_bytes(b"\xff\xfe")
        self.assertIn("UTF-8", str(self.assertRaises(IdentitiesRefused, read_identities, self.path)))

    def test_root_key_in_file(self) -> None:
        """A user cannot take root's access key."""
        self.write(ADA.replace("ADAKEY", "ROOT"))
        self.assertRaises(IdentitiesRefused, self.identities.load)

    def test_root_id_in_a_tenant(self) -> None:
        """A user of a tenant cannot be the owner of root's buckets."""
        self.write(ADA.replace('"ada"', '"root"') + 'tenant = "lab"\n')
        self.assertRaises(IdentitiesRefused, self.identities.load)

    def test_change_is_noticed(self) -> None:
        """A changed file is in force at the next look."""
        self.identities.load()
        self.write(BOB)
        self.identities.reload_when_changed()
        self.assertIsNone(self.identities.credential("ADAKEY"))
        self.assertIsNotNone(self.identities.credential("BOBKEY"))

    def test_unchanged_file_is_not_read(self) -> None:
        """Looking at an unchanged file keeps the very same credentials."""
        self.identities.load()
        before = self.identities.credential("ADAKEY")
        self.identities.reload_when_changed()
        self.assertIs(self.identities.credential("ADAKEY"), before)

    def test_bad_change_keeps_the_old(self) -> None:
        """A bad file changes nothing, and a good one after it does."""
        self.identities.load()
        self.write(BOB + "role = 1\n")
        self.assertFalse(self.identities.reload())
        self.assertIsNotNone(self.identities.credential("ADAKEY"))
        self.assertIsNone(self.identities.credential("BOBKEY"))
        self.write(BOB)
        self.assertTrue(self.identities.reload())
        self.assertIsNotNone(self.identities.credential("BOBKEY"))

    def test_people(self) -> None:
        """Users, root among them, are found by id; by address each once, however many keys they have."""
        again = ADA.replace("ADAKEY", "ADAKEY2")
        self.write(ADA + 'email = "Ada@example.com"\n' + again + 'email = "ada@example.com"\n' + BOB)
        self.identities.load()
        ada = Owner("ada", "Ada")
        self.assertEqual(self.identities.by_id("ada"), ada)
        self.assertEqual(self.identities.by_id("root"), Owner("root", "root"))
        self.assertIsNone(self.identities.by_id("eve"))
        self.assertEqual(self.identities.by_email("ADA@example.com"), [ada])
        self.assertEqual(self.identities.by_email(""), [])
