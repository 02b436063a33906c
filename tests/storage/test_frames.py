"""Tests of post3tw.storage.frames."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import CorruptedData
from post3tw.model.version import Placement
from post3tw.storage.frames import (
    covering,
    frame_size,
    part_of_frame,
    verify_all,
    verify_frame,
)
from post3tw.testing.blob_fixture import noise
from post3tw.wire.checksums import FRAME, frame_crcs

BODY = noise(2 * FRAME + 5)
PLACEMENT = Placement(len(BODY), blob=b"b" * 16, crcs=frame_crcs(BODY))


def frame(number: int) -> bytes:
    """One frame of BODY."""
    return BODY[number * FRAME : (number + 1) * FRAME]


class FrameTests(SynchronousTestCase):
    """Tests of frames and their checksums."""

    def test_known_value(self) -> None:
        """The checksum is CRC32C, big-endian (RFC 3720, B.4: 32 bytes of zeros)."""
        self.assertEqual(frame_crcs(bytes(32)).hex(), "8a9136aa")

    def test_one_checksum_a_frame(self) -> None:
        """Each frame, the short last one included, has its own 4 bytes."""
        self.assertEqual(PLACEMENT.crcs, b"".join(frame_crcs(frame(n)) for n in range(3)))
        self.assertEqual(len(PLACEMENT.crcs), 12)

    def test_whole_frames_only(self) -> None:
        """A body that ends with a frame has no empty frame after it."""
        self.assertEqual(len(frame_crcs(BODY[:FRAME])), 4)
        self.assertEqual(len(frame_crcs(BODY[: 2 * FRAME])), 8)

    def test_nothing(self) -> None:
        """No bytes have no frame."""
        self.assertEqual(frame_crcs(b""), b"")

    def test_covering(self) -> None:
        """A range is covered by every frame that it touches, and no other."""
        for first, length, numbers in (
            (0, 1, [0]),
            (0, FRAME, [0]),
            (0, FRAME + 1, [0, 1]),
            (FRAME - 1, 1, [0]),
            (FRAME - 1, 2, [0, 1]),
            (FRAME, 1, [1]),
            (FRAME, FRAME, [1]),
            (5, 3 * FRAME, [0, 1, 2, 3]),
        ):
            self.assertEqual(list(covering(first, length)), numbers, (first, length))

    def test_sizes(self) -> None:
        """All frames are full but the last."""
        self.assertEqual([frame_size(PLACEMENT, number) for number in range(3)], [FRAME, FRAME, 5])

    def test_verify(self) -> None:
        """Every frame of what was stored verifies, and so does the whole."""
        for number in range(3):
            verify_frame(PLACEMENT, number, frame(number))
        verify_all(PLACEMENT, BODY)
        verify_all(Placement(0), b"")

    def test_flipped_bit(self) -> None:
        """A single wrong bit is found, wherever it is."""
        for position in (0, 1000, FRAME - 1):
            wrong = bytearray(frame(1))
            wrong[position] ^= 4
            with self.assertRaises(CorruptedData) as caught:
                verify_frame(PLACEMENT, 1, bytes(wrong))
            self.assertEqual(caught.exception.details, {"blob": "62" * 16, "frame": 1})

    def test_wrong_frame(self) -> None:
        """A frame in the place of another is found."""
        with self.assertRaises(CorruptedData):
            verify_frame(PLACEMENT, 1, frame(0))

    def test_wrong_length(self) -> None:
        """A frame that is too short or too long is found."""
        for data in (b"", frame(2)[:-1], frame(2) + b"\0"):
            with self.assertRaises(CorruptedData):
                verify_frame(PLACEMENT, 2, data)

    def test_length_that_the_row_does_not_know(self) -> None:
        """Bytes that match their checksum but not the size in the row are refused."""
        placement = Placement(4, blob=b"b" * 16, crcs=frame_crcs(b"hello"))
        with self.assertRaises(CorruptedData):
            verify_frame(placement, 0, b"hello")
        with self.assertRaises(CorruptedData):
            verify_all(placement, b"hello")

    def test_missing_checksums(self) -> None:
        """Bytes whose checksums are lost do not pass for good ones."""
        bare = evolve(PLACEMENT, crcs=b"")
        with self.assertRaises(CorruptedData):
            verify_frame(bare, 0, frame(0))
        with self.assertRaises(CorruptedData):
            verify_all(bare, BODY)

    def test_verify_all_finds_changes(self) -> None:
        """The whole is refused when a bit is wrong or the length is."""
        wrong = bytearray(BODY)
        wrong[FRAME + 7] ^= 1
        for data in (bytes(wrong), BODY[:-1], BODY + b"\0", b""):
            with self.assertRaises(CorruptedData):
                verify_all(PLACEMENT, data)

    def test_parts(self) -> None:
        """The parts of the covering frames make up the range."""
        for first, length in ((0, len(BODY)), (FRAME - 2, 5), (3, 1), (FRAME, FRAME), (2 * FRAME + 4, 1)):
            parts = [part_of_frame(frame(n), n, first, length) for n in covering(first, length)]
            self.assertTrue(b"".join(parts) == BODY[first : first + length], (first, length))

    def test_whole_frame_is_not_copied(self) -> None:
        """A frame that is needed whole is passed on as it is."""
        data = frame(0)
        self.assertIs(part_of_frame(data, 0, 0, 2 * FRAME), data)
