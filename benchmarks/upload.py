"""An upload in parts, from its id to the object: 1 GiB in parts of 8 MiB, as boto3 makes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Self
from urllib.parse import quote

from attrs import frozen

from benchmarks.exchange import Request
from benchmarks.scene import MIB, Scene
from benchmarks.signing import Account

PART = 8 * MIB
PARTS = 128

_upload_id = re.compile(rb"<UploadId>([^<]+)</UploadId>").search


def upload_id(answer: bytes) -> str:
    """The id in an answer to CreateMultipartUpload, as it goes into a query.

    Raises:
        ValueError: there is none.
    """
    found = _upload_id(answer)
    if found is None:
        raise ValueError(f"no upload id: {answer[:300].decode(errors='replace')}")
    return quote(found[1].decode(), safe="")


def complete(account: Account, path: str, name: str, etags: Mapping[int, str]) -> Request:
    """The request that makes an object of parts with these ETags, by number."""
    part = "<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>"
    parts = "".join(part.format(number, etag) for number, etag in sorted(etags.items()))
    document = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
    return account.sending(b"POST", f"{path}?uploadId={name}".encode(), document)


@frozen
class Upload:
    """An upload of a cell, which has begun."""

    scene: Scene
    path: str
    id: str

    @classmethod
    def begin(cls, scene: Scene) -> Self:
        """Ask for an id."""
        path = scene.written(1)
        return cls(scene, path, upload_id(scene.answer(scene.account.request(b"POST", f"{path}?uploads=".encode()))))

    def parts(self) -> list[Request]:
        """All parts, in order."""
        path = f"{self.path}?partNumber=%d&uploadId={self.id}"
        return [self.scene.put(path % number, PART) for number in range(1, PARTS + 1)]

    def complete(self, etags: Mapping[int, str]) -> None:
        """Make the object.

        Raises:
            ValueError: the server refuses, or the object is not as long as its parts.
        """
        answer = self.scene.answer(complete(self.scene.account, self.path, self.id, etags))
        if b"<CompleteMultipartUploadResult" not in answer:
            raise ValueError(answer[:300].decode(errors="replace"))
        last = [(b"range", b"bytes=%d-" % (PART * PARTS - 1))]
        if len(self.scene.answer(self.scene.account.request(b"GET", self.path.encode(), last))) != 1:
            raise ValueError("the object is not as long as its parts")
