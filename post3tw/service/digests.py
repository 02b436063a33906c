"""The digests of a body: MD5 for the ETag, and whatever checksums were asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from post3tw.model.checksum import ChecksumAlgorithm
from post3tw.wire.checksums import Hasher, new

_SLOW = frozenset({ChecksumAlgorithm.SHA1, ChecksumAlgorithm.SHA256})


class Digests:
    """Digests of one body in the making.

    Attributes:
        lanes: the hashers in one or two groups for as many threads: MD5 with the CRCs, which cost next to nothing, and
            the SHAs.
    """

    __slots__ = ("_by_algorithm", "_md5", "lanes")

    def __init__(self, algorithms: Iterable[ChecksumAlgorithm]) -> None:
        self._md5: Hasher = hashlib.md5(usedforsecurity=False)
        self._by_algorithm = {algorithm: new(algorithm) for algorithm in algorithms}
        quick = [hasher for algorithm, hasher in self._by_algorithm.items() if algorithm not in _SLOW]
        slow = [hasher for algorithm, hasher in self._by_algorithm.items() if algorithm in _SLOW]
        self.lanes: Sequence[Sequence[Hasher]] = ([self._md5, *quick], slow) if slow else ([self._md5, *quick],)

    def update(self, data: bytes) -> None:
        """Take more bytes into all of them, here and now."""
        for lane in self.lanes:
            update_lane(lane, data)

    def md5(self) -> bytes:
        """The MD5 of all bytes taken in."""
        return self._md5.digest()

    def results(self) -> dict[ChecksumAlgorithm, bytes]:
        """The checksums of all bytes taken in."""
        return {algorithm: hasher.digest() for algorithm, hasher in self._by_algorithm.items()}


def update_lane(lane: Sequence[Hasher], data: bytes) -> None:
    """Take more bytes into the hashers of one lane."""
    for hasher in lane:
        hasher.update(data)
