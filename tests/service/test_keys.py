"""Keys and version ids as clients write them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.bucket import Bucket, Versioning
from post3tw.model.errors import InvalidArgument, InvalidURI, KeyTooLong
from post3tw.model.identity import Owner
from post3tw.model.version import Version, version_token
from post3tw.service.keys import check_version_id, key_bytes, read_version_id, written_version_id


class KeyTests(SynchronousTestCase):
    """key_bytes."""

    def test_opaque(self) -> None:
        """Any text is taken as it is."""
        for key in ("a", "/", "..", "a//b", "a\x00", "\x7f", "☃", " ", "%2F", "a" * 1024, "é" * 512):
            self.assertEqual(key_bytes(key).decode(), key)

    def test_limit(self) -> None:
        """The limit is 1024 bytes, not characters; the error says how many there were."""
        for key in ("a" * 1025, "é" * 513):
            error = self.assertRaises(KeyTooLong, key_bytes, key)
            self.assertEqual(error.details["size"], len(key.encode()))

    def test_nothing(self) -> None:
        """An object has a key."""
        for key in ("", None):
            self.assertRaises(InvalidArgument, key_bytes, key)

    def test_not_utf8(self) -> None:
        """Text that has no UTF-8 is no key."""
        self.assertRaises(InvalidURI, key_bytes, "a\udcff")


class VersionIdTests(SynchronousTestCase):
    """check_version_id."""

    def test_possible(self) -> None:
        """None, "null" and what we make pass."""
        for version_id in (None, "null", version_token(1, b"x" * 16)):
            self.assertEqual(check_version_id(version_id), version_id)

    def test_impossible(self) -> None:
        """Anything else is told from a version that is not there."""
        for version_id in ("", "NULL", "1", "z" * 32, "F" * 32, "../x", "a\x00"):
            self.assertRaises(InvalidArgument, check_version_id, version_id)


class ShownVersionIdTests(SynchronousTestCase):
    """written_version_id and read_version_id."""

    def test_null_version(self) -> None:
        """The null version is shown to who reads from a bucket that is or was versioned, and nowhere else."""
        null, numbered = _version(is_null=True), _version(is_null=False)
        self.assertEqual([written_version_id(version) for version in (null, numbered)], [None, numbered.version_id])
        for versioning, shown in (
            (Versioning.NEVER, None),
            (Versioning.ENABLED, "null"),
            (Versioning.SUSPENDED, "null"),
        ):
            bucket = Bucket(1, "", "bucket", "ada", "Ada", 0, "us-east-1", versioning)
            self.assertEqual(read_version_id(bucket, null), shown)
            self.assertEqual(read_version_id(bucket, numbered), numbered.version_id)


def _version(*, is_null: bool) -> Version:
    return Version(b"v" * 16, 1, is_null, False, 0, 0, "etag", Owner("ada", "Ada"))
