"""Version ids."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.version import parse_version_token, version_token


class VersionTokenTests(SynchronousTestCase):
    """The version ids that clients see."""

    @given(st.integers(0, 2**63 - 1), st.binary(min_size=16, max_size=16))
    def test_round_trip(self, seq: int, object_id: bytes) -> None:
        """A token gives back the sequence number and the last 8 bytes of the id."""
        self.assertEqual(parse_version_token(version_token(seq, object_id)), (seq, object_id[-8:]))

    def test_not_ours(self) -> None:
        """Anything that is not written exactly as ours is none."""
        token = version_token(1, bytes(range(16)))
        for other in ["", "null", token[:-1], token + "0", token.upper(), " " + token[1:], "g" * 32, "é" * 32]:
            self.assertIsNone(parse_version_token(other), other)
