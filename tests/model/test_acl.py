"""Access control lists as values."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.acl import (
    ALL_USERS,
    AUTHENTICATED_USERS,
    LOG_DELIVERY,
    Acl,
    Grant,
    Grantee,
    Permission,
    private,
)
from post3tw.model.identity import Owner

ADA = Owner("ada", "Ada")
READ, WRITE, FULL = Permission.READ, Permission.WRITE, Permission.FULL_CONTROL


class AclTests(SynchronousTestCase):
    """Acl."""

    def test_permissions(self) -> None:
        """Full control is every permission, each other one only itself."""
        for wanted in Permission:
            for granted in Permission:
                self.assertEqual(granted.covers(wanted), granted in (wanted, FULL))

    def test_who_is_meant(self) -> None:
        """A user is meant by id; everybody is in one group, everybody who signs in another, nobody in the third."""
        for grantee, meant in {
            Grantee("bob"): {"bob"},
            Grantee(group=ALL_USERS): {"ada", "bob", None},
            Grantee(group=AUTHENTICATED_USERS): {"ada", "bob"},
            Grantee(group=LOG_DELIVERY): set(),
        }.items():
            self.assertEqual({user for user in ("ada", "bob", "", None) if grantee.matches(user)} - {""}, meant)

    def test_names_do_not_matter(self) -> None:
        """Grantees are the same by id, whatever they are called."""
        self.assertEqual(Grantee("bob", display_name="Bob"), Grantee("bob", display_name="Robert"))

    def test_owner(self) -> None:
        """The owner reads and changes the list even without a grant, and does nothing else."""
        allowed = {permission for permission in Permission if Acl(ADA).allows("ada", permission)}
        self.assertEqual(allowed, {Permission.READ_ACP, Permission.WRITE_ACP})
        self.assertFalse(any(Acl(ADA).allows(user, permission) for permission in Permission for user in ("bob", None)))
        self.assertTrue(all(private(ADA).allows("ada", permission) for permission in Permission))

    def test_public(self) -> None:
        """A list is public by what it grants to a group that anybody can be in; without that it is not."""
        acl = Acl(ADA, (Grant(Grantee(group=ALL_USERS), READ), Grant(Grantee("bob"), WRITE)))
        self.assertTrue(acl.public)
        self.assertEqual(acl.without_public_grants(), Acl(ADA, (Grant(Grantee("bob"), WRITE),)))
        for closed in (private(ADA), Acl(ADA, (Grant(Grantee(group=LOG_DELIVERY), WRITE),))):
            self.assertFalse(closed.public)
            self.assertIs(closed.without_public_grants(), closed)
