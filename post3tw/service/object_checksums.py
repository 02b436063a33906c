"""The additional checksums of S3: which one a client announced, whether it holds, and how answers show it.

A client may send one checksum, in a header or in the trailer of an aws-chunked body; x-amz-sdk-checksum-algorithm may
say which. Without any we compute CRC64NVME, as AWS does. Content-MD5 is separate and may come as well.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping

from attrs import frozen

from post3tw.model.checksum import Checksum, ChecksumAlgorithm
from post3tw.model.errors import BadDigest, InvalidDigest, InvalidRequest, MalformedTrailer

DEFAULT_ALGORITHM = ChecksumAlgorithm.CRC64NVME

CHECKSUM_MEMBER: Mapping[ChecksumAlgorithm, str] = {
    algorithm: f"checksum_{algorithm.value.lower()}" for algorithm in ChecksumAlgorithm
}
"""The member of inputs and outputs that carries the checksum of an algorithm."""

CHECKSUM_MEMBERS = ("checksum_algorithm", *CHECKSUM_MEMBER.values())
"""Every member with which an input may announce a checksum, for `honours`."""

_DIGEST_SIZE: Mapping[ChecksumAlgorithm, int] = {
    ChecksumAlgorithm.CRC32: 4,
    ChecksumAlgorithm.CRC32C: 4,
    ChecksumAlgorithm.CRC64NVME: 8,
    ChecksumAlgorithm.SHA1: 20,
    ChecksumAlgorithm.SHA256: 32,
}
_HEADER = {algorithm: f"x-amz-checksum-{algorithm.value.lower()}" for algorithm in ChecksumAlgorithm}
_BY_HEADER = {header: algorithm for algorithm, header in _HEADER.items()}
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


@frozen
class Announcement:
    """The checksum to compute over a body, and where its expected value is: in `expected` (base64) when it came in a
    header, in the trailer of that name when it comes behind the body; nowhere when the client sends none."""

    algorithm: ChecksumAlgorithm
    expected: str | None = None
    trailer: str | None = None

    def verify(self, digests: Mapping[ChecksumAlgorithm, bytes], trailers: Mapping[str, str]) -> Checksum:
        """The checksum of the body, when it is what the client announced.

        Args:
            digests: what was computed.
            trailers: what came behind the body.

        Raises:
            BadDigest: it is another one.
            MalformedTrailer: the announced trailer did not come.
            InvalidRequest: the trailer is not base64 of as many bytes as the algorithm makes.
        """
        calculated = b64encode(digests[self.algorithm]).decode()
        expected = self.expected
        if self.trailer is not None:
            expected = trailers.get(self.trailer)
            if expected is None:
                raise MalformedTrailer()
            _check_form(self.algorithm, expected)
        if expected is not None and expected != calculated:
            raise BadDigest(f"The {self.algorithm.value} you specified did not match the calculated checksum.")
        return Checksum(self.algorithm, calculated)


_NOTHING_ANNOUNCED = Announcement(DEFAULT_ALGORITHM)


def announced(
    input: object, trailer_names: Iterable[str] = (), *, default: ChecksumAlgorithm = DEFAULT_ALGORITHM
) -> Announcement:
    """What a client announces about the checksum of the body it sends.

    Args:
        input: an input with CHECKSUM_MEMBERS.
        trailer_names: lower-case names of the announced trailers.
        default: what to compute when the client announces nothing.

    Raises:
        InvalidRequest: more than one, malformed, or not the one x-amz-sdk-checksum-algorithm names.
    """
    found: Announcement | None = None
    for algorithm, member in _IN_HEADER:
        value = getattr(input, member)
        if value is not None:
            if found is not None:
                raise _more_than_one()
            _check_form(algorithm, value)
            found = Announcement(algorithm, expected=value)
    for name in trailer_names:
        algorithm_of_trailer = _BY_HEADER.get(name)
        if algorithm_of_trailer is not None:
            if found is not None:
                raise _more_than_one()
            found = Announcement(algorithm_of_trailer, trailer=name)
        elif name.startswith("x-amz-checksum-"):
            parse_algorithm(name.removeprefix("x-amz-checksum-"))
    named: str | None = input.checksum_algorithm  # type: ignore[attr-defined]
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


def _check_form(algorithm: ChecksumAlgorithm, value: str) -> None:
    if _decoded_size(value) != _DIGEST_SIZE[algorithm]:
        raise InvalidRequest(f"Value for {_HEADER[algorithm]} header is invalid.")


def _decoded_size(value: str) -> int:
    """Of how many bytes this is the base64; -1 when it is none."""
    try:
        return len(b64decode(value, validate=True))
    except (Base64Error, ValueError):
        return -1


def parse_content_md5(value: str | None) -> bytes | None:
    """The 16 bytes that a Content-MD5 header stands for, None when there is none.

    Raises:
        InvalidDigest: it is not base64 of 16 bytes.
    """
    if value is None:
        return None
    if _decoded_size(value) != 16:
        raise InvalidDigest(content_md5=value)
    return b64decode(value)


def verify_md5(expected: bytes | None, md5: bytes) -> None:
    """Compare Content-MD5 with the body's. Raises BadDigest when they differ."""
    if expected is not None and expected != md5:
        raise BadDigest(expected_digest=b64encode(expected).decode(), calculated_digest=b64encode(md5).decode())


def checksum_members(checksum: Checksum | None) -> dict[str, str]:
    """How an output shows a checksum: its member, and `checksum_type`."""
    if checksum is None:
        return {}
    return {CHECKSUM_MEMBER[checksum.algorithm]: checksum.value, "checksum_type": checksum.type.value}
