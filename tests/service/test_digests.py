"""Tests of post3tw.service.digests."""

from __future__ import annotations

import hashlib

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.checksum import ChecksumAlgorithm
from post3tw.service.digests import Digests, update_lane


class DigestsTests(SynchronousTestCase):
    """Tests of Digests."""

    def test_known_values(self) -> None:
        """Every digest of "123456789" is the published one."""
        digests = Digests(ChecksumAlgorithm)
        digests.update(b"12345")
        digests.update(b"6789")
        self.assertEqual(digests.md5().hex(), "25f9e794323b453885f5181f1b624d0b")
        self.assertEqual(
            {algorithm.value: digest.hex() for algorithm, digest in digests.results().items()},
            {
                "CRC32": "cbf43926",
                "CRC32C": "e3069283",
                "CRC64NVME": "ae8b14860a799888",
                "SHA1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
                "SHA256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
            },
        )

    def test_only_md5(self) -> None:
        """Without algorithms there is only MD5, in one lane."""
        digests = Digests(())
        self.assertEqual((digests.md5(), digests.results()), (hashlib.md5().digest(), {}))
        self.assertEqual(len(digests.lanes), 1)

    def test_lanes(self) -> None:
        """The SHAs have a lane of their own; all lanes together are all digests."""
        self.assertEqual(len(Digests((ChecksumAlgorithm.CRC32, ChecksumAlgorithm.CRC64NVME)).lanes), 1)
        digests, whole = Digests(ChecksumAlgorithm), Digests(ChecksumAlgorithm)
        self.assertEqual([len(lane) for lane in digests.lanes], [4, 2])
        for lane in digests.lanes:
            update_lane(lane, b"data")
        whole.update(b"data")
        self.assertEqual((digests.md5(), digests.results()), (whole.md5(), whole.results()))
