"""What S3 promises about objects, as dictionaries: the model that servers are compared with.

Nothing here knows how a server works. A bucket is a dictionary of keys, a key a list of versions, the newest first, an
upload a dictionary of parts. Methods change it as S3's documentation says, or raise `Refused`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import md5
from typing import Any

from attrs import define, evolve, field, frozen

NULL = "null"
PART = 5 << 20
"""Bytes that every part but the last must have."""


@frozen
class Refused(Exception):
    """The status and code that a call is refused with, and headers that must come along."""

    status: int
    code: str
    headers: Mapping[str, str] = field(factory=dict)


@frozen
class Lock:
    """A version's retention and legal hold. `until` is text as S3 shows it, which sorts like time."""

    mode: str | None = None
    until: str | None = None
    hold: bool | None = None

    def protects(self, bypass: bool) -> bool:
        """Whether the version must stay. All dates of the model are far in the future."""
        return bool(self.hold) or self.retains(bypass)

    def retains(self, bypass: bool) -> bool:
        """Whether retention forbids it."""
        return self.mode is not None and not (bypass and self.mode == "GOVERNANCE")


@frozen
class Described:
    """What is said about an object."""

    content_type: str = "binary/octet-stream"
    metadata: tuple[tuple[str, str], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    public: bool = False
    lock: Lock = Lock()


@frozen
class Version:
    """A version, or a delete marker."""

    id: str
    data: bytes = field(default=b"", repr=False)
    etag: str = ""
    marker: bool = False
    described: Described = Described()


@define
class Upload:
    """An upload that is not complete."""

    key: str
    described: Described
    parts: dict[int, tuple[str, bytes]] = field(factory=dict)


@define
class Bucket:
    """A bucket."""

    lock: bool = False
    versioning: str = ""
    keys: dict[str, list[Version]] = field(factory=dict)
    uploads: dict[str, Upload] = field(factory=dict)

    def sorted_keys(self) -> list[str]:
        """In the order of listings."""
        return sorted(self.keys, key=str.encode)

    def latest(self, key: str) -> Version | None:
        """The current object; None when there is none."""
        versions = self.keys.get(key)
        return None if not versions or versions[0].marker else versions[0]

    def shown_id(self, version: Version) -> str | None:
        """The version id that answers about an object carry."""
        return version.id if self.versioning else None

    # -- reading

    def find(self, key: str, version_id: str | None) -> Version:
        """A version that is an object.

        Raises:
            Refused: 404, or 405 for a delete marker that is named.
        """
        versions = self.keys.get(key, [])
        if version_id is None:
            if not versions:
                raise Refused(404, "NoSuchKey")
            if versions[0].marker:
                shown = {"x-amz-delete-marker": "true", "x-amz-version-id": versions[0].id}
                raise Refused(404, "NoSuchKey", shown)
            return versions[0]
        for version in versions:
            if version.id == version_id:
                if version.marker:
                    raise Refused(405, "MethodNotAllowed", {"x-amz-delete-marker": "true"})
                return version
        raise Refused(404, "NoSuchVersion")

    # -- writing

    def check(self, key: str, if_match: str | None, if_none_match: bool) -> None:
        """The conditions of a write."""
        latest = self.latest(key)
        if if_match is not None and latest is None:
            raise Refused(404, "NoSuchKey")
        if if_match is not None and latest is not None and if_match not in ("*", latest.etag):
            raise Refused(412, "PreconditionFailed")
        if if_none_match and latest is not None:
            raise Refused(412, "PreconditionFailed")

    def add(self, key: str, version: Version) -> None:
        """Make a version the latest; a null version takes the place of the one there was."""
        versions = self.keys.setdefault(key, [])
        if version.id == NULL:
            versions[:] = [each for each in versions if each.id != NULL]
        versions.insert(0, version)

    def replace(self, key: str, version: Version) -> None:
        """Another description of a version that is there."""
        versions = self.keys[key]
        versions[[each.id for each in versions].index(version.id)] = version

    def describe(self, key: str, version: Version, **changes: Any) -> None:
        """Change what is said about a version."""
        self.replace(key, evolve(version, described=evolve(version.described, **changes)))

    def remove(self, key: str, version_id: str, bypass: bool) -> bool | None:
        """Remove a version: whether it was a delete marker, None when there was none.

        Raises:
            Refused: it is locked.
        """
        for version in self.keys.get(key, []):
            if version.id == version_id:
                if version.described.lock.protects(bypass):
                    raise Refused(403, "AccessDenied")
                self.keys[key].remove(version)
                if not self.keys[key]:
                    del self.keys[key]
                return version.marker
        return None

    # -- uploads

    def upload(self, upload_id: str, key: str) -> Upload:
        """An upload of a key."""
        found = self.uploads.get(upload_id)
        if found is None or found.key != key:
            raise Refused(404, "NoSuchUpload")
        return found

    def assembled(self, upload: Upload, wanted: list[tuple[int, str]]) -> tuple[bytes, str]:
        """The bytes and the ETag of parts in the order in which they are wanted."""
        if [number for number, _ in wanted] != sorted({number for number, _ in wanted}):
            raise Refused(400, "InvalidPartOrder")
        data, digests = b"", b""
        for number, etag in wanted:
            part = upload.parts.get(number)
            if part is None or part[0] != etag:
                raise Refused(400, "InvalidPart")
        for number, etag in wanted:
            part = upload.parts[number]
            if number != wanted[-1][0] and len(part[1]) < PART:
                raise Refused(400, "EntityTooSmall")
            data += part[1]
            digests += bytes.fromhex(etag)
        return data, f"{md5(digests).hexdigest()}-{len(wanted)}"

    # -- listing

    def entries(self, prefix: str, delimiter: str, after: str = "") -> Iterator[tuple[str, str | None]]:
        """Current keys behind `after` and what they have in common, in order: (key, None), or ("", prefix)."""
        keys = [key for key in self.sorted_keys() if self.latest(key) and key.encode() > after.encode()]
        return (entry for entry in _grouped(keys, prefix, delimiter) if entry[1] is None or entry[1] != after)

    def all_entries(self, prefix: str, delimiter: str) -> Iterator[tuple[str, str | None]]:
        """The same of keys with any versions."""
        return _grouped(self.sorted_keys(), prefix, delimiter)


def _grouped(keys: list[str], prefix: str, delimiter: str) -> Iterator[tuple[str, str | None]]:
    last = None
    for key in keys:
        if not key.startswith(prefix):
            continue
        rest = key[len(prefix) :]
        if delimiter and delimiter in rest:
            common = prefix + rest[: rest.index(delimiter) + len(delimiter)]
            if common != last:
                last = common
                yield "", common
        else:
            yield key, None


def etag_of(data: bytes) -> str:
    """The ETag of an object written in one piece."""
    return md5(data).hexdigest()
