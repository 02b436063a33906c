"""The x-amz-copy-source header."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import InvalidArgument
from post3tw.wire.copy_source import CopySource, parse_copy_source

BUCKETS = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1).filter(lambda b: b[:4] != "arn:")
TEXT = st.text(min_size=1)


class ParseCopySourceTests(SynchronousTestCase):
    """What the header says."""

    def test_sources(self) -> None:
        """All spellings that clients use are read; keys are opaque."""
        for header, expected in (
            ("bucket/key", CopySource("bucket", "key")),
            ("/bucket/key", CopySource("bucket", "key")),
            ("bucket/a/b/", CopySource("bucket", "a/b/")),
            ("/bucket//key", CopySource("bucket", "/key")),
            ("bucket/../key", CopySource("bucket", "../key")),
            ("bucket%2Fa%2Fb", CopySource("bucket", "a/b")),
            ("%2Fbucket%2Fa%20b", CopySource("bucket", "a b")),
            ("bucket/a+b%2Bc", CopySource("bucket", "a b+c")),
            ("bucket/%F0%9F%98%80", CopySource("bucket", "\U0001f600")),
            ("bucket/\U0001f600", CopySource("bucket", "\U0001f600")),
            ("bucket/%253F", CopySource("bucket", "%3F")),
            ("bucket/key?versionId=null", CopySource("bucket", "key", "null")),
            ("bucket/key?versionId=a%2Bb%3D", CopySource("bucket", "key", "a+b=")),
            ("bucket/key?x", CopySource("bucket", "key?x")),
            ("bucket/key%3FversionId=1", CopySource("bucket", "key?versionId=1")),
            ("bucket/k?versionId=1?versionId=2", CopySource("bucket", "k?versionId=1", "2")),
            ("tenant:bucket/key", CopySource("tenant:bucket", "key")),
            (":bucket/key", CopySource(":bucket", "key")),
        ):
            self.assertEqual(parse_copy_source(header), expected, header)

    def test_refused(self) -> None:
        """Without bucket and key, or with unreadable escapes, there is no source."""
        for header in (
            "",
            "/",
            "bucket",
            "/bucket",
            "bucket/",
            "//bucket/key",
            "bucket/?versionId=1",
            "bucket?versionId=1",
            "bucket/key?versionId=",
            "bucket/%zz",
            "bucket/%",
            "bucket/%ff",
            "bucket/key?versionId=%ff",
            "bucket/\ud800",
            "arn:aws:s3:us-east-1:123456789012:accesspoint/a/object/key",
        ):
            error = self.assertRaises(InvalidArgument, parse_copy_source, header)
            self.assertEqual(error.details, {"argument_name": "x-amz-copy-source", "argument_value": header})

    @given(BUCKETS, TEXT, st.none() | TEXT)
    def test_round_trip(self, bucket: str, key: str, version_id: str | None) -> None:
        """Encoded as SDKs do, or as Java's URLEncoder does, every source comes back."""
        version = "" if version_id is None else f"?versionId={quote(version_id, safe='')}"
        for header in (f"{quote(bucket)}/{quote(key)}{version}", quote_plus(f"{bucket}/{key}") + version):
            self.assertEqual(parse_copy_source(header), CopySource(bucket, key, version_id))
