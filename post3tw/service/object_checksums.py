"""The additional checksums of S3: which one a client announced, whether it holds, and how answers show it.

A client may send one checksum, in a header or in the trailer of an aws-chunked body; x-amz-sdk-checksum-algorithm may
say which. Without any we compute CRC64NVME, as AWS does. Content-MD5 is separate and may come as well.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any

from post3tw.model.checksum import Checksum, ChecksumAlgorithm
from post3tw.model.errors import BadDigest, InvalidDigest, InvalidRequest, MalformedTrailer
from post3tw.model.values import value_class
from post3tw.service.interfaces import IRequestBody
from post3tw.wire.checksums import HEADER, decode, encode

DEFAULT_ALGORITHM = ChecksumAlgorithm.CRC64NVME

CHECKSUM_MEMBER: Mapping[ChecksumAlgorithm, str] = {
    algorithm: f"checksum_{algorithm.value.lower()}" for algorithm in ChecksumAlgorithm
}
"""The member of inputs and outputs that carries the checksum of an algorithm."""

CHECKSUM_MEMBERS = ("checksum_algorithm", *CHECKSUM_MEMBER.values())
"""Every member with which an input may announce a checksum, for `honours`."""

_BY_HEADER = {header: algorithm for algorithm, header in HEADER.items()}
_IN_HEADER = tuple((algorithm, member) for algorithm, member in CHECKSUM_MEMBER.items())


def parse_algorithm(name: str) -> ChecksumAlgorithm:
    """The algorithm of a name on the wire.

    Raises:
        InvalidRequest: we do not compute it.
    """
    try:
        return ChecksumAlgorithm(name.upper())
    except ValueError:
        raise InvalidRequest(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
            f"[{', '.join(algorithm.value for algorithm in ChecksumAlgorithm)}]"
        ) from None


@value_class
class Announcement:
    """The checksum to compute over a body, and where its expected value is: in `expected` when it came in a header, in
    the trailer of that name when it comes behind the body; nowhere when the client sends none."""

    algorithm: ChecksumAlgorithm
    expected: bytes | None = None
    trailer: str | None = None

    @property
    def binding(self) -> bool:
        """Whether the client said what the checksum is to be."""
        return self.expected is not None or self.trailer is not None

    def verify(self, digests: Mapping[ChecksumAlgorithm, bytes], trailers: Mapping[str, str]) -> None:
        """Refuse a body that is not what the client announced.

        Args:
            digests: what was computed.
            trailers: what came behind the body.

        Raises:
            BadDigest: it is another one, or the trailer is no checksum of that algorithm.
            MalformedTrailer: the announced trailer did not come.
        """
        expected = self.expected
        if self.trailer is not None:
            sent = trailers.get(self.trailer)
            if sent is None:
                raise MalformedTrailer()
            expected = decode(self.algorithm, sent)
        if expected is not None and expected != digests[self.algorithm]:
            raise BadDigest(f"The {self.algorithm.value} you specified did not match the calculated checksum.")


_NOTHING_ANNOUNCED = Announcement(DEFAULT_ALGORITHM)


def announced(
    input: Any, trailer_names: Iterable[str] = (), *, default: ChecksumAlgorithm = DEFAULT_ALGORITHM
) -> Announcement:
    """What a client announces about the checksum of the body it sends.

    Args:
        input: an input with CHECKSUM_MEMBERS.
        trailer_names: lower-case names of the announced trailers.
        default: what to compute when the client announces nothing.

    Raises:
        InvalidRequest: more than one, or not the one x-amz-sdk-checksum-algorithm names.
        BadDigest: a header that is no checksum of its algorithm.
    """
    found: Announcement | None = None
    for algorithm, member in _IN_HEADER:
        value = getattr(input, member)
        if value is not None:
            if found is not None:
                raise _more_than_one()
            found = Announcement(algorithm, expected=decode(algorithm, value))
    for name in trailer_names:
        algorithm_of_trailer = _BY_HEADER.get(name)
        if algorithm_of_trailer is not None:
            if found is not None:
                raise _more_than_one()
            found = Announcement(algorithm_of_trailer, trailer=name)
        elif name.startswith("x-amz-checksum-"):
            parse_algorithm(name.removeprefix("x-amz-checksum-"))
    named = input.checksum_algorithm
    if named:
        _check_agreement(parse_algorithm(named), found)
    if found is not None:
        return found
    return _NOTHING_ANNOUNCED if default is DEFAULT_ALGORITHM else Announcement(default)


def _check_agreement(named: ChecksumAlgorithm, found: Announcement | None) -> None:
    """What x-amz-sdk-checksum-algorithm names has to come, and nothing else."""
    if found is None:
        raise InvalidRequest(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers "
            "were found."
        )
    if found.algorithm is not named:
        raise InvalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")


def _more_than_one() -> InvalidRequest:
    return InvalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")


def parse_content_md5(value: str | None) -> bytes | None:
    """The 16 bytes that a Content-MD5 header stands for, None when there is none.

    Raises:
        InvalidDigest: it is not base64 of 16 bytes.
    """
    if value is None:
        return None
    try:
        md5 = b64decode(value, validate=True)
    except ValueError:
        md5 = b""
    if len(md5) != 16:
        raise InvalidDigest(content_md5=value)
    return md5


def verify_md5(expected: bytes | None, md5: bytes) -> None:
    """Compare Content-MD5 with the body's. Raises BadDigest when they differ."""
    if expected is not None and expected != md5:
        raise BadDigest(expected_digest=encode(expected), calculated_digest=encode(md5))


def verify_body(
    announcement: Announcement,
    content_md5: bytes | None,
    body: IRequestBody,
    md5: bytes,
    digests: Mapping[ChecksumAlgorithm, bytes],
) -> None:
    """Refuse a body that is not what the client announced. Bound to the first three it is the `verify` of `ingest`."""
    verify_md5(content_md5, md5)
    announcement.verify(digests, body.trailers)


def checksum_members(checksum: Checksum | None) -> dict[str, Any]:
    """How an output shows a checksum: its member, and `checksum_type`."""
    if checksum is None:
        return {}
    return {CHECKSUM_MEMBER[checksum.algorithm]: checksum.value, "checksum_type": checksum.type.value}


def part_checksum_members(checksum: Checksum | None) -> dict[str, Any]:
    """The checksum of a part as answers show it; only objects have a type of checksum."""
    return {} if checksum is None else {CHECKSUM_MEMBER[checksum.algorithm]: checksum.value}
