"""Lists as they are kept, and grants as headers spell them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from post3tw.api import types
from post3tw.model.acl import ALL_USERS, Acl, Grant, Grantee, Permission, private
from post3tw.model.errors import AmbiguousGrant, InvalidArgument
from post3tw.service.grants import acl_from_text, acl_of_document, acl_of_headers, acl_to_text, canned_acl, shown_acl
from post3tw.service.people import NoPeople
from tests.service.access_case import ADA, BOB, Directory

OWNER = ADA.owner
READ = Permission.READ


class KeptTests(SynchronousTestCase):
    """acl_to_text and acl_from_text."""

    def test_round_trip(self) -> None:
        """What is kept comes back; the private list is kept as nothing."""
        acl = Acl(OWNER, (Grant(Grantee(group=ALL_USERS), READ), Grant(Grantee("bob", display_name="Bob"), READ)))
        text = acl_to_text(acl)
        back = acl_from_text(OWNER, text)
        self.assertEqual(back, acl)
        self.assertEqual(back.grants[1].grantee.display_name, "Bob")
        self.assertIsNone(acl_to_text(private(OWNER)))
        self.assertEqual(acl_from_text(OWNER, None), private(OWNER))
        self.assertEqual(acl_to_text(Acl(OWNER)), "[]")

    def test_unreadable(self) -> None:
        """Anything else is a ValueError."""
        for text in ("", "7", "[7]", "{}x", '[["READ"]]', '[["SEE","bob","",""]]'):
            with self.assertRaises(ValueError):
                acl_from_text(OWNER, text)


class HeaderTests(SynchronousTestCase):
    """acl_of_headers."""

    def grantees(self, value: str) -> list[str]:
        """Whom a header names."""
        acl = acl_of_headers(Directory(), types.PutBucketAclInput(grant_read=value), OWNER)
        assert acl is not None
        return [grant.grantee.user_id or grant.grantee.group for grant in acl.grants]

    def test_spellings(self) -> None:
        """Names of kinds in any case, values with and without quotes, several behind commas."""
        for value in (
            "id=bob",
            'id="bob"',
            ' ID = "bob" ',
            'emailAddress="bob@example.com"',
            "emailaddress=bob@example.com",
        ):
            self.assertEqual(self.grantees(value), ["bob"], value)
        self.assertEqual(self.grantees(f'id="bob",uri={ALL_USERS} , id=ada'), ["bob", ALL_USERS, "ada"])

    def test_bad_spellings(self) -> None:
        """What is no grantee is refused as a whole."""
        for value in ("bob", "id", "id=", "id=bob;id=ada", 'id="bob" id="ada"', 'id="bob', "group=x", "id=bob,,id=ada"):
            with self.assertRaises(InvalidArgument):
                self.grantees(value)
        with self.assertRaises(AmbiguousGrant):
            self.grantees("emailAddress=both@example.com")

    def test_long_headers(self) -> None:
        """A long header is read in time that grows with its length only."""
        for value in ("id=" * 20_000, "id=bob " * 10_000, 'id="' + " " * 60_000, " " * 60_000 + "id"):
            with self.assertRaises(InvalidArgument):
                self.grantees(value)

    def test_owners_are_known(self) -> None:
        """The owners concerned can be named although the directory does not know them."""
        input = types.PutObjectInput(grant_read="id=ada", grant_full_control="id=bob")
        acl = acl_of_headers(NoPeople(), input, BOB.owner, OWNER)
        assert acl is not None
        self.assertEqual([grant.grantee.display_name for grant in acl.grants], ["Ada", "Bob"])
        with self.assertRaises(InvalidArgument):
            acl_of_headers(NoPeople(), input, OWNER, OWNER)

    def test_nothing_asked_for(self) -> None:
        """Without such headers there is no list."""
        self.assertIsNone(acl_of_headers(NoPeople(), types.PutObjectInput(), OWNER, OWNER))


class ShownTests(SynchronousTestCase):
    """shown_acl and acl_of_document are each other's inverse, but for the order."""

    def test_round_trip(self) -> None:
        """A list that is shown can be put back."""
        acl = canned_acl("public-read-write", OWNER)
        owner, grants = shown_acl(acl)
        document = types.AccessControlPolicy(owner=owner, grants=grants)
        back = acl_of_document(NoPeople(), document, OWNER, (OWNER,))
        self.assertEqual(set(back.grants), set(acl.grants))
        self.assertEqual(grants[-1].grantee, types.Grantee(id="ada", display_name="Ada", type="CanonicalUser"))
