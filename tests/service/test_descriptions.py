"""Headers, metadata, tags and storage class, from inputs to Descriptions."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from post3tw.api import types
from post3tw.model.errors import InvalidStorageClass, InvalidTag, MetadataTooLarge
from post3tw.model.object_lock import Retention
from post3tw.model.version import Description
from post3tw.service.descriptions import description_of
from post3tw.wire.dates import from_millis

NOW = 1_700_000_000_000


class DescriptionTests(SynchronousTestCase):
    """description_of."""

    def test_nothing(self) -> None:
        """Who says nothing, or sends empty headers, describes nothing."""
        self.assertEqual(description_of(types.PutObjectInput(), NOW), Description())
        empty = types.PutObjectInput(content_type="", cache_control="", metadata={}, tagging="", storage_class="")
        self.assertEqual(description_of(empty, NOW), Description())

    def test_everything(self) -> None:
        """Each member arrives in its place."""
        input = types.CreateMultipartUploadInput(
            cache_control="c",
            content_disposition="d",
            content_encoding="e",
            content_language="l",
            content_type="t",
            expires="x",
            metadata={"Name": "Value"},
            storage_class="GLACIER",
            tagging="a=1&b=2",
            object_lock_mode="GOVERNANCE",
            object_lock_retain_until_date=from_millis(NOW + 1),
            object_lock_legal_hold_status="ON",
        )
        headers = {
            "cache-control": "c",
            "content-disposition": "d",
            "content-encoding": "e",
            "content-language": "l",
            "content-type": "t",
            "expires": "x",
        }
        lock = Retention("GOVERNANCE", NOW + 1, True)
        expected = Description(headers, {"name": "Value"}, {"a": "1", "b": "2"}, "GLACIER", retention=lock)
        self.assertEqual(description_of(input, NOW), expected)

    def test_metadata_limit(self) -> None:
        """Names and values have 2048 bytes of UTF-8 together."""
        description_of(types.PutObjectInput(metadata={"ab": "é" * 1023}), NOW)
        input = types.PutObjectInput(metadata={"abc": "é" * 1023})
        error = self.assertRaises(MetadataTooLarge, description_of, input, NOW)
        self.assertEqual(error.details, {"size": 2049, "max_size_allowed": 2048})

    def test_bad_values(self) -> None:
        """A storage class that S3 does not have, and tags that it does not take."""
        self.assertRaises(InvalidStorageClass, description_of, types.PutObjectInput(storage_class="COLD"), NOW)
        self.assertRaises(InvalidTag, description_of, types.PutObjectInput(tagging="=1"), NOW)
