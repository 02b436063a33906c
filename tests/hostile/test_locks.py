"""Locks in documents and headers that nobody should send: refused with the right code, and nothing is locked."""

from __future__ import annotations

from itertools import product

from tests.hostile.case import HostileCase
from tests.hostile.raw import Reply

NAMESPACE = b' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
UNTIL = b"<RetainUntilDate>2140-01-01T00:00:00Z</RetainUntilDate>"
MODE = b"<Mode>GOVERNANCE</Mode>"
CRC = (b"x-amz-checksum-crc32", b"rfPzYw==")  # of `data`


def configuration(default: bytes) -> bytes:
    """An ObjectLockConfiguration with this in its rule."""
    return (
        b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
        + default
        + b"</DefaultRetention></Rule></ObjectLockConfiguration>"
    )


class LockTests(HostileCase):
    """A bucket with object lock and one object."""

    def setUp(self) -> None:
        """Make them."""
        super().setUp()
        self.bucket += "-locked"
        headers = [(b"x-amz-bucket-object-lock-enabled", b"true")]
        self.assertEqual(self.client.ask("PUT", f"/{self.bucket}", headers).status, 200)
        self.version = self.put("key", b"data").headers["x-amz-version-id"]

    def send(self, query: str, document: bytes, key: str = "/key") -> Reply:
        """PUT a document."""
        return self.client.ask("PUT", f"/{self.bucket}{key}?{query}", (), document)

    def assert_not_locked(self) -> None:
        """The object can go, so nothing was locked; and what is written next is not locked either."""
        for query in ("retention", "legal-hold"):
            reply = self.client.ask("GET", self.target(query=query))
            self.assert_error(reply, 404, "NoSuchObjectLockConfiguration")
        self.assertNotIn(b"<Rule>", self.client.ask("GET", f"/{self.bucket}?object-lock").body)
        reply = self.client.ask("DELETE", self.target(query=f"versionId={self.version}"))
        self.assertEqual(reply.status, 204)

    def test_good_documents(self) -> None:
        """What the bad ones below are made of is taken, with its namespace and without."""
        for namespace in (b"", NAMESPACE):
            document = configuration(MODE + b"<Days>1</Days>").replace(b"Configuration>", b"Configuration%b>", 1)
            self.assertEqual(self.send("object-lock", document % namespace, "").status, 200)
            document = b"<Retention%b>" % namespace + MODE + UNTIL + b"</Retention>"
            self.assertEqual(self.send("retention", document).status, 200)
            document = b"<LegalHold%b><Status>OFF</Status></LegalHold>" % namespace
            self.assertEqual(self.send("legal-hold", document).status, 200)

    def test_documents(self) -> None:
        """Malformed, contradictory, of another kind or namespace, or with an empty body."""
        for query, document in (
            ("retention", b"<Retention>" + MODE + b"</Retention>"),
            ("retention", b"<Retention>" + UNTIL + b"</Retention>"),
            ("retention", b"<Retention>" + MODE + MODE.replace(b"GOV", b"COMP") + UNTIL + b"</Retention>"),
            ("retention", b"<Retention>" + MODE.lower() + UNTIL + b"</Retention>"),
            ("retention", b"<LegalHold>" + MODE + UNTIL + b"</LegalHold>"),
            ("retention", b'<Retention xmlns="http://example.com/">' + MODE + UNTIL + b"</Retention>"),
            ("retention", b"<Retention>" + MODE + UNTIL.replace(b"2140", b"21400") + b"</Retention>"),
            ("retention", b"<Retention>" + MODE + UNTIL.replace(b"01-01", b"02-30") + b"</Retention>"),
            ("retention", b"<Retention>" + MODE + b"<RetainUntilDate>soon</RetainUntilDate></Retention>"),
            ("retention", b"<Retention>" + MODE + b"<RetainUntilDate/></Retention>"),
            ("retention", b"<Retention><Mode/>" + UNTIL + b"</Retention>"),
            ("retention", b""),
            ("legal-hold", b"<LegalHold/>"),
            ("legal-hold", b"<LegalHold><Status>on</Status></LegalHold>"),
            ("legal-hold", b"<LegalHold><Status>ON</Status><Status>OFF</Status></LegalHold>"),
            ("legal-hold", b"<LegalHold><Status>ON"),
        ):
            reply = self.send(query, document)
            self.assertIn(
                (reply.status, reply.code), ((400, "MalformedXML"), (400, "MissingRequestBodyError")), document
            )
        self.assert_not_locked()

    def test_configurations(self) -> None:
        """Periods that are none, too long for a number, both or neither; a switch that is not on."""
        for default, code in (
            (MODE, "MalformedXML"),
            (MODE + b"<Days>1</Days><Years>1</Years>", "MalformedXML"),
            (MODE + b"<Days>one</Days>", "MalformedXML"),
            (MODE + b"<Days>1.5</Days>", "MalformedXML"),
            (MODE + b"<Days/>", "MalformedXML"),
            (b"<Days>1</Days>", "MalformedXML"),
            (MODE + b"<Days>0</Days>", "InvalidRetentionPeriod"),
            (MODE + b"<Days>-1</Days>", "InvalidRetentionPeriod"),
            (MODE + b"<Days>36501</Days>", "InvalidRetentionPeriod"),
            (MODE + b"<Years>2147483647</Years>", "InvalidRetentionPeriod"),
        ):
            self.assert_error(self.send("object-lock", configuration(default), ""), 400, code, default)
        huge = self.send("object-lock", configuration(MODE + b"<Days>%b</Days>" % (b"9" * 5000)), "")
        self.assertEqual(huge.status, 400)
        off = configuration(MODE + b"<Days>1</Days>").replace(b"Enabled</", b"Disabled</")
        self.assert_error(self.send("object-lock", off, ""), 400, "MalformedXML")
        self.assert_not_locked()

    def test_headers(self) -> None:
        """Modes, dates and holds that are none write nothing, however the object is written."""
        mode, until, hold = (b"x-amz-object-lock-%b" % name for name in (b"mode", b"retain-until-date", b"legal-hold"))
        year = b"2140-01-01T00:00:00Z"
        for fields, (method, query) in product(
            (
                [(mode, b"COMPLIANCE")],
                [(until, year)],
                [(mode, b"compliance"), (until, year)],
                [(mode, b"COMPLIANCE"), (until, b"2001-01-01T00:00:00Z")],
                [(mode, b"COMPLIANCE"), (until, b"tomorrow")],
                [(mode, b"COMPLIANCE"), (until, b"9" * 4000)],
                [(hold, b"YES")],
            ),
            (("PUT", ""), ("POST", "uploads")),
        ):
            body = b"data" if method == "PUT" else b""
            checked = [*fields, CRC] if method == "PUT" else fields
            self.assert_error(
                self.client.ask(method, self.target("new", query), checked, body), 400, "InvalidArgument", fields
            )
        for suffix in (b"event-hold", b"event-hold-duration-days"):
            name = b"x-amz-object-lock-" + suffix
            reply = self.client.ask(
                "PUT", self.target("new"), [(name, b"ON" if name.endswith(b"hold") else b"1"), CRC], b"data"
            )
            self.assert_error(reply, 501, "NotImplemented", suffix)
        self.assert_error(self.client.ask("GET", self.target("new")), 404, "NoSuchKey")
        self.assert_not_locked()
