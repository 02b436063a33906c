"""Policies of forms."""

from __future__ import annotations

import base64
import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import AccessDenied, InvalidPolicyDocument
from post3tw.wire.post_policy import PostPolicy, parse_post_policy

END = 1_795_000_000_000
BEFORE = END - 1
EXPIRATION = "2026-11-18T11:06:40.000Z"


def policy(*conditions: Any) -> PostPolicy:
    """A policy of these conditions that ends at END."""
    return parse_post_policy(encoded({"expiration": EXPIRATION, "conditions": list(conditions)}))


def encoded(document: Any) -> str:
    """A document as the field holds it."""
    text = document if isinstance(document, str) else json.dumps(document)
    return base64.b64encode(text.encode()).decode()


class CheckingTests(SynchronousTestCase):
    """SIG-9: what a form must fulfil."""

    def allowed(self, read: PostPolicy, **fields: str) -> bool:
        """Whether a form of these fields is allowed; `_` in a name is `-`."""
        try:
            read.check({name.replace("_", "-"): value for name, value in fields.items()}, BEFORE)
        except AccessDenied as error:
            self.assertIn("Invalid according to Policy", error.message)
            return False
        return True

    def test_equal(self) -> None:
        """Both forms of equality compare the whole value, with its case."""
        for condition in ({"acl": "private"}, ["eq", "$acl", "private"], ["EQ", "$ACL", "private"]):
            read = policy(condition)
            self.assertTrue(self.allowed(read, acl="private"))
            for value in ("Private", "private ", "public-read", ""):
                self.assertFalse(self.allowed(read, acl=value), value)

    def test_starts_with(self) -> None:
        """A prefix, which may be empty."""
        read = policy(["starts-with", "$key", "user/"], ["starts-with", "$x-amz-meta-a", ""])
        self.assertTrue(self.allowed(read, key="user/a", x_amz_meta_a="anything"))
        self.assertTrue(self.allowed(read, key="user/"))
        self.assertFalse(self.allowed(read, key="use"))

    def test_lists_of_content_types(self) -> None:
        """Each item must start so."""
        read = policy(["starts-with", "$Content-Type", "image/"])
        self.assertTrue(self.allowed(read, content_type="image/png, image/gif"))
        self.assertFalse(self.allowed(read, content_type="image/png,text/html"))

    def test_a_missing_field_fails(self) -> None:
        """A condition on a field that did not come does not hold."""
        self.assertFalse(self.allowed(policy({"acl": "private"})))
        self.assertFalse(self.allowed(policy(["starts-with", "$x-amz-meta-a", "b"])))

    def test_a_missing_field_is_empty(self) -> None:
        """A condition that the empty text meets holds without the field."""
        self.assertTrue(self.allowed(policy({"acl": ""}, ["starts-with", "$x-amz-meta-a", ""])))

    def test_what_failed_is_shown(self) -> None:
        """The error has the first condition that does not hold, as a list."""
        error = self.assertRaises(AccessDenied, policy({"key": "k"}, {"acl": "private"}).check, {"key": "k"}, BEFORE)
        self.assertEqual(
            error.message, 'Invalid according to Policy: Policy Condition failed: ["eq", "$acl", "private"]'
        )

    def test_all_conditions_on_a_field(self) -> None:
        """The second one counts too."""
        read = policy(["starts-with", "$key", "a"], {"key": "ab"})
        self.assertTrue(self.allowed(read, key="ab"))
        self.assertFalse(self.allowed(read, key="ac"))

    def test_extra_fields(self) -> None:
        """A field without a condition is refused, but for those that cannot do anything."""
        read = policy({"bucket": "b"})
        free = {"policy": "p", "x-amz-signature": "s", "signature": "s", "awsaccesskeyid": "k", "x-ignore-a": "i"}
        read.check({"bucket": "b", **free, "x-amz-checksum-crc32": "c"}, BEFORE)
        for name in ("acl", "key", "success_action_redirect", "x-amz-meta-a", "submit", "x-ignore"):
            self.assertRaises(AccessDenied, read.check, {"bucket": "b", name: "v"}, BEFORE)

    def test_the_bucket_needs_a_condition(self) -> None:
        """SIG-10: a policy that names no bucket is good for none."""
        self.assertFalse(self.allowed(policy({"key": "k"}), key="k", bucket="b"))
        self.assertFalse(self.allowed(policy({"bucket": "a"}), bucket="b"))

    def test_expiration(self) -> None:
        """It holds until its end, not at it."""
        read = policy()
        read.check({}, BEFORE)
        self.assertRaises(AccessDenied, read.check, {}, END)


class ReadingTests(SynchronousTestCase):
    """What a policy is, and what is none."""

    def test_content_length_range(self) -> None:
        """The narrowest of all ranges; sizes may be in quotes."""
        read = policy(["content-length-range", 1, 100], ["Content-Length-Range", "10", "200"])
        self.assertEqual((read.least, read.most, read.conditions), (10, 100, ()))
        self.assertEqual((policy().least, policy().most), (0, None))
        read = policy(["content-length-range", 0, "9" * 15])
        self.assertEqual((read.least, read.most), (0, 10**15 - 1))

    def test_line_breaks(self) -> None:
        """Base64 may be wrapped, as some encoders do."""
        text = encoded({"expiration": EXPIRATION, "conditions": []})
        self.assertEqual(parse_post_policy(f"{text[:20]}\r\n{text[20:]}\n").expiration, END)

    def test_bad_conditions(self) -> None:
        """Each makes the whole policy none."""
        for condition in (
            {},
            {"a": "b", "c": "d"},
            {"a": 1},
            {"a": ["b"]},
            [],
            ["eq", "$a"],
            ["eq", "$a", "b", "c"],
            ["eq", "a", "b"],
            ["eq", "$", "b"],
            ["eq", "$a", 1],
            ["ends-with", "$a", "b"],
            ["content-length-range", 0],
            ["content-length-range", -1, 0],
            ["content-length-range", 0, 1.5],
            ["content-length-range", 0, True],
            ["content-length-range", 0, "1e9"],
            ["content-length-range", 0, "1" + "0" * 15],
            "eq",
            None,
        ):
            self.assertRaises(InvalidPolicyDocument, policy, condition)

    def test_bad_documents(self) -> None:
        """Not base64, not JSON, members that are missing, unknown, doubled or of another type."""
        empty = encoded({"expiration": EXPIRATION, "conditions": []})
        for text in (
            "",
            "%%%",
            f"{empty[:4]}%{empty[4:]}",
            encoded("{"),
            encoded("[]"),
            encoded("null"),
            encoded({"expiration": EXPIRATION}),
            encoded({"conditions": []}),
            encoded({"Expiration": EXPIRATION, "conditions": []}),
            encoded({"expiration": EXPIRATION, "conditions": [], "more": 1}),
            encoded({"expiration": EXPIRATION, "conditions": {}}),
            encoded({"expiration": "2026-11-18 11:06:40+00:00", "conditions": []}),
            encoded({"expiration": 1, "conditions": []}),
            encoded(f'{{"expiration": "{EXPIRATION}", "conditions": [], "conditions": []}}'),
            base64.b64encode(b"\xff\xfe\xfd").decode(),
        ):
            self.assertRaises(InvalidPolicyDocument, parse_post_policy, text)

    def test_what_is_wrong_is_said(self) -> None:
        """The first unknown member, the member that is missing, the operator that is none."""
        ends = {"expiration": EXPIRATION}
        for document, why in (
            ({**ends, "conditions": [], "more": 1, "other": 1}, "Unexpected: 'more'"),
            ({"conditions": []}, "Policy missing expiration."),
            (ends, "Policy missing conditions."),
            ({**ends, "conditions": [["like", "$a", "b"]]}, "Invalid Condition: unknown operation 'like'."),
        ):
            error = self.assertRaises(InvalidPolicyDocument, parse_post_policy, encoded(document))
            self.assertEqual(error.message, f"Invalid Policy: {why}")

    def test_deep_documents(self) -> None:
        """Nesting ends in a refusal."""
        for text in ("[" * 20_000, '{"a":' * 5000):
            self.assertRaises(InvalidPolicyDocument, parse_post_policy, encoded(text))
