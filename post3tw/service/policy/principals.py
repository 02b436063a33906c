"""Reading the Principal of a statement.

    "*"   {"AWS": "*"}                                       everybody, anonymous callers included
    {"AWS": "arn:aws:iam::TENANT:root"}   {"AWS": "TENANT"}   every user of a tenant
    {"AWS": "arn:aws:iam::TENANT:user/USER-ID"}               one user; the unnamed tenant is the empty text
    {"AWS": "USER-ID of 64 hex digits"}   {"CanonicalUser": "USER-ID"}
    {"Service": …}   {"Federated": …}                         nobody who calls this server

https://docs.aws.amazon.com/AmazonS3/latest/userguide/security_iam_service-with-iam.html#s3-bucket-user-policy-specifying-principal-intro
"""

from __future__ import annotations

import re
from typing import Any, Final

from post3tw.model.errors import MalformedPolicy
from post3tw.service.policy.statement import Principals

_INVALID: Final = "Invalid principal in policy"
_ACCOUNT: Final = re.compile(r"arn:aws:iam::(?P<tenant>[A-Za-z0-9_-]{0,64}):root")
# A star in an ARN would be taken for a wildcard by its author; principals have none.
_ARN: Final = re.compile(r"arn:aws:(?:iam|sts)::[A-Za-z0-9_-]{0,64}:(?:user|role|assumed-role|federated-user)/[^*?]+")
_TENANT: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")
_CANONICAL: Final = re.compile(r"[0-9a-f]{64}")
_SERVICE: Final = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(?:\.cn)?")
_FEDERATION: Final = re.compile(r"[A-Za-z0-9._:/-]+")


def parse_principals(value: Any, *, negated: bool) -> Principals:
    """The principals of a statement.

    Args:
        value: what the document has for Principal or NotPrincipal.
        negated: whether it was NotPrincipal.

    Raises:
        MalformedPolicy: it names nobody, or something that is no principal.
    """
    if value == "*":
        return Principals(everyone=True, negated=negated)
    if not isinstance(value, dict) or not value:
        raise MalformedPolicy(_INVALID)
    found: dict[str, set[str]] = {"everyone": set(), "arns": set(), "accounts": set(), "users": set(), "others": set()}
    for kind, names in value.items():
        listed = [names] if isinstance(names, str) else names
        if not isinstance(listed, list) or not listed:
            raise MalformedPolicy(_INVALID)
        for name in listed:
            if not isinstance(name, str):
                raise MalformedPolicy(_INVALID)
            field, known_as = _principal(kind, name)
            found[field].add(known_as)
    return Principals(
        everyone=bool(found["everyone"]),
        arns=frozenset(found["arns"]),
        accounts=frozenset(found["accounts"]),
        users=frozenset(found["users"]),
        others=frozenset(found["others"]),
        negated=negated,
    )


def _principal(kind: str, name: str) -> tuple[str, str]:
    """Which attribute of Principals a name belongs to, and how it is kept there."""
    if kind == "AWS":
        return _aws_principal(name)
    if kind == "CanonicalUser" and name and not {"*", "?"} & set(name):
        return "users", name
    if kind == "Service" and _SERVICE.fullmatch(name):
        return "others", name
    if kind == "Federated" and _FEDERATION.fullmatch(name):
        return "others", name
    raise MalformedPolicy(_INVALID)


def _aws_principal(name: str) -> tuple[str, str]:
    if name == "*":
        return "everyone", name
    account = _ACCOUNT.fullmatch(name)
    if account is not None:
        return "accounts", account["tenant"]
    if _ARN.fullmatch(name):
        return "arns", name
    if _CANONICAL.fullmatch(name):
        return "users", name
    if _TENANT.fullmatch(name):
        return "accounts", name
    raise MalformedPolicy(_INVALID)
