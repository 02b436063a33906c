"""The checked-in package is what the generator writes."""

from __future__ import annotations

import botocore
from twisted.trial.unittest import SynchronousTestCase

from tools.generate_api.__main__ import checked_in, differences, generate, recorded_version
from tools.generate_api.names import snake


class GeneratedTests(SynchronousTestCase):
    """post3tw/api against the model of the botocore that is installed."""

    def test_the_version_of_the_model(self) -> None:
        """Every generated file is from the model of the installed botocore."""
        for name, text in checked_in().items():
            recorded = recorded_version(text)
            self.assertEqual(
                recorded,
                botocore.__version__,
                f"post3tw/api/{name} is from botocore {recorded}, and {botocore.__version__} is installed: "
                "install the former, or run python -m tools.generate_api",
            )

    def test_the_same_bytes(self) -> None:
        """Generating gives the same bytes as are checked in, each time."""
        first = generate()
        self.assertEqual(differences(checked_in(), first), [])
        self.assertEqual(generate(), first)

    def test_differences_are_told(self) -> None:
        """A file that differs, is missing or is too many is named with what goes and comes."""
        told = differences({"a.py": "1\n2\n", "b.py": "1\n"}, {"a.py": "1\n3\n", "c.py": "1\n2\n"})
        self.assertEqual(told, ["a.py: -1 +1 lines", "b.py: -1 +0 lines", "c.py: -0 +2 lines"])


class NameTests(SynchronousTestCase):
    """Names that others rely on."""

    def test_acronyms_are_one_word(self) -> None:
        """A member's name in Python has an underscore between words, and acronyms are words."""
        for name, expected in {
            "ACL": "acl",
            "And": "and_",
            "CORSRules": "cors_rules",
            "ChecksumCRC32": "checksum_crc32",
            "ChecksumCRC32C": "checksum_crc32c",
            "ChecksumCRC64NVME": "checksum_crc64nvme",
            "ChecksumSHA1": "checksum_sha1",
            "ChecksumXXHASH128": "checksum_xxhash128",
            "ContentMD5": "content_md5",
            "CopySourceIfMatch": "copy_source_if_match",
            "ETag": "etag",
            "GrantReadACP": "grant_read_acp",
            "ID": "id",
            "IfMatchLastModifiedTime": "if_match_last_modified_time",
            "MFADelete": "mfa_delete",
            "PutObject": "put_object",
            "S3TablesDestination": "s3_tables_destination",
            "SSECustomerKeyMD5": "sse_customer_key_md5",
            "SSEKMSKeyId": "sse_kms_key_id",
            "SSES3": "sse_s3",
        }.items():
            self.assertEqual(snake(name), expected)
