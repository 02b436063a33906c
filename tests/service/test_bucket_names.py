"""Names of buckets."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import InvalidBucketName
from post3tw.model.identity import Caller, Identity
from post3tw.service.bucket_names import check_bucket_name, split_tenant


class NameTests(SynchronousTestCase):
    """AWS's naming rules."""

    def test_good(self) -> None:
        """Lower-case letters, digits, dots and hyphens, 3 to 63 of them."""
        for name in ["abc", "a-b", "a.b.c", "1-2", "0" * 63, "a--b", "my.bucket-1"]:
            check_bucket_name(name)

    def test_bad(self) -> None:
        """Anything else, and the forms that AWS reserves."""
        bad = ["", "ab", "a" * 64, "Abc", "a_b", "-abc", "abc-", ".abc", "abc.", "a..b", "192.168.5.4", "a b", "a/b"]
        bad += ["xn--abc", "sthree-abc", "abc-s3alias", "abc--ol-s3", "abc.mrap", "abc--x-s3", "abc\n", "büro"]
        for name in bad:
            self.assertRaises(InvalidBucketName, check_bucket_name, name)


class TenantTests(SynchronousTestCase):
    """Bucket namespaces."""

    def test_plain_and_qualified(self) -> None:
        """A plain name is the caller's tenant's, a qualified one names the tenant, an empty one the unnamed tenant."""
        caller = Caller(Identity("u", "U", "K", tenant="lab"))
        self.assertEqual(split_tenant(caller, "b"), ("lab", "b"))
        self.assertEqual(split_tenant(caller, "other:b"), ("other", "b"))
        self.assertEqual(split_tenant(caller, ":b"), ("", "b"))
        self.assertEqual(split_tenant(Caller(None), "b"), ("", "b"))
