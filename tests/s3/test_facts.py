"""What the protocol tells policies about a request."""

from __future__ import annotations

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from post3tw.s3.exchange import RequestHead
from post3tw.s3.facts import request_facts
from post3tw.s3.proxies import TrustedProxies

NOW = 1_369_353_600_000  # 20130524T000000Z


def facts(target: bytes = b"/bucket/key", signed: bool = True, **headers: str) -> dict[str, str]:
    """Those of a request with these headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    head = RequestHead("GET", target, "HTTP/1.1", [], named)
    return dict(request_facts(head, signed, lambda: NOW + 60_000, TrustedProxies()))


class FactsTests(SynchronousTestCase):
    """request_facts."""

    def test_headers(self) -> None:
        """Two headers are facts, and no others: what is called like a condition key is not one (AUZ-11)."""
        found = facts(
            signed=False,
            referer="http://example.com/",
            user_agent="curl",
            userid="root",
            aws_userid="root",
            x_forwarded_for="10.0.0.1",
        )
        self.assertEqual(found, {"aws:referer": "http://example.com/", "aws:useragent": "curl"})

    def test_tls_version(self) -> None:
        """The version of TLS is known of our own connections, not of those to a proxy."""
        head = RequestHead("GET", b"/", "HTTP/1.1", [], {}, peer="10.0.0.1", secure=True, tls_version="1.3")
        for networks, expected in (((), {"s3:tlsversion": "1.3"}), ((ip_network("10.0.0.0/8"),), {})):
            self.assertEqual(request_facts(head, False, lambda: NOW, TrustedProxies(networks)), expected)

    def test_signed_by_header(self) -> None:
        """A request that is signed in its header, by either version."""
        found = facts(authorization="AWS4-HMAC-SHA256 Credential=…", x_amz_content_sha256="UNSIGNED-PAYLOAD")
        self.assertEqual(
            found,
            {
                "s3:authtype": "REST-HEADER",
                "s3:signatureversion": "AWS4-HMAC-SHA256",
                "s3:x-amz-content-sha256": "UNSIGNED-PAYLOAD",
            },
        )
        self.assertEqual(facts(authorization="AWS AKIA:…")["s3:signatureversion"], "AWS")

    def test_presigned(self) -> None:
        """A presigned request has an age, in milliseconds."""
        found = facts(b"/bucket/key?X-Amz-Signature=0&X-Amz-Date=20130524T000000Z&X-Amz-Content-Sha256=x")
        self.assertEqual(
            found,
            {
                "s3:authtype": "REST-QUERY-STRING",
                "s3:signatureversion": "AWS4-HMAC-SHA256",
                "s3:signatureage": "60000",
                "s3:x-amz-content-sha256": "x",
            },
        )
        old = facts(b"/bucket/key?Signature=0&AWSAccessKeyId=AKIA&Expires=1")
        self.assertEqual(
            old,
            {
                "s3:authtype": "REST-QUERY-STRING",
                "s3:signatureversion": "AWS",
                "s3:signatureage": "0",
                "s3:x-amz-content-sha256": "UNSIGNED-PAYLOAD",
            },
        )

    def test_the_body_of_a_presigned_request(self) -> None:
        """It is unsigned unless the request says otherwise, and of what comes twice the first is believed, as where the
        signature is checked."""
        query = b"/bucket/key?X-Amz-Signature=0"
        self.assertEqual(facts(query)["s3:x-amz-content-sha256"], "UNSIGNED-PAYLOAD")
        twice = query + b"&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&X-Amz-Content-Sha256=" + b"0" * 64
        self.assertEqual(facts(twice)["s3:x-amz-content-sha256"], "UNSIGNED-PAYLOAD")
        self.assertNotIn("s3:x-amz-content-sha256", facts(b"/bucket/key", signed=False))

    def test_an_empty_header(self) -> None:
        """An empty Authorization header, which counts for none, does not hide that a request is presigned."""
        found = facts(b"/bucket/key?X-Amz-Signature=0&X-Amz-Date=20130524T000000Z", authorization="")
        self.assertEqual((found["s3:authtype"], found["s3:signatureage"]), ("REST-QUERY-STRING", "60000"))

    def test_form(self) -> None:
        """What is signed by neither is a form."""
        self.assertEqual(facts()["s3:authtype"], "POST")

    def test_not_signed(self) -> None:
        """An anonymous request has no kind of signature, whatever it carries."""
        self.assertNotIn("s3:authtype", facts(b"/?X-Amz-Signature=0", signed=False))
