"""The checksum of an upload in parts: which algorithm, and how the object's follows from the parts'.

A composite checksum is over the checksums of the parts and says of how many; one of the full object is computed from
those of the parts, which only CRCs allow.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence

from post3tw.model.checksum import Checksum, ChecksumAlgorithm, ChecksumType
from post3tw.model.errors import InvalidRequest
from post3tw.model.version import Part, Upload
from post3tw.service.object_checksums import DEFAULT_ALGORITHM, parse_algorithm
from post3tw.wire.checksums import combine, composite, encode

_TYPES = {
    ChecksumAlgorithm.CRC32: (ChecksumType.COMPOSITE, ChecksumType.FULL_OBJECT),
    ChecksumAlgorithm.CRC32C: (ChecksumType.COMPOSITE, ChecksumType.FULL_OBJECT),
    ChecksumAlgorithm.CRC64NVME: (ChecksumType.FULL_OBJECT,),
    ChecksumAlgorithm.SHA1: (ChecksumType.COMPOSITE,),
    ChecksumAlgorithm.SHA256: (ChecksumType.COMPOSITE,),
}
"""The types that an algorithm allows, the first of them when none was asked for."""


def chosen_checksum(algorithm: str | None, checksum_type: str | None) -> tuple[str | None, str | None]:
    """Algorithm and type that an upload is created with; neither when the client asks for none.

    Raises:
        InvalidRequest: unknown, or not together.
    """
    if not algorithm:
        if checksum_type:
            raise InvalidRequest(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            )
        return None, None
    chosen = parse_algorithm(algorithm)
    if not checksum_type:
        return chosen.value, _TYPES[chosen][0].value
    try:
        wanted = ChecksumType(checksum_type)
    except ValueError:
        raise InvalidRequest("Value for x-amz-checksum-type header is invalid.") from None
    if wanted not in _TYPES[chosen]:
        raise InvalidRequest(
            f"The {wanted.value} checksum type cannot be used with the {chosen.value.lower()} checksum algorithm."
        )
    return chosen.value, wanted.value


def algorithm_of(upload: Upload) -> ChecksumAlgorithm:
    """The algorithm that each part of an upload needs."""
    return DEFAULT_ALGORITHM if upload.checksum_algorithm is None else ChecksumAlgorithm(upload.checksum_algorithm)


def type_of(upload: Upload) -> ChecksumType:
    """The type of checksum that the object will have."""
    return ChecksumType.FULL_OBJECT if upload.checksum_type is None else ChecksumType(upload.checksum_type)


def require_same_algorithm(upload: Upload, algorithm: ChecksumAlgorithm) -> None:
    """A part comes with the algorithm that its upload was created with. One created without takes any.

    Raises:
        InvalidRequest: it does not.
    """
    if upload.checksum_algorithm is not None and upload.checksum_algorithm != algorithm.value:
        raise type_mismatch(upload.checksum_algorithm, algorithm.value)


def type_mismatch(expected: str, actual: str) -> InvalidRequest:
    """What S3 answers to a checksum of an algorithm that the upload does not have."""
    return InvalidRequest(
        f"Checksum Type mismatch occurred, expected checksum Type: {expected.lower()}, actual checksum Type: "
        f"{actual.lower()}"
    )


def full_checksum(algorithm: ChecksumAlgorithm, digest: bytes) -> Checksum:
    """A digest over all bytes of something, as it is stored."""
    return Checksum(algorithm, encode(digest))


def object_checksum(upload: Upload, parts: Sequence[Part]) -> Checksum | None:
    """The checksum of the object that these parts make; None when one of them has none of the upload's algorithm."""
    algorithm = algorithm_of(upload)
    digests = [
        b64decode(part.checksum.value)
        for part in parts
        if part.checksum is not None and part.checksum.algorithm is algorithm
    ]
    if len(digests) != len(parts):
        return None
    if type_of(upload) is ChecksumType.FULL_OBJECT:
        sizes = [part.size for part in parts]
        return full_checksum(algorithm, combine(algorithm, zip(digests, sizes, strict=True)))
    return Checksum(algorithm, f"{encode(composite(algorithm, digests))}-{len(parts)}", ChecksumType.COMPOSITE)
