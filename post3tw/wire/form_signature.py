"""Who signed a form: the signature is over the `policy` field as it was sent, in version 4 or version 2.

A form has no other proof of who made it: neither its fields nor its file are signed, so the policy must bound them
(`post3tw.wire.post_policy`). It holds until the policy expires; the date in it only says which key it was signed with.

Source: "Authenticating Requests in Browser-Based Uploads Using POST (AWS Signature Version 4)", Amazon S3 API
Reference.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from attrs import field, frozen

from post3tw.model.errors import InvalidArgument, InvalidToken, SignatureDoesNotMatch
from post3tw.wire import sigv2, sigv4
from post3tw.wire.dates import parse_amz_date

_VERSION_4 = ("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature")
_VERSION_2 = ("awsaccesskeyid", "signature")
_SHOWN = {"awsaccesskeyid": "AWSAccessKeyId", "policy": "policy"}


@frozen
class FormSignature:
    """What a form says of its signer.

    Attributes:
        access_key: whose it claims to be.
        policy: what is signed, in UTF-8.
        provided: the signature, as sent, in UTF-8.
        credential: with its scope in version 4, None in version 2.
        made: when, in milliseconds since the epoch; None in version 2, which does not say.
    """

    access_key: str
    policy: bytes
    provided: bytes = field(repr=False)
    credential: sigv4.Credential | None = None
    made: int | None = None

    def verify(self, secret_key: str) -> None:
        """Check the signature against the secret of `access_key`.

        Raises:
            SignatureDoesNotMatch: it was made with another one, or over another policy.
        """
        if self.credential is None:
            made = sigv2.signature(secret_key, self.policy)
        else:
            made = sigv4.signature(sigv4.signing_key(secret_key, self.credential), self.policy)
        if not hmac.compare_digest(made, self.provided):
            raise SignatureDoesNotMatch(
                aws_access_key_id=self.access_key,
                string_to_sign=self.policy.decode(),
                signature_provided=self.provided.decode(),
            )


def parse_form_signature(fields: Mapping[str, str], region: str) -> FormSignature | None:
    """The signature in a form's fields, None when the form is nobody's.

    Args:
        fields: values by lower-case name.
        region: what the scope of version 4 must name.

    Raises:
        InvalidArgument: a field is missing that goes with the others, or cannot be read.
        InvalidToken: a token of a session.
    """
    if "x-amz-security-token" in fields:
        raise InvalidToken()
    version_4 = any(name in fields for name in _VERSION_4)
    version_2 = any(name in fields for name in _VERSION_2)
    if not (version_4 or version_2 or "policy" in fields):
        return None
    if version_4 and version_2:
        raise InvalidArgument(
            "Only one auth mechanism allowed; a form is signed in version 4 or in version 2.",
            argument_name="AWSAccessKeyId",
        )
    for name in ("policy", *(_VERSION_4 if version_4 else _VERSION_2)):
        if not fields.get(name):
            raise _missing(name)
    policy = fields["policy"].encode()
    if version_2:
        return FormSignature(fields["awsaccesskeyid"], policy, fields["signature"].encode())
    if fields["x-amz-algorithm"] != sigv4.ALGORITHM:
        raise _unreadable("X-Amz-Algorithm", f'only supports "{sigv4.ALGORITHM}"', fields)
    made = parse_amz_date(fields["x-amz-date"])
    if made is None:
        raise _unreadable("X-Amz-Date", "must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"", fields)
    credential = _credential(fields, region)
    return FormSignature(credential.access_key, policy, fields["x-amz-signature"].encode(), credential, made)


def _credential(fields: Mapping[str, str], region: str) -> sigv4.Credential:
    """The credential of version 4, its scope checked."""
    credential = sigv4.parse_credential(fields["x-amz-credential"].encode())
    if credential is None:
        raise _unreadable("X-Amz-Credential", "must be <YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request", fields)
    fault = sigv4.scope_fault(credential, region, fields["x-amz-date"])
    if fault is not None:
        raise _unreadable("X-Amz-Credential", f"is not for this endpoint: {fault}", fields)
    return credential


def _missing(name: str) -> InvalidArgument:
    shown = _SHOWN.get(name) or "-".join(word.capitalize() for word in name.split("-"))
    return InvalidArgument(
        f"Bucket POST must contain a field named '{shown}'.  If it is specified, please check the order of the fields.",
        argument_name=shown,
        argument_value="",
    )


def _unreadable(name: str, why: str, fields: Mapping[str, str]) -> InvalidArgument:
    return InvalidArgument(f"{name} {why}", argument_name=name, argument_value=fields[name.lower()])
