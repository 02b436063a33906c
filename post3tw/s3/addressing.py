"""Which bucket and key a request is about.

Both come from the raw target and the Host header, never from a path that somebody split, unquoted or cleaned before:
keys are opaque, and `..`, `//` and `%2F` in them mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from post3tw.model.errors import InvalidURI
from post3tw.model.values import value_class
from post3tw.s3.exchange import RequestHead
from post3tw.wire.uri import decode_path, parse_query, split_target


@value_class
class Address:
    """What a request target says.

    Attributes:
        bucket: as the client named it, None for the service itself. `tenant:bucket` stays as it is.
        key: None for a bucket or the service.
        path: raw, as it is signed.
        query: raw, without the question mark, as it is signed.
        parameters: of the query, decoded, in their order, repeated ones too.
        arguments: the same by name; of repeated ones the first.
        hosted: whether the host names the bucket, so that the path does not.
    """

    bucket: str | None
    key: str | None
    path: bytes
    query: bytes
    parameters: list[tuple[str, str]]
    arguments: dict[str, str]
    hosted: bool = False

    @property
    def level(self) -> int:
        """0 for the service, 1 for a bucket, 2 for an object."""
        return 0 if self.bucket is None else 1 if self.key is None else 2


_NO_PARAMETERS: list[tuple[str, str]] = []


class Addressing:
    """Path style for everybody, virtual-hosted style below the domains given.

    Args:
        domains: such as "s3.example.com" or "localhost:9000"; case and port do not matter. A Host of `bucket.domain`
            names a bucket; the bucket's name may have dots.
    """

    def __init__(self, domains: Iterable[str]) -> None:
        names = sorted({_host_name(domain) for domain in domains}, key=len, reverse=True)
        self._suffixes = tuple("." + name for name in names)

    def bucket_of_host(self, host: str) -> str | None:
        """The bucket that a Host header names, None when it names none of the domains, or one alone."""
        if self._suffixes:
            name = _host_name(host)
            for suffix in self._suffixes:
                if name == suffix[1:]:
                    return None
                if name.endswith(suffix) and len(name) > len(suffix):
                    return name[: -len(suffix)]
        return None

    def locate(self, head: RequestHead) -> Address:
        """Read a request's address.

        Raises:
            InvalidURI: a bad target, a bad escape, or bytes that are not UTF-8.
        """
        path, query = split_target(head.target)
        parameters = parse_query(query) if query else _NO_PARAMETERS
        arguments = dict(reversed(parameters)) if parameters else {}
        bucket = self.bucket_of_host(head.headers.get("host", ""))
        hosted = bucket is not None
        if hosted:
            key = path[1:]
        else:
            name, _, key = path[1:].partition(b"/")
            if not name:
                if path != b"/":
                    raise InvalidURI(uri=head.target.decode("ascii", "backslashreplace"))
                return Address(None, None, path, query, parameters, arguments)
            bucket = decode_path(name)
        return Address(bucket, _key(key) if key else None, path, query, parameters, arguments, hosted)


_C1_CONTROLS = re.compile("[\x80-\x9f]")


def _key(path: bytes) -> str:
    """The key in a path. The control characters U+0080 to U+009F are refused, as AWS does: what looks like them is text
    in another encoding."""
    key = decode_path(path)
    if not key.isascii() and _C1_CONTROLS.search(key) is not None:
        raise InvalidURI(uri=path.decode("ascii", "backslashreplace"))
    return key


def _host_name(host: str) -> str:
    """A host in lower case without its port; `[::1]:9000` keeps its brackets."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
