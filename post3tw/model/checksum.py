"""The additional checksums of S3: which there are, and one as it is stored with a version or a part."""

from __future__ import annotations

from enum import Enum

from post3tw.model.values import value_class


class ChecksumAlgorithm(str, Enum):
    """Algorithms we verify and store; the value is the name on the wire."""

    CRC32 = "CRC32"
    CRC32C = "CRC32C"
    CRC64NVME = "CRC64NVME"
    SHA1 = "SHA1"
    SHA256 = "SHA256"


class ChecksumType(str, Enum):
    """Over the whole object, or over the checksums of its parts (then the value ends in -N)."""

    FULL_OBJECT = "FULL_OBJECT"
    COMPOSITE = "COMPOSITE"


@value_class
class Checksum:
    """`value` is base64 as clients see it, with `-N` appended for a composite one."""

    algorithm: ChecksumAlgorithm
    value: str
    type: ChecksumType = ChecksumType.FULL_OBJECT
