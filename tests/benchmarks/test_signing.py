from __future__ import annotations

import contextlib
import io
from email import message_from_bytes
from typing import Any

import boto3
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.exchange import Endpoint, Request
from benchmarks.signing import Account, framed
from post3tw.wire.signer import Signer

OF_THE_SDK = {"user-agent", "amz-sdk-invocation-id", "amz-sdk-request"}
"""Headers that say who sends, and how often it has tried."""


class Taken(Exception):
    """Ends a request of boto3 when it would be sent."""


def sent_by_boto3(url: str, body: bytes) -> tuple[dict[str, str], bytes]:
    """Headers and body of what boto3 sends for a PutObject."""
    client = boto3.client(
        "s3", endpoint_url=url, aws_access_key_id="k", aws_secret_access_key="s", region_name="us-east-1"
    )
    requests: list[Any] = []

    def take(request: Any, **_: Any) -> None:
        requests.append(request)
        raise Taken

    client.meta.events.register("before-send.s3", take)
    with contextlib.suppress(Taken):
        client.put_object(Bucket="b", Key="k", Body=body)
    (request,) = requests
    headers = {}
    for name, value in request.headers.items():
        headers[name.lower()] = value.decode() if isinstance(value, bytes) else value
    return headers, request.body.read()


def headers_of(request: Request) -> dict[str, str]:
    """Those of a prepared one, names in lower case."""
    lines = message_from_bytes(request.head.partition(b"\r\n")[2])
    return {name.lower(): value for name, value in lines.items()}


def unchunked(body: bytes) -> bytes:
    """Without HTTP's own chunks."""
    stream, content = io.BytesIO(body), b""
    while size := int(stream.readline(), 16):
        content += stream.read(size)
        stream.readline()
    return content


class StyleTests(SynchronousTestCase):
    """What cells send as boto3."""

    def compare(self, url: str, body: bytes, varying: set[str]) -> tuple[bytes, bytes]:
        """Compare headers but for those that depend on the time; the bodies."""
        account = Account(Endpoint.parse(url), Signer("k", "s"))
        request = account.sending(b"PUT", b"/b/k", body, "boto3")
        ours, (theirs, content) = headers_of(request), sent_by_boto3(url, body)
        self.assertEqual(set(ours), set(theirs) - OF_THE_SDK)
        for name in set(ours) - {"authorization", "x-amz-date"} - varying:
            self.assertEqual(ours[name], theirs[name], name)
        names = [headers["authorization"].split(", ")[1] for headers in (ours, theirs)]
        self.assertEqual(names[0], names[1])
        self.assertTrue(request.waits)
        return request.body, content

    def test_http(self) -> None:
        """Over http they are boto3's to the header: signed body, CRC32, Expect."""
        ours, theirs = self.compare("http://127.0.0.1:9000", b"x" * 4096, set())
        self.assertEqual(ours, theirs)

    def test_https(self) -> None:
        """Over https they are boto3's to the byte: an unsigned body in aws-chunked with a trailer."""
        body = bytes(range(256)) * 4096 * 3
        ours, theirs = self.compare("https://127.0.0.1:9000", body, set())
        self.assertEqual(unchunked(ours), theirs)

    def test_empty(self) -> None:
        """An empty body has its last chunk and its trailer."""
        self.assertEqual(unchunked(framed(b"")), b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n")

    def test_endpoints(self) -> None:
        """An endpoint is a scheme, a host and a port, and nothing else."""
        self.assertEqual(Endpoint.parse("http://localhost:81"), Endpoint("localhost", 81))
        self.assertEqual(Endpoint.parse("https://example.com/").authority, b"example.com")
        for bad in ("localhost:9000", "ftp://x", "http://x/path"):
            with self.assertRaises(ValueError):
                Endpoint.parse(bad)
