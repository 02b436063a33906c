"""The additional checksums of S3."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.checksum import ChecksumAlgorithm
from post3tw.model.errors import BadDigest
from post3tw.wire.checksums import FRAME, HEADER, SIZE, combine, composite, decode, encode, frame_crcs, new

CRCS = (ChecksumAlgorithm.CRC32, ChecksumAlgorithm.CRC32C, ChecksumAlgorithm.CRC64NVME)
# The check values of the CRC catalogue, over "123456789", and what hashlib says.
CHECK = {
    ChecksumAlgorithm.CRC32: bytes.fromhex("cbf43926"),
    ChecksumAlgorithm.CRC32C: bytes.fromhex("e3069283"),
    ChecksumAlgorithm.CRC64NVME: bytes.fromhex("ae8b14860a799888"),
    ChecksumAlgorithm.SHA1: hashlib.sha1(b"123456789").digest(),
    ChecksumAlgorithm.SHA256: hashlib.sha256(b"123456789").digest(),
}


def checksum(algorithm: ChecksumAlgorithm, data: bytes) -> bytes:
    """Of bytes at once."""
    hasher = new(algorithm)
    hasher.update(data)
    return hasher.digest()


class HasherTests(SynchronousTestCase):
    """Computing checksums."""

    def test_check_values(self) -> None:
        """Each algorithm gives its catalogued value, in as many bytes as SIZE says."""
        for algorithm in ChecksumAlgorithm:
            self.assertEqual(checksum(algorithm, b"123456789"), CHECK[algorithm])
            self.assertEqual(len(CHECK[algorithm]), SIZE[algorithm])

    def test_empty(self) -> None:
        """The checksum of nothing is the one that SDKs presign."""
        self.assertEqual(encode(new(ChecksumAlgorithm.CRC32).digest()), "AAAAAA==")
        self.assertEqual(encode(new(ChecksumAlgorithm.CRC64NVME).digest()), "AAAAAAAAAAA=")

    @given(st.lists(st.binary(max_size=20)))
    def test_pieces(self, pieces: list[bytes]) -> None:
        """Pieces of any buffer type give the same as the whole."""
        for algorithm in ChecksumAlgorithm:
            hasher = new(algorithm)
            for piece in pieces:
                hasher.update(memoryview(piece) if len(piece) % 2 else bytearray(piece))
            self.assertEqual(hasher.digest(), checksum(algorithm, b"".join(pieces)))

    def test_digest_does_not_end_it(self) -> None:
        """A digest may be asked for in between."""
        hasher = new(ChecksumAlgorithm.CRC32C)
        hasher.update(b"1234")
        self.assertNotEqual(hasher.digest(), CHECK[ChecksumAlgorithm.CRC32C])
        hasher.update(b"56789")
        self.assertEqual(hasher.digest(), CHECK[ChecksumAlgorithm.CRC32C])

    def test_headers(self) -> None:
        """Each algorithm has its header."""
        self.assertEqual(
            list(HEADER.values()),
            [
                "x-amz-checksum-crc32",
                "x-amz-checksum-crc32c",
                "x-amz-checksum-crc64nvme",
                "x-amz-checksum-sha1",
                "x-amz-checksum-sha256",
            ],
        )


class TextTests(SynchronousTestCase):
    """Checksums as clients write them."""

    @given(st.sampled_from(list(ChecksumAlgorithm)), st.data())
    def test_round_trip(self, algorithm: ChecksumAlgorithm, data: st.DataObject) -> None:
        """What encode writes, decode reads."""
        digest = data.draw(st.binary(min_size=SIZE[algorithm], max_size=SIZE[algorithm]))
        self.assertEqual(decode(algorithm, encode(digest)), digest)

    def test_malformed(self) -> None:
        """Anything but the base64 of the right number of bytes is refused, with the header's name."""
        for text in (
            "",
            "AAAA",
            "AAAAAA",
            "AAAAAA=",
            "AAAAAA==\n",
            " AAAAAA==",
            "AAAAAB==",
            "AA AAAA==",
            "AAAAAA==AAAA",
            "00000000",
            "____AA==",
            "\xe9AAAAA==",
            b64encode(b"12345").decode(),
        ):
            error = self.assertRaises(BadDigest, decode, ChecksumAlgorithm.CRC32, text)
            self.assertEqual(error.message, "Value for x-amz-checksum-crc32 header is invalid.")


class PartsTests(SynchronousTestCase):
    """Checksums of objects in parts."""

    @given(st.lists(st.binary(max_size=30), max_size=6))
    def test_combined_crcs(self, parts: list[bytes]) -> None:
        """CRCs of parts, empty ones too, combine to the CRC of the whole."""
        for algorithm in CRCS:
            combined = combine(algorithm, [(checksum(algorithm, part), len(part)) for part in parts])
            self.assertEqual(combined, checksum(algorithm, b"".join(parts)))

    def test_long_parts(self) -> None:
        """A part of 4 GiB combines like four of 1 GiB: lengths are not cut to 32 bits."""
        for algorithm in CRCS:
            length, zeros = 1 << 20, checksum(algorithm, bytes(1 << 20))
            while length < 1 << 30:
                length, zeros = 2 * length, combine(algorithm, [(zeros, length)] * 2)
            begin = (checksum(algorithm, b"x"), 1)
            whole = combine(algorithm, [(zeros, length)] * 4)
            expected = combine(algorithm, [begin] + [(zeros, length)] * 4)
            self.assertEqual(combine(algorithm, [begin, (whole, 4 * length)]), expected)

    def test_composite(self) -> None:
        """A composite is the checksum of the digests, not of their text."""
        digests = [zlib.crc32(part).to_bytes(4, "big") for part in (b"a", b"b")]
        expected = zlib.crc32(b"".join(digests)).to_bytes(4, "big")
        self.assertEqual(composite(ChecksumAlgorithm.CRC32, digests), expected)
        sha = [hashlib.sha256(part).digest() for part in (b"a", b"b")]
        self.assertEqual(composite(ChecksumAlgorithm.SHA256, sha), hashlib.sha256(b"".join(sha)).digest())


class FrameTests(SynchronousTestCase):
    """CRCs of stored frames."""

    def test_frames(self) -> None:
        """Each frame has its CRC, the last one of what is left; no bytes have no frames."""
        crc = checksum(ChecksumAlgorithm.CRC32C, b"123456789")
        self.assertEqual(frame_crcs(b""), b"")
        self.assertEqual(frame_crcs(b"123456789"), crc)
        self.assertEqual(frame_crcs(b"123456789" * 2, frame=9), crc * 2)
        rest = checksum(ChecksumAlgorithm.CRC32C, b"1")
        self.assertEqual(frame_crcs(memoryview(b"1234567891"), frame=9), crc + rest)
        self.assertEqual(len(frame_crcs(bytes(FRAME))), 4)
        self.assertEqual(len(frame_crcs(bytearray(FRAME + 1))), 8)
