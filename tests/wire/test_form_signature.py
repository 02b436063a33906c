"""Signatures of forms."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import InvalidArgument, InvalidToken, SignatureDoesNotMatch
from post3tw.wire.form_signature import FormSignature, parse_form_signature

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

# The example of "Examples: Browser-Based Upload using HTTP POST (Using AWS Signature Version 4)".
AWS_POLICY = (
    "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NG"
    "V4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVh"
    "ZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2"
    "Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1t"
    "ZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWy"
    "JzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1Q"
    "TEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifS"
    "wNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9"
)
VERSION_4 = {
    "policy": AWS_POLICY,
    "x-amz-algorithm": "AWS4-HMAC-SHA256",
    "x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request",
    "x-amz-date": "20151229T000000Z",
    "x-amz-signature": "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
}
VERSION_2 = {"policy": "cG9saWN5", "awsaccesskeyid": "KEY", "signature": "xjcOd3+I0tu58AF8jUmwdfvwgBU="}


def read(fields: dict[str, str]) -> FormSignature:
    """The signature of a form that has one."""
    found = parse_form_signature(fields, "us-east-1")
    assert found is not None
    return found


class FormSignatureTests(SynchronousTestCase):
    """Both versions."""

    def test_version_4(self) -> None:
        """AWS's own example."""
        signature = read(VERSION_4)
        self.assertEqual(signature.access_key, "AKIAIOSFODNN7EXAMPLE")
        signature.verify(SECRET)

    def test_version_2(self) -> None:
        """HMAC-SHA1 over the policy."""
        signature = read(VERSION_2)
        self.assertEqual(signature.access_key, "KEY")
        signature.verify("secret")

    def test_another_secret_or_policy(self) -> None:
        """SIG-2: neither passes, nor does a signature over something else or of nothing."""
        for fields, name in ((VERSION_4, "x-amz-signature"), (VERSION_2, "signature")):
            self.assertRaises(SignatureDoesNotMatch, read(fields).verify, "another")
            self.assertRaises(SignatureDoesNotMatch, read({**fields, "policy": "e30="}).verify, SECRET)
            for forged in ("0" * 64, "é"):
                self.assertRaises(SignatureDoesNotMatch, read({**fields, name: forged}).verify, SECRET)

    def test_nobodys(self) -> None:
        """A form without all of it is nobody's."""
        self.assertIsNone(parse_form_signature({"key": "k"}, "us-east-1"))

    def test_what_is_missing(self) -> None:
        """A form with a part of a signature is refused, never taken for nobody's."""
        for fields in (VERSION_4, VERSION_2):
            for name in fields:
                self.assertRaises(InvalidArgument, read, {n: v for n, v in fields.items() if n != name})
                self.assertRaises(InvalidArgument, read, {**fields, name: ""})
            for name in fields:
                self.assertRaises(InvalidArgument, read, {name: fields[name]})

    def test_missing_fields_are_named(self) -> None:
        """The error names a field as the documentation of forms writes it."""
        for fields, name, shown in (
            (VERSION_2, "awsaccesskeyid", "AWSAccessKeyId"),
            (VERSION_2, "signature", "Signature"),
            (VERSION_2, "policy", "policy"),
            (VERSION_4, "x-amz-credential", "X-Amz-Credential"),
        ):
            error = self.assertRaises(InvalidArgument, read, {**fields, name: ""})
            self.assertEqual(error.details, {"argument_name": shown, "argument_value": ""})
            self.assertIn(f"named '{shown}'.", error.message)

    def test_both(self) -> None:
        """There is one signature."""
        error = self.assertRaises(InvalidArgument, read, {**VERSION_2, **VERSION_4})
        self.assertEqual(error.details, {"argument_name": "AWSAccessKeyId"})

    def test_sessions(self) -> None:
        """A token of a session is refused: there are no sessions."""
        self.assertRaises(InvalidToken, read, {**VERSION_4, "x-amz-security-token": "t"})

    def test_scope(self) -> None:
        """SIG-12: the credential is of this region, service and day."""
        for wrong in (
            "AKIAIOSFODNN7EXAMPLE/20151229/eu-west-1/s3/aws4_request",
            "AKIAIOSFODNN7EXAMPLE/20151228/us-east-1/s3/aws4_request",
            "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/iam/aws4_request",
            "AKIAIOSFODNN7EXAMPLE",
        ):
            self.assertRaises(InvalidArgument, read, {**VERSION_4, "x-amz-credential": wrong})

    def test_unreadable_fields_are_named(self) -> None:
        """Another algorithm, a date in another form: the error says which field, and what it held."""
        for name, value, why in (
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA1", 'only supports "AWS4-HMAC-SHA256"'),
            ("X-Amz-Date", "2015-12-29", "must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""),
        ):
            error = self.assertRaises(InvalidArgument, read, {**VERSION_4, name.lower(): value})
            self.assertEqual(error.details, {"argument_name": name, "argument_value": value})
            self.assertEqual(error.message, f"{name} {why}")

    def test_what_was_compared_is_shown(self) -> None:
        """The error of a wrong signature shows both sides that the client knows."""
        error = self.assertRaises(SignatureDoesNotMatch, read({**VERSION_2, "signature": "é"}).verify, "secret")
        self.assertEqual(
            error.details, {"aws_access_key_id": "KEY", "string_to_sign": "cG9saWN5", "signature_provided": "é"}
        )
