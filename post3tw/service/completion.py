"""What CompleteMultipartUpload asks for, and whether the parts of the upload are that.

Pure: `requested_completion` reads the request, `assemble` decides inside the index transaction, where the parts are
read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from attrs import evolve, frozen

from post3tw.api import types
from post3tw.model.checksum import Checksum, ChecksumAlgorithm, ChecksumType
from post3tw.model.errors import (
    BadDigest,
    EntityTooSmall,
    InvalidPart,
    InvalidPartOrder,
    InvalidRequest,
    MalformedXML,
    NotImplementedHere,
)
from post3tw.model.values import value_class
from post3tw.model.version import Part, Upload, new_object
from post3tw.service.object_checksums import CHECKSUM_MEMBER
from post3tw.service.part_numbers import MAX_PART_NUMBER
from post3tw.service.upload_checksums import algorithm_of, object_checksum, type_mismatch, type_of
from post3tw.storage.index.transactions.multipart import Assembly

MIN_PART = 5 * 1024 * 1024
"""Bytes that every part but the last must have."""

EXPECTATIONS = ("checksum_type", "mpu_object_size", *CHECKSUM_MEMBER.values())
"""The members with which a client says what object it expects, for `honours`."""

_UNSUPPORTED = ("checksum_sha512", "checksum_md5", "checksum_xxhash64", "checksum_xxhash3", "checksum_xxhash128")
"""Members of a listed part that we do not compute."""


@value_class
class ListedPart:
    """A part as the client lists it; `etag` without quotes, `checksums` (algorithm and value) if it sends any."""

    number: int
    etag: str
    checksums: tuple[tuple[ChecksumAlgorithm, str], ...]


@frozen
class Completion:
    """What the client wants to be made.

    Attributes:
        parts: the parts, as it lists them.
        etag: the ETag that an object of these parts has.
        checksums: what it expects the object's checksum to be.
        checksum_type: what it expects the type of that to be.
        size: how many bytes it expects the object to have.
    """

    parts: Sequence[ListedPart]
    etag: str
    checksums: tuple[tuple[ChecksumAlgorithm, str], ...] = ()
    checksum_type: str | None = None
    size: int | None = None


def requested_completion(input: types.CompleteMultipartUploadInput) -> Completion:
    """Read a request.

    Raises:
        MalformedXML: no list of parts, or entries without number or ETag, or too many.
        NotImplementedHere: a checksum of a kind that we do not compute.
    """
    listed = input.multipart_upload.parts if input.multipart_upload is not None else None
    if not listed or len(listed) > MAX_PART_NUMBER:
        raise MalformedXML()
    parts: list[ListedPart] = []
    for part in map(_listed_part, listed):
        if parts and parts[-1].number == part.number:
            parts.pop()  # sent again, and both are listed: the last one counts
        parts.append(part)
    return Completion(
        parts,
        multipart_etag(part.etag for part in parts),
        _checksums(input),
        input.checksum_type,
        input.mpu_object_size,
    )


def _listed_part(part: types.CompletedPart) -> ListedPart:
    if part.part_number is None or part.etag is None:
        raise MalformedXML()
    for member in _UNSUPPORTED:
        if getattr(part, member) is not None:
            raise NotImplementedHere(f"CompleteMultipartUpload does not support {member} yet.", member=member)
    return ListedPart(part.part_number, part.etag.strip('"'), _checksums(part))


def _checksums(
    source: types.CompletedPart | types.CompleteMultipartUploadInput,
) -> tuple[tuple[ChecksumAlgorithm, str], ...]:
    values = ((algorithm, getattr(source, member)) for algorithm, member in CHECKSUM_MEMBER.items())
    return tuple((algorithm, value) for algorithm, value in values if value is not None)


def multipart_etag(etags: Iterable[str]) -> str:
    """The ETag of an object made of parts: the MD5 of their MD5s, and how many they are. Empty when one is no MD5."""
    count, md5 = 0, hashlib.md5(usedforsecurity=False)
    for etag in etags:
        try:
            md5.update(bytes.fromhex(etag))
        except ValueError:
            return ""
        count += 1
    return f"{md5.hexdigest()}-{count}"


def assemble(completion: Completion, upload: Upload, parts: Sequence[Part]) -> Assembly:
    """What an upload with these parts becomes when it is completed so.

    Raises:
        InvalidPartOrder, InvalidPart, EntityTooSmall, InvalidRequest, BadDigest.
    """
    kept = _kept_parts(completion, upload, parts)
    size = sum(part.size for part in kept)
    checksum = object_checksum(upload, kept)
    _check_expectations(completion, upload, size, checksum)
    version = new_object(
        id=upload.id,
        created=upload.created,  # as on AWS, the time of initiation
        size=size,
        etag=completion.etag,
        owner=upload.owner,
        description=upload.description,
        checksum=checksum,
        part_count=len(kept),
    )
    return Assembly(version, kept)


def _kept_parts(completion: Completion, upload: Upload, parts: Sequence[Part]) -> list[Part]:
    """The listed parts, each where it begins in the object."""
    by_number = {part.number: part for part in parts}
    kept: list[Part] = []
    offset = 0
    for listed in completion.parts:
        if kept and listed.number <= kept[-1].number:
            raise InvalidPartOrder(upload_id=upload.id.hex())
        part = by_number.get(listed.number)
        if part is None or part.etag != listed.etag or not _checksums_agree(upload, listed, part):
            raise InvalidPart(upload_id=upload.id.hex(), part_number=listed.number, etag=listed.etag)
        kept.append(evolve(part, offset=offset))
        offset += part.size
    for part in kept[:-1]:
        if part.size < MIN_PART:
            raise EntityTooSmall(
                proposed_size=part.size, min_size_allowed=MIN_PART, part_number=part.number, etag=part.etag
            )
    return kept


def _checksums_agree(upload: Upload, listed: ListedPart, part: Part) -> bool:
    for algorithm, value in listed.checksums:
        if algorithm is not algorithm_of(upload):
            raise type_mismatch(upload.checksum_algorithm or "null", algorithm.value)
        if part.checksum is None or part.checksum.value != value:
            return False
    return True


def _check_expectations(completion: Completion, upload: Upload, size: int, checksum: Checksum | None) -> None:
    if completion.size is not None and completion.size != size:
        raise InvalidRequest(
            f"The provided 'x-amz-mp-object-size' header value {completion.size} does not match what was computed: "
            f"{size}"
        )
    if completion.checksum_type is not None and completion.checksum_type != type_of(upload).value:
        raise InvalidRequest(
            f"The upload was created using the {type_of(upload).value} checksum mode. The complete request must use "
            "the same checksum mode."
        )
    for algorithm, value in completion.checksums:
        if algorithm is not algorithm_of(upload):
            raise type_mismatch(upload.checksum_algorithm or "null", algorithm.value)
        if checksum is None or not _same_value(checksum, value):
            raise BadDigest(f"The {algorithm.value} you specified did not match the calculated checksum.")


def _same_value(checksum: Checksum, value: str) -> bool:
    """Clients may leave out how many parts a composite checksum is over."""
    if checksum.type is ChecksumType.COMPOSITE and "-" not in value:
        return checksum.value.rpartition("-")[0] == value
    return checksum.value == value
