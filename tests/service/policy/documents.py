"""Policies for tests, and a request to try them with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from post3tw.model.identity import Identity
from post3tw.service.policy.decision import Request
from post3tw.service.policy.language import parse_policy
from post3tw.service.policy.statement import Policy, resource_arn

BUCKET = "bucket"
OWNER = Identity("owner", "Owner", "AKOWNER")
ADA = Identity("ada", "Ada", "AKADA")
BOB = Identity("bob", "Bob", "AKBOB", tenant="research")
ROOT = Identity("root", "root", "AKROOT", admin=True)
ANYBODY = None


def statement(effect: str = "Allow", **elements: Any) -> dict[str, Any]:
    """A statement about everybody who gets any object of the bucket; elements replace these, None removes one."""
    whole = {"Effect": effect, "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    return {name: value for name, value in (whole | elements).items() if value is not None}


def document(*statements: Mapping[str, Any], **elements: Any) -> str:
    """The text of a policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)} | elements)


def bucket_policy(*statements: Mapping[str, Any], **elements: Any) -> Policy:
    """A policy of the bucket."""
    return parse_policy(document(*statements, **elements), bucket=BUCKET)


def attached_policy(*statements: Mapping[str, Any]) -> Policy:
    """A policy of a user, group or role."""
    return parse_policy(document(*({k: v for k, v in s.items() if k != "Principal"} for s in statements)))


@frozen
class FixedContext:
    """Condition keys with values that were written down."""

    given: Mapping[str, Sequence[str]] = field(factory=dict)

    def values(self, key: str) -> Sequence[str] | None:
        """See decision.Context."""
        return self.given.get(key)


def request(
    identity: Identity | None,
    action: str = "s3:GetObject",
    key: str | None = "key",
    *,
    attached: tuple[Policy, ...] = (),
    context: Mapping[str, str] | None = None,
) -> Request:
    """A request for the bucket or an object of it, with values of condition keys."""
    given = {name: (value,) for name, value in (context or {}).items()}
    return Request(identity, action, resource_arn(BUCKET, key), FixedContext(given), attached)
