"""Signature version 2 in query and header, with Amazon's published examples, and against botocore."""

from __future__ import annotations

from urllib.parse import urlsplit

from botocore.auth import HmacV1Auth, HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import AccessDenied, ExpiredToken, InvalidArgument, InvalidRequest, SignatureDoesNotMatch
from post3tw.wire import sigv2
from post3tw.wire.uri import parse_query

KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

Fields = list[tuple[bytes, bytes]]


def signed(method: bytes, time: str, path: bytes, query: bytes = b"", fields: Fields | None = None) -> str:
    """The signature that we make of a request."""
    parameters = parse_query(query)
    headers = sigv2.signed_headers(fields or [], parameters)
    text = sigv2.string_to_sign(method, time, headers, sigv2.canonical_resource(path, parameters))
    return sigv2.signature(SECRET, text).decode()


class ExampleTests(SynchronousTestCase):
    """ "Examples of signing" in the User Guide. Those of the header have a date where the query has Expires."""

    def test_query(self) -> None:
        """The one example of a query."""
        self.assertEqual(signed(b"GET", "1175139620", b"/johnsmith/photos/puppy.jpg"), "NpgCjnDzrM+WFzoENXmpNDUsSn8=")

    def test_headers(self) -> None:
        """Get, put, list, fetch of a sub-resource, list of all buckets, and a key in Unicode."""
        puppy = b"/johnsmith/photos/puppy.jpg"
        listing = b"prefix=photos&max-keys=50&marker=puppy"
        french = b"/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re"
        jpeg = [(b"content-type", b"image/jpeg"), (b"content-length", b"94328")]
        for method, time, path, query, fields, signature in (
            (b"GET", "Tue, 27 Mar 2007 19:36:42 +0000", puppy, b"", [], "bWq2s1WEIj+Ydj0vQ697zp+IXMU="),
            (b"PUT", "Tue, 27 Mar 2007 21:15:45 +0000", puppy, b"", jpeg, "MyyxeRY7whkBe+bq8fHCL/2kKUg="),
            (b"GET", "Tue, 27 Mar 2007 19:42:41 +0000", b"/johnsmith/", listing, [], "htDYFYduRNen8P9ZfE/s9SuKy0U="),
            (b"GET", "Tue, 27 Mar 2007 19:44:46 +0000", b"/johnsmith/", b"acl", [], "c2WLPFtWHVgbEmeEG93a4cG37dM="),
            (b"GET", "Wed, 28 Mar 2007 01:29:59 +0000", b"/", b"", [], "qGdzdERIC03wnaRNKh6OqZehG9s="),
            (b"GET", "Wed, 28 Mar 2007 01:49:49 +0000", french, b"", [], "DNEZGsoieTZ92F3bUfSPQcbGmlM="),
        ):
            self.assertEqual(signed(method, time, path, query, fields), signature, path)

    def test_upload(self) -> None:
        """Headers are sorted; values of a repeated one are joined; others than x-amz-* and two are left out."""
        fields = [
            (b"user-agent", b"curl/7.15.5"),
            (b"x-amz-acl", b"public-read"),
            (b"content-type", b"application/x-download"),
            (b"content-md5", b"4gJE4saaMU4BqNR0kLY+lw=="),
            (b"x-amz-meta-reviewedby", b"joe@johnsmith.net"),
            (b"x-amz-meta-reviewedby", b"jane@johnsmith.net"),
            (b"x-amz-meta-filechecksum", b"0x02661779"),
            (b"x-amz-meta-checksumalgorithm", b"crc32"),
            (b"content-encoding", b"gzip"),
        ]
        path = b"/static.johnsmith.net/db-backup.dat.gz"
        signature = signed(b"PUT", "Tue, 27 Mar 2007 21:06:08 +0000", path, fields=fields)
        self.assertEqual(signature, "ilyl83RwaSoYIEdixDQcA4OnAnc=")


class BotocoreTests(SynchronousTestCase):
    """What botocore signs is taken, and nothing that differs from it."""

    def _verify(self, method: str, url: str, fields: Fields | None = None, secret: str = SECRET) -> None:
        split = urlsplit(url)
        parameters = parse_query(split.query.encode())
        sigv2.verify(
            sigv2.parse_presigned(parameters),
            secret,
            method=method.encode(),
            path=split.path.encode(),
            parameters=parameters,
            headers=sigv2.signed_headers(fields or [], parameters),
        )

    def _presigned(self, method: str, target: str, headers: dict[str, str] | None = None, path: str = "") -> str:
        request = AWSRequest(method, f"http://localhost{target}", headers or {}, auth_path=path or None)
        HmacV1QueryAuth(Credentials(KEY, SECRET), expires=60).add_auth(request)
        url = request.url
        assert isinstance(url, str)
        return url

    def test_takes(self) -> None:
        """Keys, sub-resources, overrides of the answer, and headers that botocore hoists into the query."""
        for method, target, headers in (
            ("GET", "/b/k", {}),
            ("HEAD", "/b/a%20b%2Bc%25/%F0%9F%98%80", {}),
            ("GET", "/b/?prefix=a&versions", {}),
            ("GET", "/b/k?versionId=v&response-content-disposition=attachment%3B%20filename%3D%22a%26b%22", {}),
            ("PUT", "/b/k?uploadId=u%2B1&partNumber=2&x-id=UploadPart", {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}),
            ("PUT", "/b/k", {"Content-Type": "text/plain", "x-amz-meta-a": "b  c", "X-Amz-Acl": "private"}),
        ):
            self._verify(method, self._presigned(method, target, headers))

    def test_signs_the_same_parameters(self) -> None:
        """All that botocore counts among what is signed, overrides of the answer's headers included."""
        for name in HmacV1Auth.QSAOfInterest:
            self._verify("GET", self._presigned("GET", f"/b/k?{name}=v"))

    def test_bucket_without_a_slash(self) -> None:
        """The slash after a bucket may be signed and not sent, or neither."""
        self._verify("GET", self._presigned("GET", "/b", path="/b/"))
        self._verify("GET", self._presigned("GET", "/b"))
        with self.assertRaises(SignatureDoesNotMatch):
            self._verify("GET", self._presigned("GET", "/b/k", path="/b/k/"))
        with self.assertRaises(SignatureDoesNotMatch):
            self._verify("GET", self._presigned("GET", "/", path="//"))

    def test_a_header_wins_over_the_query(self) -> None:
        """A header that comes as well must have the value that was signed."""
        url = self._presigned("PUT", "/b/k", {"Content-Type": "text/plain", "x-amz-acl": "private"})
        self._verify("PUT", url, [(b"content-type", b"text/plain"), (b"x-amz-acl", b"private")])
        for field in ((b"content-type", b"text/html"), (b"x-amz-acl", b"public-read"), (b"x-amz-tagging", b"")):
            with self.assertRaises(SignatureDoesNotMatch):
                self._verify("PUT", url, [field])

    def test_refuses_what_differs(self) -> None:
        """Another secret, method, time, key or header, or a sub-resource more, is another request."""
        url = self._presigned("GET", "/b/k?versionId=v")
        expires = dict(parse_query(urlsplit(url).query.encode()))["Expires"]
        self._verify("GET", url)
        for method, other, secret in (
            ("GET", url, ""),
            ("GET", url, KEY),
            ("PUT", url, SECRET),
            ("GET", url.replace(expires, str(int(expires) + 1)), SECRET),
            ("GET", url.replace("/k?", "/l?"), SECRET),
            ("GET", url.replace("=v&", "=w&"), SECRET),
            ("GET", url + "&versionId=w", SECRET),
            ("GET", url + "&x-amz-acl=private", SECRET),
            ("GET", url + "&content-type=text/html", SECRET),
            *(("GET", f"{url}&{name}", SECRET) for name in sigv2.SIGNED_PARAMETERS),
        ):
            with self.assertRaises(SignatureDoesNotMatch, msg=other):
                self._verify(method, other, secret=secret)

    def test_no_line_can_be_moved(self) -> None:
        """A parameter cannot stand for two headers, nor come twice."""
        url = self._presigned("PUT", "/b/k", {"x-amz-acl": "private", "x-amz-meta-a": "b"})
        for old, new in (
            ("x-amz-acl=private&x-amz-meta-a=b", "x-amz-acl=private%0Ax-amz-meta-a:b"),
            ("x-amz-meta-a=b", "x-amz-meta-a:b"),
            ("x-amz-meta-a=b", "x-amz-meta-a=b&X-Amz-Meta-A=c"),
        ):
            self.assertIn(old, url)
            with self.assertRaises(InvalidRequest):
                self._verify("PUT", url.replace(old, new))

    def test_no_parameter_can_be_moved(self) -> None:
        """A parameter cannot be hidden in another one's value, nor come out of it."""
        url = self._presigned("GET", "/b/k?response-content-type=a&versionId=v")
        hidden = url.replace("a&versionId=v", "a%26versionId%3Dv")
        self.assertNotEqual(hidden, url)
        with self.assertRaises(InvalidRequest):
            self._verify("GET", hidden)
        for value in (*(f"a%26{name}" for name in sigv2.SIGNED_PARAMETERS), "a%26acl%26b", "a%26acl%3Db"):
            with self.assertRaises(InvalidRequest, msg=value):
                self._verify("GET", self._presigned("GET", f"/b/k?response-content-disposition={value}"))
        self._verify("GET", self._presigned("GET", "/b/k?response-content-disposition=a%26versions.txt"))

    def test_what_was_signed_is_shown(self) -> None:
        """The error has the string to sign, with whatever bytes a header has in it."""
        with self.assertRaises(SignatureDoesNotMatch) as caught:
            self._verify("GET", "/b/k?AWSAccessKeyId=a&Expires=1&Signature=s", [(b"x-amz-meta-a", b"\xff")])
        self.assertEqual(
            caught.exception.details,
            {
                "aws_access_key_id": "a",
                "string_to_sign": "GET\n\n\n1\nx-amz-meta-a:\\xff\n/b/k",
                "signature_provided": "s",
            },
        )


class StringTests(SynchronousTestCase):
    """The parts of the string to sign."""

    def test_parameters_in_order_of_names(self) -> None:
        """Whatever their values, and one without a value has no equals sign."""
        parameters = parse_query(b"uploadId=1&partNumber=2&prefix=p&acl")
        self.assertEqual(sigv2.canonical_resource(b"/b/k", parameters), b"/b/k?acl&partNumber=2&uploadId=1")

    def test_white_space_around_values(self) -> None:
        """Spaces and tabs are trimmed, of a header and of a parameter that stands for one; nothing else is."""
        for text in ("X", "X a X"):
            trimmed = {b"x-amz-meta-a": text.encode()}
            self.assertEqual(sigv2.signed_headers([(b"x-amz-meta-a", f" \t{text}\t ".encode())], ()), trimmed)
            self.assertEqual(sigv2.signed_headers([], [("x-amz-meta-a", f"  {text} ")]), trimmed)


class ReadingTests(SynchronousTestCase):
    """The three parameters."""

    def test_reads(self) -> None:
        """Access key, time and signature, decoded; the signature is not in the repr."""
        presigned = sigv2.parse_presigned(parse_query(b"AWSAccessKeyId=a&Expires=17&Signature=b%2Bc%3D"))
        self.assertEqual((presigned.access_key, presigned.expires, presigned.signature), ("a", "17", "b+c="))
        self.assertNotIn("b+c=", repr(presigned))

    def test_refuses(self) -> None:
        """Each must come once, and the time in seconds."""
        for query, error in (
            (b"AWSAccessKeyId=a&Expires=17", AccessDenied),
            (b"AWSAccessKeyId=a&Signature=s", AccessDenied),
            (b"Expires=17&Signature=s", AccessDenied),
            (b"AWSAccessKeyId=a&Expires=17&Signature=s&Signature=s", InvalidRequest),
            (b"AWSAccessKeyId=a&Expires=17&Expires=18&Signature=s", InvalidRequest),
            (b"AWSAccessKeyId=a&AWSAccessKeyId=b&Expires=17&Signature=s", InvalidRequest),
            *(
                (b"AWSAccessKeyId=a&Signature=s&Expires=" + expires, AccessDenied)
                for expires in (b"", b"x", b"-1", b"1.5", b"%2B1", b"1e9", b"\xd9\xa1", b"1" * 11, b"1" * 5000)
            ),
        ):
            with self.assertRaises(error, msg=query):
                sigv2.parse_presigned(parse_query(query))

    def test_expiry(self) -> None:
        """The last moment is that which Expires names."""
        presigned = sigv2.Presigned("a", "1175139620", "s")
        sigv2.check_expiry(presigned, 1_175_139_620_000)
        with self.assertRaises(ExpiredToken) as caught:
            sigv2.check_expiry(presigned, 1_175_139_620_001)
        self.assertEqual(caught.exception.details["expires"], "2007-03-29T03:40:20.000Z")


class HeaderTests(SynchronousTestCase):
    """The Authorization header."""

    def test_takes_what_botocore_signs(self) -> None:
        """With the date in Date, as it signs."""
        for method, target, headers in (
            ("GET", "/b/k", {}),
            ("PUT", "/b/a%20b?tagging", {"Content-Type": "text/plain", "x-amz-meta-a": "b", "Content-MD5": "eA=="}),
            ("GET", "/b/?prefix=a&uploads", {}),
        ):
            request = AWSRequest(method, f"http://localhost{target}", headers)
            HmacV1Auth(Credentials(KEY, SECRET)).add_auth(request)
            fields = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
            line, _ = sigv2.request_time(None, request.headers["Date"])
            self.assertEqual(line, request.headers["Date"])
            split = urlsplit(target)
            sigv2.verify(
                sigv2.parse_authorization(request.headers["Authorization"], line),
                SECRET,
                method=method.encode(),
                path=split.path.encode(),
                parameters=parse_query(split.query.encode()),
                headers=sigv2.signed_headers(fields, ()),
            )

    def test_time(self) -> None:
        """x-amz-date wins, in either form, and leaves the line of the date empty."""
        old, first = "Wed, 31 Dec 1969 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"
        date, millis = "Fri, 24 May 2013 00:00:00 GMT", 1_369_353_600_000
        self.assertEqual(sigv2.request_time(None, date), (date, millis))
        self.assertEqual(sigv2.request_time(None, first), (first, 0))
        self.assertEqual(sigv2.request_time(None, "Fri, 24 May 2013 02:00:00 +0200")[1], millis)
        for text in (date, "20130524T000000Z"):
            self.assertEqual(sigv2.request_time(text, "nonsense"), ("", millis))
        for x_amz_date, other in (
            (None, None),
            ("", date),
            ("nonsense", date),
            (None, "nonsense"),
            (None, ""),
            (None, old),
        ):
            self.assertRaises(AccessDenied, sigv2.request_time, x_amz_date, other)

    def test_what_is_none(self) -> None:
        """Key and signature are both there; a key may have a colon."""
        for header in ("AWS", "AWS ", "AWS :", "AWS key:", "AWS :c2ln", "AWS HAHAHA", "AWS4-HMAC-SHA256 key:c2ln"):
            error = self.assertRaises(InvalidArgument, sigv2.parse_authorization, header, "")
            self.assertEqual(error.details, {"argument_name": "Authorization", "argument_value": header})
        self.assertEqual(sigv2.parse_authorization("AWS a:b:c2ln", "now"), sigv2.Authorization("a:b", "now", "c2ln"))
        self.assertNotIn("c2ln", repr(sigv2.parse_authorization("AWS key:c2ln", "")))
